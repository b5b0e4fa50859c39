"""Which posters the report shows, and what is seen on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onesheet.evaluation.confusion import count_together
from onesheet.evaluation.label_errors import SuspectLabel
from onesheet.evaluation.predictions_file import Predictions
from onesheet.packed import Packed
from onesheet.predict import HeatMap, Predictor
from onesheet.reporting.report_page import Example

EXAMPLES = 12  # posters of each kind
SUSPECTS = 24
SAMPLE = 96  # posters of the threshold explorer, at most; 3 to 5 kB each
CELLS = 128  # more of them, for the cells of the confusion table


@dataclass(frozen=True, eq=False)
class Showing:
    """Makes examples of films of one split.

    Attributes:
        predictor: for the heat maps.
        packed: the posters.
        rows: of the split in `packed`, int64 N.
        predictions: of the same N films.
    """

    predictor: Predictor
    packed: Packed
    rows: NDArray[np.int64]
    predictions: Predictions

    def examples(self, suspects: Sequence[SuspectLabel]) -> list[Example]:
        """The best hits, the most confident mistakes, the films of the most suspect labels, and a sample of all."""
        doubted: dict[int, list[int]] = {}
        for suspect in suspects:
            doubted.setdefault(suspect.film, []).append(suspect.genre)
        best, worst = self._best_and_worst()
        return [
            *(self._example(film, "best", heat=self._surest(film, right=True)) for film in best),
            *(self._example(film, "worst", heat=self._surest(film, right=False)) for film in worst),
            *(
                self._example(film, "suspect", heat=genres[0], doubted=genres)
                for film, genres in list(doubted.items())[:SUSPECTS]
            ),
            *(self._example(film, "sample") for film in self._with_cells(self._sample())),
        ]

    def _example(
        self,
        film: int,
        kind: Literal["best", "worst", "suspect", "sample"],
        *,
        heat: int | None = None,
        doubted: Sequence[int] = (),
    ) -> Example:
        predictions, names = self.predictions, self.predictions.genres.names
        poster = np.asarray(self.packed.posters[self.rows[film]])
        overlay = None if heat is None else self._heat(film, poster, heat)
        return Example(
            poster=poster,
            title=predictions.titles[film] or predictions.film_ids[film],
            true=predictions.genres.decode(predictions.labels[[film]])[0],
            predicted=predictions.genres.decode(predictions.predicted["balanced"][[film]])[0],
            probabilities=dict(zip(names, predictions.probabilities[film].tolist(), strict=True)),
            kind=kind,
            heat=None if overlay is None or heat is None else (names[heat], overlay),
            doubted=tuple(names[genre] for genre in doubted),
        )

    def _best_and_worst(self) -> tuple[list[int], list[int]]:
        """By F1 first, then by the likelihood of the truth; of hits those with most genres before."""
        labels, predicted = self.predictions.labels, self.predictions.judged
        f1 = 2 * (labels & predicted).sum(1) / np.maximum(labels.sum(1) + predicted.sum(1), 1)
        likelihood = self.predictions.log_likelihood
        best = np.lexsort((-likelihood, -labels.sum(1), -f1))[:EXAMPLES]
        worst = np.lexsort((likelihood, f1))[:EXAMPLES]
        return best.tolist(), worst.tolist()

    def _surest(self, film: int, *, right: bool) -> int | None:
        """The most probable genre that is predicted, rightly, or wrongly and else missed. None if there is none."""
        labels, predicted = self.predictions.labels[film], self.predictions.judged[film]
        wrong = predicted & ~labels
        candidates = predicted & labels if right else wrong if wrong.any() else labels & ~predicted
        return (
            int(np.where(candidates, self.predictions.probabilities[film], -1).argmax()) if candidates.any() else None
        )

    def _sample(self) -> list[int]:
        """For each genre films that have it and films that lack it, evenly from the upper end of its ranking."""
        labels, films = self.predictions.labels, len(self.predictions)
        each = max(1, SAMPLE // (2 * labels.shape[1]))
        chosen: dict[int, None] = {}
        for genre in range(labels.shape[1]):
            falling = np.argsort(-self.predictions.probabilities[:, genre], kind="stable")
            has = labels[falling, genre]
            upper = min(films, 4 * int(has.sum()) + each)
            for side in (falling[has], falling[:upper][~has[:upper]]):
                places = np.linspace(0, len(side) - 1, min(each, len(side))).round().astype(int)
                chosen |= dict.fromkeys(side[places].tolist())
        return list(chosen)[:SAMPLE]

    def _with_cells(self, chosen: list[int]) -> list[int]:
        """More films, so that each cell of the confusion table has some: its surest first, the emptiest cell's next."""
        labels, predicted = self.predictions.labels, self.predictions.predicted["balanced"]
        have, films = (count_together(labels[rows], predicted[rows]).astype(float) for rows in (chosen, slice(None)))
        taken = np.zeros(len(labels), dtype=bool)
        taken[chosen] = True
        for _ in range(CELLS):
            open_cells = have < np.minimum(films, EXAMPLES)
            if not open_cells.any():
                break
            emptiest = np.where(open_cells, have - films / (films.max() + 1), np.inf)
            row, column = np.unravel_index(int(emptiest.argmin()), have.shape)
            fitting = labels[:, row] & predicted[:, column] & ~taken
            film = int(np.where(fitting, self.predictions.probabilities[:, column], -1).argmax())
            taken[film] = True
            chosen.append(film)
            have += np.outer(labels[film], predicted[film])
        return chosen

    def _heat(self, film: int, poster: NDArray[np.uint8], genre: int) -> NDArray[np.uint8] | None:
        evidence = self.predictor.score(poster[None]).evidence
        if evidence is None:
            return None
        name, probability = self.predictions.genres.names[genre], float(self.predictions.probabilities[film, genre])
        return HeatMap(name, probability, evidence[0, genre], "evidence", poster=b"").over(poster)
