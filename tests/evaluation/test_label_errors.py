import numpy as np
import pytest

from onesheet.errors import EvaluationError
from onesheet.evaluation.label_errors import suspect_labels


def drawn(films=1500, flipped=0.04, seed=0):
    """Labels of which some are flipped, and calibrated probabilities of the true ones; the last genre is rare."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(films, 3)) * 4 - (0, 1, 5)
    probabilities = 1 / (1 + np.exp(-logits))
    true = rng.random(probabilities.shape) < probabilities
    wrong = rng.random(true.shape) < flipped
    return true ^ wrong, probabilities, wrong


def reference(labels, probabilities):
    """Off the diagonal of the confident joint, straight from the paper (Northcutt et al. 2021, equation 1), where the
    likelier answer is not the label's."""
    found = set()
    for genre in range(labels.shape[1]):
        classes = np.stack([1 - probabilities[:, genre], probabilities[:, genre]], axis=1)
        label = labels[:, genre].astype(int)
        threshold = [classes[label == c, c].mean() for c in (0, 1)]
        for film, row in enumerate(classes):
            sure = [c for c in (0, 1) if row[c] >= threshold[c]]
            if sure and max(sure, key=lambda c: row[c]) != label[film] != row.argmax():
                found.add((film, genre))
    return found


def test_the_suspects_are_those_of_the_papers_definition():
    labels, probabilities, _ = drawn()
    found = {(suspect.film, suspect.genre) for suspect in suspect_labels(labels, probabilities)}
    assert found == reference(labels, probabilities)
    assert len(found) > 50


def test_flipped_labels_stand_at_the_head_of_the_list():
    labels, probabilities, wrong = drawn()
    suspects = suspect_labels(labels, probabilities)
    flipped = [wrong[suspect.film, suspect.genre] for suspect in suspects]
    head = np.mean(flipped[: len(flipped) // 4])
    assert head > 15 * wrong.mean() and head > np.mean(flipped)
    assert [suspect.score for suspect in suspects] == sorted((suspect.score for suspect in suspects), reverse=True)


def test_what_is_said_of_a_suspect_is_so():
    labels, probabilities, _ = drawn()
    for suspect in suspect_labels(labels, probabilities):
        assert suspect.labelled == labels[suspect.film, suspect.genre]
        assert suspect.probability == probabilities[suspect.film, suspect.genre]
        assert 0 <= suspect.score <= 1


def test_the_films_order_does_not_matter():
    labels, probabilities, _ = drawn(300)
    order = np.random.default_rng(1).permutation(300)
    plain, shuffled = suspect_labels(labels, probabilities), suspect_labels(labels[order], probabilities[order])
    assert {(order[one.film], one.genre) for one in shuffled} == {(one.film, one.genre) for one in plain}


def test_a_genre_with_hardly_a_film_or_with_all_is_left_alone():
    labels, probabilities, _ = drawn(60)
    labels[:, 0], labels[:, 1] = True, np.arange(60) < 4
    assert {suspect.genre for suspect in suspect_labels(labels, probabilities)} <= {2}


def test_logits_are_rejected():
    with pytest.raises(EvaluationError, match="sigmoid"):
        suspect_labels([[1], [0]], [[3.0], [-2.0]])
