"""Headline metrics and the verdict in words, weighed with their intervals and against the baselines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from onesheet.evaluation.caveats import in_counts
from onesheet.evaluation.results import FEW_FILMS, Bin, Evaluation, GenreResult, Score

LIKELY = 0.2
"""From here on a probability is looked at; most film-genre pairs are near 0, where every model is calibrated."""

Comparison = Literal["better", "overlap", "worse"]
Judgement = Literal["reliable", "fair", "misses", "wolf", "empty", "guess", "few"]

RELIABLE = {"precision": 0.6, "recall": 0.5, "gain": 0.1}
"""What a reliable genre reaches; `gain` is the F1 that it surely adds to predicting the genre for every film."""

JUDGEMENTS: dict[Judgement, tuple[str, str]] = {
    "reliable": (
        "reliable",
        "precision of 0.6 or more, recall of 0.5 or more, F1 surely 0.1 above predicting the genre for every film",
    ),
    "fair": ("fair", "better than predicting the genre for every film, with errors both ways"),
    "misses": ("misses many", "finds fewer than 4 of 10"),
    "wolf": ("often wrong", "right fewer than 4 of 10 times when it predicts the genre"),
    "empty": ("adds nothing", "ranks better than chance, yet its F1 is not surely above predicting it for every film"),
    "guess": ("guesses", "the interval reaches down to what chance gives"),
    "few": ("too few films", f"fewer than {FEW_FILMS} films to judge by"),
}
"""Judgement, at the balanced point -> its short name and what it means, best first."""


# Shared with the comparison of two models.
# (name, operating point or None for the ranking, key, lower is better, percent, meaning)
METRICS: tuple[tuple[str, str | None, str, bool, bool, str], ...] = (
    ("Mean average precision", None, "macro_average_precision", False, False,
     "Sort all films by one genre's probability: how pure is the top of the list? Averaged over genres, rare ones "
     "counting as much as common ones. 1 is perfect."),
    ("Macro-F1", "balanced", "macro_f1", False, False,
     "Precision and recall in one metric, averaged over genres: a genre never found drags it down."),
    ("Micro-F1", "balanced", "micro_f1", False, False,
     "The same over all predictions pooled: common genres dominate."),
    ("ROC-AUC", None, "macro_roc_auc", False, False,
     "Of a film with a genre and one without, how often the first gets the higher probability. 0.5 is a coin toss."),
    ("Exact match, “exact”", "exact", "exact_match", False, True,
     "Films with exactly their genres predicted, none more, none fewer, at the point made for it."),
    ("Exact match, “balanced”", "balanced", "exact_match", False, True,
     "The same at the balanced point, which trades this away for finding more genres."),
    ("First guess right", None, "top1_hit", False, True,
     "Films for which the most probable genre is one of theirs."),
    ("One of three right", None, "top3_hit", False, True,
     "Films for which at least one of the three most probable genres is theirs."),
    ("Wrong predictions", "balanced", "hamming_loss", True, True,
     "Yes-or-no predictions, one for each film and genre, that are wrong (Hamming loss). Saying nothing scores well "
     "here, since most predictions are no."),
    ("Calibration error", None, "calibration_error", True, True,
     "How far stated probabilities are from what happens, on average."),
)  # fmt: skip

_JUDGED = {
    "better": "clearly better than",
    "overlap": "intervals overlap with",
    "worse": "worse than",
    "doubtful": "not surely better than",
}


@dataclass(frozen=True, slots=True)
class Headline:
    """One headline metric.

    Attributes:
        name: what it is called.
        meaning: one plain sentence.
        score: the model's.
        baseline: the name and the score of the baseline that does best, None where none defines the metric.
        judgement: the comparison with it in words, "" without one.
        percent: whether the metric reads better as a percentage.
    """

    name: str
    meaning: str
    score: Score
    baseline: tuple[str, Score] | None
    judgement: str
    percent: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict in words.

    Attributes:
        headline: one sentence.
        paragraphs: what the whole is worth, one thought each.
        genres: judgement -> genres (with a word on each where it helps), in the order of `JUDGEMENTS`, none empty.
    """

    headline: str
    paragraphs: tuple[str, ...]
    genres: dict[Judgement, tuple[str, ...]]


