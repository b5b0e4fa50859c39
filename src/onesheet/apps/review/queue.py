"""Which films a person should look at, the likeliest to be wrong first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onesheet.data import Film
from onesheet.evaluation.label_errors import suspect_labels
from onesheet.genres import GenreSet

REASONS = ("suspect", "unsure", "no-genres")
SURE = 0.5  # a film none of whose genres is likelier than not is one the model is unsure of


@dataclass(frozen=True, slots=True)
class Case:
    """A film to look at, and why.

    Attributes:
        film: as the catalogue has it; its `genres` are () where it has none.
        reason: "suspect": a label the model contradicts confidently; "unsure": no genre is likelier than not;
            "no-genres": the catalogue names none.
        doubted: the genres whose label is suspect, the most suspect first.
        predicted: what the model gives at the balanced operating point, in column order.
        probabilities: genre -> calibrated probability, in column order.
    """

    film: Film
    reason: str
    doubted: tuple[str, ...]
    predicted: tuple[str, ...]
    probabilities: dict[str, float]


def review_queue(
    films: Sequence[Film],
    genres: GenreSet,
    probabilities: NDArray[np.float32],
    given: NDArray[np.bool_],
    *,
    held_out: bool = True,
) -> tuple[Case, ...]:
    """The films worth a look, each once.

    Suspect labels first, the most suspect in front; then films the model is unsure of, the least sure in front; then
    those without genres, the surest in front, as they are the quickest to accept.

    Args:
        films: N of them, with or without genres.
        genres: the model's, G; a film may have others.
        probabilities: calibrated, float32 N×G.
        given: at the balanced operating point, bool N×G.
        held_out: whether the model has learnt from none of them; if it has, no label looks suspect to it.

    Raises:
        MissingExtra: cleanlab is not installed.
    """
    labelled = [row for row, film in enumerate(films) if film.genres]
    doubted: dict[int, list[str]] = {}
    if held_out and labelled:
        labels = genres.encode([[name for name in films[row].genres if name in genres] for row in labelled])
        known = ~genres.encode([[name for name in films[row].unknown if name in genres] for row in labelled])
        for suspect in suspect_labels(labels, probabilities[labelled], known=known):
            doubted.setdefault(labelled[suspect.film], []).append(genres.names[suspect.genre])
    surest = probabilities.max(axis=1)
    unsure = [row for row in labelled if row not in doubted and surest[row] < SURE]
    bare = [row for row, film in enumerate(films) if not film.genres]

    def case(row: int, reason: str) -> Case:
        values = [round(float(value), 6) for value in probabilities[row]]
        return Case(
            film=films[row],
            reason=reason,
            doubted=tuple(doubted.get(row, ())),
            predicted=genres.decode(given[[row]])[0],
            probabilities=dict(zip(genres.names, values, strict=True)),
        )

    return (
        *(case(row, "suspect") for row in doubted),
        *(case(row, "unsure") for row in sorted(unsure, key=lambda row: float(surest[row]))),
        *(case(row, "no-genres") for row in sorted(bare, key=lambda row: -float(surest[row]))),
    )
