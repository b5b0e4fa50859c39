"""The report's headline figures: which they are, what each means in plain words, and what a trivial answer reaches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onesheet.evaluation.results import Evaluation, Score
from onesheet.evaluation.verdict import above_a_coin_toss, best_baseline, compare


@dataclass(frozen=True, slots=True)
class Headline:
    """One headline figure.

    Attributes:
        name: what it is called.
        meaning: one plain sentence.
        score: the model's.
        baseline: the name and the score of the trivial answer that does best, None where none defines the figure.
        judgement: the comparison with it in words, "" without one.
        percent: whether the figure reads better as a percentage.
    """

    name: str
    meaning: str
    score: Score
    baseline: tuple[str, Score] | None
    judgement: str
    percent: bool


# Shared with the comparison of two models.
# (name, operating point or None for the ranking, key, lower is better, percent, meaning)
FIGURES: tuple[tuple[str, str | None, str, bool, bool, str], ...] = (
    ("Mean average precision", None, "macro_average_precision", False, False,
     "Sort all films by one genre's probability: how pure is the top of the list? Averaged over genres, rare ones "
     "counting as much as common ones. 1 is perfect."),
    ("Macro-F1", "balanced", "macro_f1", False, False,
     "Precision and recall in one figure, averaged over genres: a genre never found drags it down."),
    ("Micro-F1", "balanced", "micro_f1", False, False,
     "The same over all answers pooled: common genres dominate."),
    ("ROC-AUC", None, "macro_roc_auc", False, False,
     "Of a film with a genre and one without, how often the first gets the higher probability. 0.5 is a coin toss."),
    ("All right, “exact”", "exact", "exact_match", False, True,
     "Films given exactly their genres, none more, none fewer, at the point made for it."),
    ("All right, “balanced”", "balanced", "exact_match", False, True,
     "The same at the balanced point, which trades this away for finding more genres."),
    ("First guess right", None, "top1_hit", False, True,
     "Films for which the most probable genre is one of theirs."),
    ("One of three right", None, "top3_hit", False, True,
     "Films for which at least one of the three most probable genres is theirs."),
    ("Wrong answers", "balanced", "hamming_loss", True, True,
     "Yes-or-no answers, one for each film and genre, that are wrong (Hamming loss). Saying nothing scores well "
     "here, since most answers are no."),
    ("Calibration error", None, "calibration_error", True, True,
     "How far stated probabilities are from what happens, on average."),
)  # fmt: skip

_JUDGED = {
    "better": "clearly better than",
    "overlap": "intervals overlap with",
    "worse": "worse than",
    "doubtful": "not surely better than",
}


def headlines(evaluation: Evaluation) -> Iterator[Headline]:
    """The headline figures that the evaluation defines, the leading one first."""
    for name, point, key, lower_is_better, percent, meaning in FIGURES:
        scores = evaluation.ranking if point is None else evaluation.at.get(point, {})
        if key not in scores:
            continue
        baseline = best_baseline(evaluation, key, lower_is_better=lower_is_better)
        judged: str = compare(scores[key], baseline[1], lower_is_better=lower_is_better) if baseline else ""
        if key == "macro_average_precision" and judged == "better" and not above_a_coin_toss(evaluation):
            judged = "doubtful"
        yield Headline(name, meaning, scores[key], baseline, _JUDGED.get(judged, ""), percent)
