"""Predicted genres of a library's films, beside the genres that they have."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from onesheet.data.film_library.films import LibraryFilm
from onesheet.data.film_library.nfo import split_genres
from onesheet.data.genre_map import read_genre_map, settle_genres
from onesheet.data.genre_synonyms import match, suggest
from onesheet.errors import LibraryError
from onesheet.predict import Failure, Prediction, Predictor
from onesheet.progress import Progress, shown

GenreMap = str | Path | Mapping[str, str] | None
"""A file or a mapping: genres of the model or of the library -> new names; None = no mapping."""

UNKNOWN_SHARE = 0.2
"""A genre map is needed if more than this share of the films has only genres that the model does not know."""

Names = dict[str, tuple[str, ...]]
"""Genre of the model or of the library -> its names in the library; () if it is dropped."""


@dataclass(frozen=True)
class Suggestion:
    """The predicted genres of one film, with the library's names.

    Attributes:
        film: the film.
        existing: its own genres, unified -> probability in [0, 1]; None for genres that the model does not know.
        predicted: the genres predicted at the operating point -> probability in [0, 1], most probable first.
        probabilities: every genre of the model -> calibrated probability in [0, 1], most probable first.
    """

    film: LibraryFilm
    existing: dict[str, float | None]
    predicted: dict[str, float]
    probabilities: dict[str, float]

    @property
    def reason(self) -> str:
        """ "missing": the film has no genre; "disagree": a predicted genre is not among its genres; else ""."""
        if not self.existing:
            return "missing"
        return "disagree" if self.added else ""

    @property
    def added(self) -> dict[str, float]:
        """Predicted genres that the film lacks, most probable first."""
        return {name: value for name, value in self.predicted.items() if name not in self.existing}

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "film": self.film.name,
            "title": self.film.title,
            "year": self.film.year,
            "reason": self.reason,
            "poster": str(self.film.poster),
            "nfo": self.film.nfo and str(self.film.nfo),
            "genres": [{"genre": name, "probability": value} for name, value in self.existing.items()],
            "suggested": [{"genre": name, "probability": value} for name, value in self.added.items()],
            "probabilities": self.probabilities,
        }


def suggest_genres(
    films: Sequence[LibraryFilm],
    predictor: Predictor,
    *,
    at: str = "precise",
    genre_map: GenreMap = None,
    only_missing: bool = False,
    most: int | None = None,
    at_least: float = 0.0,
    progress: Progress = shown,
) -> Iterator[Suggestion | Failure]:
    """Predict the genres of each film with a poster, in order; an unreadable poster yields a Failure.

    Films whose NFO cannot be read are left out, as their genres are unknown.

    Args:
        films: of a library.
        predictor: the model.
        at: operating point.
        genre_map: genres of the model or of the library -> new names; "" drops a genre, "A|B" makes two of it. Without
            one, spellings and synonyms of a genre in any language are one genre, with the library's most frequent name.
        only_missing: predict only films without a genre, and leave the others out.
        most: at most this number of genres per film.
        at_least: lowest probability of a genre, 0 to 1, in addition to the operating point.
        progress: called with the number of posters read.

    Raises:
        ConfigError: no such operating point.
        CatalogueError: the mapping cannot be read.
        LibraryError: the mapping names a genre that cannot be written to an NFO.
    """
    predictor.check(at, None)
    films = [film for film in films if film.poster and not film.fault]
    own = settle_names(films, genre_map, predictor.genres.names)
    settled = [tuple(dict.fromkeys(new for name in film.genres for new in own[name])) for film in films]
    names = {name: own[name] for name in predictor.genres.names}
    requested = [(film, genres) for film, genres in zip(films, settled, strict=True) if not (only_missing and genres)]
    answers = predictor.predict_many((str(film.poster) for film, _ in requested), at=at)
    for number, ((film, genres), answer) in enumerate(zip(requested, answers, strict=True)):
        for another in film.more_posters if isinstance(answer, Failure) else ():
            (other,) = predictor.predict_many([str(another)], at=at)
            if isinstance(other, Prediction):
                answer = other
                break
        yield answer if isinstance(answer, Failure) else _suggestion(film, genres, answer, names, most, at_least)
        progress("suggest", number + 1, len(requested))


def settle_names(films: Sequence[LibraryFilm], genre_map: GenreMap, model: Sequence[str] = ()) -> Names:
    """Every genre name of a library and of a model -> its names in the library.

    Raises:
        CatalogueError: the mapping cannot be read.
        LibraryError: the mapping has a genre that cannot be written into an NFO.
    """
    mapping = read_genre_map(genre_map or {})
    for name in mapping.values():
        if not name.isprintable():
            raise LibraryError(f"the mapping's genre {name!r} cannot be written to an NFO; use printable characters")
    own = [film.genres for film in films]
    names = list(dict.fromkeys([*(name for genres in own for name in genres), *model]))
    rows, _ = settle_genres(
        [*own, *own, *([name] for name in names)], mapping
    )  # twice, so that the library's own names win
    settled = zip(names, rows[2 * len(own) :], strict=True)
    return {name: tuple(dict.fromkeys(part for one in row for part in split_genres(one))) for name, row in settled}


def draft_genre_map(films: Sequence[LibraryFilm], model: Sequence[str]) -> str | None:
    """A mapping to edit, as TOML, if many films have only genres that the model does not know; else None."""
    names = Counter(name for film in films for name in film.genres)
    known = match(names, model)
    unknown_only = [film for film in films if film.genres and not any(name in known for name in film.genres)]
    if len(unknown_only) <= UNKNOWN_SHARE * len(films):
        return None
    head = [
        "# Genres of this library that the model does not know. Write the model's name on the right,",
        f'# "A|B" for two genres, or "" to drop one: {", ".join(model)}.',
    ]
    unknown = [(name, count) for name, count in names.most_common() if name not in known]
    lines = [
        f"{_toml(name)} = {_toml(suggest(name, model) or name)}  # {count:,} {'film' if count == 1 else 'films'}"
        for name, count in unknown
    ]
    return "\n".join([*head, *lines, ""])


def _toml(text: str) -> str:
    """A TOML string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _suggestion(
    film: LibraryFilm, genres: Sequence[str], answer: Prediction, names: Names, most: int | None, at_least: float
) -> Suggestion:
    probabilities = _named(answer.probabilities, names)
    predicted = [(name, value) for name, value in _named(answer.genres, names).items() if value >= at_least]
    return Suggestion(
        film=film,
        existing={name: probabilities.get(name) for name in genres},
        predicted=dict(predicted[:most]),
        probabilities=probabilities,
    )


def _named(genres: Mapping[str, float], names: Names) -> dict[str, float]:
    """Rename genres to the library's names, most probable first; of genres with one name the highest value counts."""
    found: dict[str, float] = {}
    for genre, value in sorted(genres.items(), key=lambda pair: -pair[1]):
        for name in names[genre]:
            found.setdefault(name, value)
    return found