def compare(score: Score, other: Score, *, lower_is_better: bool = False) -> Comparison:
    """Whether the intervals do not overlap, and on which side; undefined metrics "overlap".

    Example:
        >>> compare(Score(0.5, 0.4, 0.6), Score(0.2, 0.1, 0.3))
        'better'
        >>> compare(Score(0.5, 0.4, 0.6), Score(0.6, 0.5, 0.7), lower_is_better=True)
        'overlap'
    """
    above, below = score.low > other.high, score.high < other.low
    if lower_is_better:
        above, below = below, above
    return "better" if above else "worse" if below else "overlap"


def best_baseline(evaluation: Evaluation, key: str, *, lower_is_better: bool = False) -> tuple[str, Score] | None:
    """The baseline that does best on one metric, None where none defines it."""
    known = [
        (name, scores[key])
        for name, scores in evaluation.baselines.items()
        if key in scores and scores[key].value == scores[key].value
    ]
    sign = -1 if lower_is_better else 1
    return max(known, key=lambda item: sign * item[1].value, default=None)


def above_a_coin_toss(evaluation: Evaluation) -> bool:
    """Whether the ranking is surely better than chance.

    Average precision alone flatters small sets: with few films of a genre, luck lifts it above the genre's share, and
    resampling lifts it further. ROC-AUC has no such bias.
    """
    return evaluation.ranking["macro_roc_auc"].low > 0.5


def of_ten(share: float) -> str:
    """A share in [0, 1] in words.

    Example:
        >>> of_ten(0.41), of_ten(0.02), of_ten(0.97)
        ('4 of 10', 'fewer than 1 of 10', 'more than 9 of 10')
    """
    tenths = math.floor(10 * share + 0.5)
    if tenths == 0 < share:
        return "fewer than 1 of 10"
    return "more than 9 of 10" if tenths == 10 and share < 1 else f"{tenths} of 10"


def always(result: GenreResult) -> float:
    """The F1 of predicting a genre for every film."""
    return 2 * result.share / (1 + result.share)


def judge(result: GenreResult, *, at: str = "balanced") -> Judgement:
    """What a genre's metrics at one operating point amount to."""
    point = result.at[at]
    if result.support < FEW_FILMS:
        return "few"
    if not (result.roc_auc.low > 0.5 and result.average_precision.low > result.share):
        return "guess"
    if point.recall.value < 0.4:
        return "misses"
    if not point.f1.low > always(result):
        return "empty"
    if (
        point.precision.value >= RELIABLE["precision"]
        and point.recall.value >= RELIABLE["recall"]
        and point.f1.low - always(result) >= RELIABLE["gain"]
    ):
        return "reliable"
    return "wolf" if point.precision.value < 0.4 else "fair"


def verdict(evaluation: Evaluation) -> Verdict:
    """The verdict on an evaluation: a headline, a few paragraphs, and every genre in its group.

    Without bootstrap draws there are no intervals, and no verdict but this.
    """
    if not evaluation.draws:
        return Verdict("Measured without intervals, so without a verdict.", (), {})
    groups: dict[Judgement, list[GenreResult]] = {judgement: [] for judgement in JUDGEMENTS}
    for result in sorted(evaluation.per_genre, key=_by_f1, reverse=True):
        groups[judge(result)].append(result)
    paragraphs = (
        _lost(evaluation), _predictions(evaluation), _all_right(evaluation), _ranking(evaluation), _trust(evaluation),
    )  # fmt: skip
    return Verdict(
        headline=_headline(evaluation, groups),
        paragraphs=tuple(paragraph for paragraph in paragraphs if paragraph),
        genres={
            judgement: tuple(_named(judgement, result) for result in results)
            for judgement, results in groups.items()
            if results
        },
    )


def _by_f1(result: GenreResult) -> float:
    value = result.at["balanced"].f1.value
    return value if value == value else -1.0


def _named(judgement: Judgement, result: GenreResult) -> str:
    point = result.at["balanced"]
    if judgement == "misses":
        return f"{result.genre} (finds {of_ten(point.recall.value)})"
    if judgement == "wolf":
        return f"{result.genre} (right {of_ten(point.precision.value)} times)"
    if judgement == "few":
        return f"{result.genre} ({in_counts(result.support, point.predicted, point.right)})"
    return result.genre


