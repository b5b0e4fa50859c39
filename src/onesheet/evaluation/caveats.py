"""What to know before metrics are believed: the same sentences in the console, the report, the JSON and the card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onesheet.evaluation.results import FEW_FILMS

SEEN = {
    "train": "The model was trained on these films, which makes its metrics too good.",
    "validation": "Calibration and thresholds were chosen on these films, which makes the metrics too good.",
}
"""Split of the model's own films -> what measuring on it means."""

PERHAPS_SEEN = (
    "The model may have been trained on some of these films, which makes its metrics too good; its run (--run) leaves "
    "them out."
)


def too_few(
    genres: Sequence[str], support: Sequence[int], predicted: Sequence[int], right: Sequence[int]
) -> Iterator[str]:
    """One sentence on the genres with fewer than `FEW_FILMS` films, none where there are none.

    Args:
        genres: G names.
        support: films that have each genre.
        predicted: films for which each is predicted, at the balanced point.
        right: those of them that have it.

    Example:
        >>> next(too_few(["Drama", "News"], [900, 4], [700, 23], [500, 0]))
        'Too few films to judge at balanced, fewer than 30: News (4 films, predicted 23 times, right 0).'
    """
    few = [
        f"{name} ({in_counts(films, times, hits)})"
        for name, films, times, hits in zip(genres, support, predicted, right, strict=True)
        if films < FEW_FILMS
    ]
    if few:
        yield f"Too few films to judge at balanced, fewer than {FEW_FILMS}: {', '.join(few)}."


def in_counts(films: int, predicted: int, right: int) -> str:
    """How many films have a genre, for how many it is predicted, and for how many of these rightly.

    Example:
        >>> in_counts(1, 23, 0)
        '1 film, predicted 23 times, right 0'
    """
    plural = ["" if count == 1 else "s" for count in (films, predicted)]
    return f"{films:,} film{plural[0]}, predicted {predicted:,} time{plural[1]}, right {right:,}"
