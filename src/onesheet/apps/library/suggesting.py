"""What a model says of a library's films, beside the genres they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from onesheet.data.film_library.films import LibraryFilm
from onesheet.data.film_library.nfo import split_genres
from onesheet.data.genre_map import read_genre_map, settle_genres
from onesheet.errors import LibraryError
from onesheet.predict import Failure, Prediction, Predictor
from onesheet.progress import Progress, silent

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
        """ "missing": the film has no genre; "disagree": the model gives one that it has not; else ""."""
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
    genre_map: str | Path | Mapping[str, str] | None = None,
    only_missing: bool = False,
    progress: Progress = silent,
) -> Iterator[Suggestion | Failure]:
    """Each film with a poster beside the model's answer, in their order; an unreadable poster gives a Failure.

    Films whose NFO cannot be read are left out, as nobody knows their genres.

    Args:
        films: of a library.
        predictor: the model.
        at: operating point.
        genre_map: what the library calls genres: the model's names, or other spellings of its own, to the names it is
            to have; "" drops a genre, "A|B" makes two of it. Without one only case and accents are made one, as the
            library has them most often.
        only_missing: ask the model only of films without a genre, and leave the others out.
        progress: called with the posters read so far.

    Raises:
        ConfigError: no such operating point.
        CatalogueError: the mapping cannot be read.
        LibraryError: the mapping names a genre that cannot stand in an NFO.
    """
    predictor.check(at, None)
    films = [film for film in films if film.poster and not film.fault]
    settled, names = _settled(films, predictor.genres.names, genre_map)
    asked = [(film, genres) for film, genres in zip(films, settled, strict=True) if not (only_missing and genres)]
    answers = predictor.predict_many((str(film.poster) for film, _ in asked), at=at)
    for number, ((film, genres), answer) in enumerate(zip(asked, answers, strict=True)):
        yield answer if isinstance(answer, Failure) else _suggestion(film, genres, answer, names)
        progress("suggest", number + 1, len(asked))


def _settled(
    films: Sequence[LibraryFilm], model: Sequence[str], genre_map: str | Path | Mapping[str, str] | None
) -> tuple[list[tuple[str, ...]], Names]:
    """Each film's genres and the model's by their settled names."""
    mapping = read_genre_map(genre_map or {})
    for name in mapping.values():
        if not name.isprintable():
            raise LibraryError(f"the genre {name!r} of the mapping cannot stand in an NFO; use letters and spaces")
    rows, _ = settle_genres([*(film.genres for film in films), *([name] for name in model)], mapping)
    parted = [tuple(dict.fromkeys(part for name in row for part in split_genres(name))) for row in rows]
    return parted[: len(films)], dict(zip(model, parted[len(films) :], strict=True))


def _suggestion(film: LibraryFilm, genres: Sequence[str], answer: Prediction, names: Names) -> Suggestion:
    probabilities = _named(answer.probabilities, names)
    return Suggestion(
        film=film,
        held={name: probabilities.get(name) for name in genres},
        given=_named(answer.genres, names),
        probabilities=probabilities,
    )


def _named(genres: Mapping[str, float], names: Names) -> dict[str, float]:
    """By the library's names, most probable first; a name that stands for several genres has the likeliest's value."""
    found: dict[str, float] = {}
    for genre, value in sorted(genres.items(), key=lambda pair: -pair[1]):
        for name in names[genre]:
            found.setdefault(name, value)
    return found