def _headline(evaluation: Evaluation, groups: Mapping[Judgement, Sequence[GenreResult]]) -> str:
    commonest = max(evaluation.per_genre, key=lambda result: result.support)
    few = commonest.support < FEW_FILMS
    if not commonest.support:
        return "No film has a genre, so there is nothing to judge by."
    chance = best_baseline(evaluation, "macro_average_precision")
    reached = evaluation.ranking["macro_average_precision"]
    if (chance and compare(reached, chance[1]) != "better") or not above_a_coin_toss(evaluation):
        return "No better than chance, as far as these films can tell."
    at = evaluation.at["balanced"]
    precision, recall = at["micro_precision"].value, at["micro_recall"].value
    if few:
        needed = math.ceil(evaluation.films * FEW_FILMS / commonest.support)
        return (
            f"Precision {_range(at['micro_precision'])} and recall {_range(at['micro_recall'])} at balanced, on "
            f"{evaluation.films:,} films. Too few to judge a genre: {commonest.genre} has {commonest.support} of the "
            f"{FEW_FILMS} needed, which about {needed:,} films like these would have."
        )
    reliable = groups["reliable"]
    judged = sorted((one for each in groups if each != "few" for one in groups[each]), key=_by_f1)
    least = [one for one in judged if one not in reliable][:2]
    sentences = (
        f"Precision {_percent(precision)} at balanced: {of_ten(precision)} predicted genres are right.",
        f"Recall {_percent(recall)} at balanced: it finds {of_ten(recall)} true ones.",
        f"Most reliable at balanced: {_some(reliable)}." if reliable else "No genre is reliable at balanced.",
        f"Least at balanced: {_some(least)}." if least else "",
    )
    return " ".join(sentence for sentence in sentences if sentence)


def _some(results: Sequence[GenreResult], most: int = 3) -> str:
    names = [result.genre for result in results[:most]]
    if len(results) > most:
        names.append(f"{len(results) - most} more")
    return _listed(names)


def _luck(score: Score, baseline: Score) -> str:
    return {
        "better": "the intervals do not overlap, so the gain is real",
        "overlap": "the intervals overlap, so the difference may be luck",
        "worse": "that is better than the model",
    }[compare(score, baseline)]


def _ranking(evaluation: Evaluation) -> str:
    reached = evaluation.ranking["macro_average_precision"]
    chance = best_baseline(evaluation, "macro_average_precision")
    sentence = (
        f"Ranking films by probability, without an operating point, the model reaches a mean average precision of "
        f"{with_interval(reached)}"
    )
    if not chance:
        return sentence + "."
    luck = _luck(reached, chance[1])
    if compare(reached, chance[1]) == "better" and not above_a_coin_toss(evaluation):
        luck = "as its ROC-AUC is not surely above a coin toss, the difference may be luck"
    return f"{sentence}; chance gives {chance[1].value:.2f}, and {luck}."


def _lost(evaluation: Evaluation) -> str:
    """Where a baseline does better than the default, the balanced point; "" where none does."""
    lost = []
    for name, point, key, lower_is_better, percent, _ in METRICS:
        baseline = best_baseline(evaluation, key, lower_is_better=lower_is_better)
        if point != "balanced" or not baseline:
            continue
        value, theirs = evaluation.at[point][key].value, baseline[1].value
        if (value > theirs) if lower_is_better else (value < theirs):
            form = ".1%" if percent else ".3f"
            lost.append(f"{_plain(name)} ({value:{form}} against {theirs:{form}} of “{baseline[0]}”)")
    return f"At the balanced point, the default, a baseline does better on {_listed(lost)}." if lost else ""


def _plain(name: str) -> str:
    """A metric's name within a sentence that has named its operating point."""
    name = name.split(",")[0]
    return name if name.endswith("F1") else name[0].lower() + name[1:]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _predictions(evaluation: Evaluation) -> str:
    at = evaluation.at["balanced"]
    true = sum(result.support for result in evaluation.per_genre) / max(evaluation.films, 1)
    sentence = (
        f"At the balanced point it predicts {at['genres_per_film'].value:.1f} genres per film (films have {true:.1f}). "
        f"At the balanced point, micro-F1 is {with_interval(at['micro_f1'])}"
    )
    baseline = best_baseline(evaluation, "micro_f1")
    if not baseline:
        return sentence + "."
    name, score = baseline
    return f"{sentence}; predicting “{name}” every time gives {score.value:.2f}, and {_luck(at['micro_f1'], score)}."


def _all_right(evaluation: Evaluation) -> str:
    point = "exact" if "exact" in evaluation.at else "balanced"
    score = evaluation.at[point]["exact_match"]
    sentence = (
        f"At the {point} point, all genres of a film are exactly right for {_percent(score.value)} of films "
        f"({100 * score.low:.0f}–{_percent(score.high)})"
    )
    baseline = best_baseline(evaluation, "exact_match")
    if not baseline:
        return sentence + "."
    answer = {
        "better": "clearly more than",
        "overlap": "not surely more than",
        "worse": "fewer than",
    }[compare(score, baseline[1])]
    return f"{sentence}, {answer} the {_percent(baseline[1].value)} of predicting “{baseline[0]}” every time."


