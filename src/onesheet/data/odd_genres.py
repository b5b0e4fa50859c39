"""Names that do not look like genres: a table that was misunderstood shows by them."""

from __future__ import annotations

import re
from collections import Counter

from onesheet.data.catalogue import Catalogue
from onesheet.data.columns import says_something_else
from onesheet.data.findings import Finding
from onesheet.data.genre_cells import GENRE_DELIMITERS, WEAK_DELIMITERS
from onesheet.data.genre_synonyms import is_known
from onesheet.errors import CatalogueError

_NUMBER = re.compile(r"[\d.,]+")
_NUMBERED = re.compile(r"\d\s*%|^\d+\s*[:=.)]")
_BRACKETS = re.compile(r"""^[\[\](){}'"]|[\[\]{}'"]$|dtype=""")


def odd_genres(catalogue: Catalogue) -> list[Finding]:
    """A finding for each name of a catalogue that does not look like a genre.

    Raises:
        CatalogueError: most names do not.
    """
    counts = Counter(name for film in catalogue.films for name in film.genres)
    odd = {
        name: why
        for name in catalogue.genres.names
        if (why := _oddness(name, counts[name] == len(catalogue) >= _ENOUGH))
    }
    sure = {name: why for name, why in odd.items() if why != _CONSTANT}
    if len(sure) * 2 > len(catalogue.genres):
        name, why = next(iter(sure.items()))
        raise CatalogueError(
            f"{len(sure)} of {len(catalogue.genres)} names do not look like genres, such as {name!r} ({why}); name the "
            "right columns with --genre-column or the separator with --genre-delimiter, or rename them with --genre-map"
        )
    cure = "kept; if it is no genre, drop it with --genre-map or choose columns with --genre-column"
    return [
        Finding("odd-genre", 0.5, detail=f"{name} ({counts[name]:,} films): {why}", action=cure)
        for name, why in odd.items()
    ]


_CONSTANT = "every film has it"
_ENOUGH = 20  # films, of which hardly all are of one genre


def _oddness(name: str, constant: bool) -> str:
    """Why a name does not look like a genre, "" where it does."""
    if _BRACKETS.search(name):
        return "has brackets or quotes"
    if _NUMBER.fullmatch(name):
        return "is a number"
    if _NUMBERED.search(name):
        return "has a number"
    if is_known(name):
        return _CONSTANT if constant else ""
    for delimiter in (*GENRE_DELIMITERS, *WEAK_DELIMITERS):
        pieces = name.split(delimiter)
        if len(pieces) > 1 and all(is_known(piece) for piece in pieces if piece.strip()):
            return f"has {delimiter!r} between genres"
    if says_something_else(name):
        return "looks like the name of something else"
    return _CONSTANT if constant else ""
