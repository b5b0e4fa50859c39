"""A metadata file for Kometa, which writes genres to Plex; no NFO changes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from onesheet.apps.library.changes import Policy, resulting_genres
from onesheet.apps.library.suggesting import Suggestion

HEAD = "# Genres predicted from posters by onesheet library write --kometa. List this file under metadata_files.\n"
_ESCAPED = re.compile("[^ -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def kometa_metadata(suggestions: Iterable[Suggestion], *, policy: Policy = "only-missing") -> str:
    """The YAML text; a film is matched by its id of TMDB (a show's of TVDB) or IMDb, else by title and year.

    Kometa's `genre` adds to the genres in Plex. For the policy "replace", `genre.sync` replaces them.

    Args:
        suggestions: the predicted genres.
        policy: which films get genres, by the genres in their NFO files.
    """
    lines = [HEAD, "metadata:\n"]
    for suggestion in suggestions:
        if genres := resulting_genres(suggestion, policy):
            film, sync = suggestion.film, policy == "replace"
            number = film.ids.get("tvdb" if film.is_show else "tmdb") or film.ids.get("imdb")
            lines.append(f"  {_quoted(film.name)}:\n    match:\n")
            if number:
                lines.append(f"      mapping_id: {number}\n")
            else:
                lines.append(f"      title: {_quoted(film.title)}\n")
                lines += [f"      year: {film.year}\n"] if film.year else []
            names = ", ".join(map(_quoted, genres if sync else suggestion.added))
            lines.append(f"    {'genre.sync' if sync else 'genre'}: [{names}]\n")
    return "".join(lines) if len(lines) > 2 else f"{HEAD}metadata: {{}}\n"


def _quoted(text: str) -> str:
    """A YAML scalar in double quotes: JSON, with characters that YAML does not print escaped."""
    quoted = json.dumps(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