def _trust(evaluation: Evaluation) -> str:
    """By the pairs that are worth asking about: most are near 0, where being right is no art."""
    error = evaluation.ranking.get("calibration_error")
    if error is None or error.value != error.value:
        return ""
    likely = [one for one in evaluation.reliability if one.low > LIKELY - 1e-9 and one.pairs]
    pairs = sum(one.pairs for one in likely)
    if pairs < FEW_FILMS:
        return f"It is too seldom {_percent(LIKELY)} sure or more to say what its probabilities are worth."
    off = sum(one.pairs * _gap(one) for one in likely) / pairs
    worst = max((one for one in likely if _surely_off(one)), key=_gap, default=None)
    luck = math.sqrt(2 / math.pi) * sum(one.pairs * _standard_error(one) for one in likely) / pairs
    least = _gap(worst) / 2 if worst else 0.0
    opening = (
        "Its probabilities can be taken at their word" if max(off, least) < 0.03
        else "Its probabilities are roughly right" if max(off - luck, least) < 0.06
        else "Do not take its probabilities at their word"
    )  # fmt: skip
    where = ""
    if worst:
        where = f"; near {_percent(worst.mean_probability)} it is right {_percent(worst.true_share)} of the time"
    return (
        f"{opening}: from {_percent(LIKELY)} on they are off by {off * 100:.1f} percentage points on average "
        f"(by luck alone: {luck * 100:.1f}){where}."
    )


def _gap(one: Bin) -> float:
    return abs(one.mean_probability - one.true_share)


def _standard_error(one: Bin) -> float:
    """Of the share that is true, were the probabilities right."""
    return math.sqrt(one.mean_probability * (1 - one.mean_probability) / one.pairs)


def _surely_off(one: Bin) -> bool:
    """Two standard errors would be reached by one of a dozen bins by luck."""
    return _gap(one) > 3 * _standard_error(one)


def tiles(evaluation: Evaluation) -> Iterator[Headline]:
    """Precision, recall and exact match at the balanced point, the default, each beside a baseline.

    Precision and recall are those of one baseline, that of the best micro-F1: of each alone, another does well by
    predicting hardly anything or everything.
    """
    at = evaluation.at["balanced"]
    best = best_baseline(evaluation, "micro_f1")
    said = _JUDGED | {"overlap": _JUDGED["doubtful"]}
    for name, key, meaning in (
        ("Precision", "micro_precision", "{} predicted genres are right."),
        ("Recall", "micro_recall", "It finds {} true genres."),
        ("Exact match", "exact_match", "For {} films exactly their genres are predicted."),
    ):
        baseline = best_baseline(evaluation, key) if key == "exact_match" else best
        if baseline:
            baseline = baseline[0], evaluation.baselines[baseline[0]][key]
        words = meaning.format(of_ten(at[key].value))
        words = words[0].upper() + words[1:]
        judged = compare(at[key], baseline[1]) if baseline else ""
        yield Headline(name, words, at[key], baseline, said.get(judged, ""), True)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _range(score: Score) -> str:
    """A share with its interval: "42% (35% to 50%)"."""
    return f"{_percent(score.value)} ({_percent(score.low)} to {_percent(score.high)})"


def with_interval(score: Score) -> str:
    """A metric with its interval.

    Example:
        >>> with_interval(Score(0.312, 0.295, 0.330))
        '0.31 (0.29–0.33)'
    """
    if score.value != score.value:
        return "–"
    return f"{score.value:.2f} ({score.low:.2f}–{score.high:.2f})"


def headlines(evaluation: Evaluation) -> Iterator[Headline]:
    """The headline metrics that the evaluation defines, the leading one first."""
    for name, point, key, lower_is_better, percent, meaning in METRICS:
        scores = evaluation.ranking if point is None else evaluation.at.get(point, {})
        if key not in scores:
            continue
        baseline = best_baseline(evaluation, key, lower_is_better=lower_is_better)
        judged: str = compare(scores[key], baseline[1], lower_is_better=lower_is_better) if baseline else ""
        if key == "macro_average_precision" and judged == "better" and not above_a_coin_toss(evaluation):
            judged = "doubtful"
        yield Headline(name, meaning, scores[key], baseline, _JUDGED.get(judged, ""), percent)
