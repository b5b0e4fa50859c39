"""What a model says of a library's films, beside the genres they have."""

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
from onesheet.progress import Progress, silent

GenreMap = str | Path | Mapping[str, str] | None
"""A file or a mapping: genres of the model or of the library -> the names they are to have; None = no mapping."""

UNKNOWN_SHARE = 0.2
"""Share of the films with only genres unknown to the model, above which a map is needed to write."""

Names = dict[str, tuple[str, ...]]
"""A genre of the model -> what the library calls it; () where it has no name for it."""


@dataclass(frozen=True)
class Suggestion:
    """One film beside the model's answer; genres are named as the library names them.

    Attributes:
        film: the film.
        held: the genres it has, made one by the mapping -> probability; None where the model does not know the genre.
        given: the genres the model gives at the operating point -> probability, most probable first.
        probabilities: every genre of the model -> calibrated probability, most probable first.
    """

    film: LibraryFilm
    held: dict[str, float | None]
    given: dict[str, float]
    probabilities: dict[str, float]

    @property
    def reason(self) -> str:
        """ "missing": the film has no genre; "disagree": a predicted genre is not among its genres; else ""."""
        if not self.held:
            return "missing"
        return "disagree" if self.added else ""

    @property
    def added(self) -> dict[str, float]:
        """What the model gives and the film has not, most probable first."""
        return {name: value for name, value in self.given.items() if name not in self.held}

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "film": self.film.name,
            "title": self.film.title,
            "year": self.film.year,
            "reason": self.reason,
            "poster": str(self.film.poster),
            "nfo": self.film.nfo and str(self.film.nfo),
            "genres": [{"genre": name, "probability": value} for name, value in self.held.items()],
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
    progress: Progress = silent,
) -> Iterator[Suggestion | Failure]:
    """Each film with a poster beside the model's answer, in their order; an unreadable poster yields a Failure.

    Films whose NFO cannot be read are left out, as their genres are unknown.

    Args:
        films: of a library.
        predictor: the model.
        at: operating point.
        genre_map: what the library calls genres: the model's names, or other spellings of its own, to the names it is
            to have; "" drops a genre, "A|B" makes two of it. Without one, spellings and synonyms of a genre in any
            language are one genre, by the name that the library has most often.
        only_missing: predict only films without a genre, and leave the others out.
        most: at most so many genres a film.
        at_least: the probability that a genre must have besides the operating point, 0 to 1.
        progress: called with the posters read so far.

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
    asked = [(film, genres) for film, genres in zip(films, settled, strict=True) if not (only_missing and genres)]
    answers = predictor.predict_many((str(film.poster) for film, _ in asked), at=at)
    for number, ((film, genres), answer) in enumerate(zip(asked, answers, strict=True)):
        for another in film.more_posters if isinstance(answer, Failure) else ():
            (other,) = predictor.predict_many([str(another)], at=at)
            if isinstance(other, Prediction):
                answer = other
                break
        yield answer if isinstance(answer, Failure) else _suggestion(film, genres, answer, names, most, at_least)
        progress("suggest", number + 1, len(asked))


def settle_names(films: Sequence[LibraryFilm], genre_map: GenreMap, model: Sequence[str] = ()) -> Names:
    """Every genre name of a library and of a model -> what the library calls it.

    Raises:
        CatalogueError: the mapping cannot be read.
        LibraryError: the mapping has a genre that cannot be written into an NFO.
    """
    mapping = read_genre_map(genre_map or {})
    for name in mapping.values():
        if not name.isprintable():
            raise LibraryError(
                f"the genre {name!r} of the mapping cannot be written into an NFO; use letters and spaces"
            )
    own = [film.genres for film in films]
    names = list(dict.fromkeys([*(name for genres in own for name in genres), *model]))
    rows, _ = settle_genres([*own, *own, *([name] for name in names)], mapping)  # twice: the library's own names win
    settled = zip(names, rows[2 * len(own) :], strict=True)
    return {name: tuple(dict.fromkeys(part for one in row for part in split_genres(one))) for name, row in settled}


def draft_genre_map(films: Sequence[LibraryFilm], model: Sequence[str]) -> str | None:
    """A mapping to edit, as TOML, where many films have only genres that the model does not know; else None."""
    names = Counter(name for film in films for name in film.genres)
    known = match(names, model)
    strange = [film for film in films if film.genres and not any(name in known for name in film.genres)]
    if len(strange) <= UNKNOWN_SHARE * len(films):
        return None
    head = [
        "# Genres of this library that the model does not know. Write the model's name on the right,",
        f'# "A|B" for two genres, or "" to drop one: {", ".join(model)}.',
    ]
    unknown = [(name, count) for name, count in names.most_common() if name not in known]
    lines = [f"{_toml(name)} = {_toml(suggest(name, model) or name)}  # {count:,} films" for name, count in unknown]
    return "\n".join([*head, *lines, ""])


def _toml(text: str) -> str:
    """A TOML string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _suggestion(
    film: LibraryFilm, genres: Sequence[str], answer: Prediction, names: Names, most: int | None, at_least: float
) -> Suggestion:
    probabilities = _named(answer.probabilities, names)
    given = [(name, value) for name, value in _named(answer.genres, names).items() if value >= at_least]
    return Suggestion(
        film=film,
        held={name: probabilities.get(name) for name in genres},
        given=dict(given[:most]),
        probabilities=probabilities,
    )


def _named(genres: Mapping[str, float], names: Names) -> dict[str, float]:
    """By the library's names, most probable first; a name for several genres has the likeliest's value."""
    found: dict[str, float] = {}
    for genre, value in sorted(genres.items(), key=lambda pair: -pair[1]):
        for name in names[genre]:
            found.setdefault(name, value)
    return found
