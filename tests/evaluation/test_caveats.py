import numpy as np

from onesheet.bundle import counted
from onesheet.evaluation import Thresholds, evaluate
from onesheet.evaluation.caveats import SEEN

GENRES = ("Drama", "News", "War")
RNG = np.random.default_rng(3)
LABELS = RNG.random((200, 3)) < (0.5, 0.05, 0.1)
PROBABILITIES = np.clip(0.3 * LABELS + 0.7 * RNG.random(LABELS.shape), 0, 1)
POINTS = {"balanced": Thresholds((0.4, 0.5, 0.6))}


def expected(column):
    """A genre's clause, counted film by film."""
    predicted = [row for row in range(200) if PROBABILITIES[row, column] >= (0.4, 0.5, 0.6)[column]]
    right = sum(bool(LABELS[row, column]) for row in predicted)
    films = sum(map(bool, LABELS[:, column]))
    return f"{GENRES[column]} ({films} films, predicted {len(predicted)} times, right {right})"


def test_genres_with_too_few_films_are_listed_with_counts():
    result = evaluate(LABELS, PROBABILITIES, genres=GENRES, points=POINTS, train_labels=LABELS, draws=0, caveats=["?"])
    assert LABELS.sum(0)[0] >= 30 > LABELS.sum(0)[1:].max()
    few = f"Too few films to judge at balanced, fewer than 30: {expected(1)}, {expected(2)}."
    assert result.caveats == ("?", few)
    card = counted(LABELS, PROBABILITIES, POINTS, genres=GENRES, split="validation")
    assert card["caveats"] == [SEEN["validation"], few]
    assert counted(LABELS, PROBABILITIES, POINTS, genres=GENRES, split="test")["caveats"] == [few]
    for one, column in zip(result.per_genre, range(3), strict=True):
        assert f"predicted {one.at['balanced'].predicted} times, right {one.at['balanced'].right})" in expected(column)


def test_many_films_of_every_genre_need_no_caveat():
    labels = np.tile(LABELS, (10, 1))
    probabilities = np.tile(PROBABILITIES, (10, 1))
    result = evaluate(labels, probabilities, genres=GENRES, points=POINTS, train_labels=labels, draws=0)
    assert result.caveats == ()
