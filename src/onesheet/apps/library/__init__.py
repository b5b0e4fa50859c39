"""Film libraries of Kodi, Jellyfin and Plex: what is in them, what genres are missing, and genres written with care."""

from onesheet.apps.library.backups import Undone, apply_changes, undo_write
from onesheet.apps.library.changes import Change, Left, plan_changes
from onesheet.apps.library.kometa import kometa_metadata
from onesheet.apps.library.suggesting import Suggestion, suggest_genres
from onesheet.data.film_library.films import LibraryFilm
from onesheet.data.film_library.scanning import Library, Remark, scan_library, unreadable_posters

__all__ = [
    "Change",
    "Left",
    "Library",
    "LibraryFilm",
    "Remark",
    "Suggestion",
    "Undone",
    "apply_changes",
    "kometa_metadata",
    "plan_changes",
    "scan_library",
    "suggest_genres",
    "undo_write",
    "unreadable_posters",
]
