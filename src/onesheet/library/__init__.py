"""Film libraries of Kodi, Jellyfin and Plex: what is in them, what genres are missing, and genres written with care."""

from onesheet.library.backups import Undone, apply_changes, undo_write
from onesheet.library.changes import Change, Left, plan_changes
from onesheet.library.films import LibraryFilm
from onesheet.library.kometa import kometa_metadata
from onesheet.library.scanning import Library, Remark, scan_library, unreadable_posters
from onesheet.library.suggesting import Suggestion, suggest_genres

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
