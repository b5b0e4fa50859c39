import dataclasses
import re

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, f1_score

from drawn_evaluation import ANSWERED_GENRES as GENRES
from drawn_evaluation import answers
from onesheet.errors import EvaluationError
from onesheet.evaluation.comparison import compare_predictions
from onesheet.evaluation.predictions_file import read_predictions, write_predictions
from onesheet.reporting.comparison_page import conclusion, paired_headlines, write_comparison


class TestFile:
    def test_what_is_written_is_read(self, tmp_path):
        written = dataclasses.replace(answers(20), titles=("a\udcff\r\n",) + ("",) * 19)
        write_predictions(tmp_path / "predictions.csv", written)
        read = read_predictions(tmp_path / "predictions.csv")
        for name in ("film_ids", "titles", "posters", "genres"):
            assert getattr(read, name) == getattr(written, name)
        assert (read.probabilities == written.probabilities).all() and read.probabilities.dtype == np.float32
        assert (read.labels == written.labels).all()
        assert all((read.predicted[point] == given).all() for point, given in written.predicted.items())

    def test_the_same_answers_are_the_same_bytes(self, tmp_path):
        for name in "ab":
            write_predictions(tmp_path / name, answers(20))
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    @pytest.mark.parametrize("spoil", [
        lambda text: "",
        lambda text: "film_id,title\n1,2\n",
        lambda text: text.replace("probability of Drama", "chance of Drama"),
        lambda text: text.replace("Drama", "Western", 1),
        lambda text: text + text.splitlines()[-1] + "\n",
        lambda text: text.splitlines()[0] + "\n",
    ])  # fmt: skip
    def test_anything_else_is_rejected(self, tmp_path, spoil):
        path = tmp_path / "predictions.csv"
        write_predictions(path, answers(20))
        path.write_text(spoil(path.read_text()))
        with pytest.raises(EvaluationError, match="not a predictions file"):
            read_predictions(path)

    def test_no_file(self, tmp_path):
        with pytest.raises(EvaluationError, match="run: onesheet evaluate"):
            read_predictions(tmp_path / "predictions.csv")


class TestDifferences:
    def test_values_are_those_of_scikit_learn(self):
        one, other = answers(seed=1), answers(seed=2, skill=1.3)
        result = compare_predictions(one, other, draws=0)
        for paired, each in ((result.ranking["macro_average_precision"].one, one),
                             (result.ranking["macro_average_precision"].other, other)):  # fmt: skip
            expected = average_precision_score(each.labels, each.probabilities, average="macro")
            assert paired.value == pytest.approx(expected)
        for genre, paired in enumerate(result.per_genre["f1"]):
            f1 = [f1_score(each.labels[:, genre], each.predicted["balanced"][:, genre]) for each in (one, other)]
            assert (paired.one.value, paired.other.value) == pytest.approx(f1)
            assert paired.difference.value == pytest.approx(f1[1] - f1[0])

    def test_intervals_are_those_of_scipys_paired_bootstrap(self):
        """On a mean over films, where the bootstrap's bias is nothing."""
        one, other = answers(seed=1), answers(seed=2, skill=1.2)
        right = [(each.predicted["balanced"] == each.labels).all(axis=1).astype(float) for each in (one, other)]
        reference = stats.bootstrap(
            right, lambda a, b, axis: b.mean(axis=axis) - a.mean(axis=axis),
            paired=True, vectorized=True, method="percentile", n_resamples=8000, rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        found = compare_predictions(one, other, draws=4000).at["balanced"]["exact_match"].difference
        assert found.low == pytest.approx(reference.low, abs=0.006)  # two films
        assert found.high == pytest.approx(reference.high, abs=0.006)  # two films

    def test_pairing_narrows_the_interval(self):
        one = answers(seed=1)
        nearly = dataclasses.replace(one, probabilities=(one.probabilities * 0.99).astype(np.float32))
        paired = compare_predictions(one, nearly, draws=200).ranking["calibration_error"]
        assert paired.difference.high - paired.difference.low < (paired.one.high - paired.one.low) / 2

    def test_a_model_against_itself_is_no_different(self):
        result = compare_predictions(answers(), answers(), draws=50)
        everything = [*result.ranking.values(), *result.at["precise"].values(), *result.per_genre["average_precision"]]
        for paired in everything:
            assert paired.one == paired.other and paired.surely == 0
            assert (paired.difference.low, paired.difference.value, paired.difference.high) == (0, 0, 0)
        assert not result.only_one and not result.only_other
        assert result.both + result.neither == 400

    def test_a_better_model_is_surely_better_both_ways_round(self):
        worse, better = answers(seed=1, skill=0.3), answers(seed=2, skill=2)
        forth, back = compare_predictions(worse, better, draws=200), compare_predictions(better, worse, draws=200)
        for key in ("macro_average_precision", "macro_roc_auc", "top1_hit"):
            assert forth.ranking[key].surely == 1 and back.ranking[key].surely == -1
            assert forth.ranking[key].difference.value == pytest.approx(-back.ranking[key].difference.value)
        assert forth.only_other == back.only_one and len(forth.only_other) > len(forth.only_one)

    def test_films_that_one_alone_got_right(self):
        one, other = answers(seed=1), answers(seed=2)
        result = compare_predictions(one, other, draws=0)
        right = [(each.predicted["balanced"] == each.labels).all(axis=1) for each in (one, other)]
        assert set(result.only_one) == set(np.flatnonzero(right[0] & ~right[1]))
        assert set(result.only_other) == set(np.flatnonzero(right[1] & ~right[0]))
        assert result.both == (right[0] & right[1]).sum()

    def test_the_order_of_the_films_does_not_matter(self):
        one, other = answers(seed=1), answers(seed=2)
        shuffled = other.rows(np.random.default_rng(0).permutation(400).tolist())
        plain, same = (compare_predictions(one, each, draws=20) for each in (other, shuffled))
        assert plain.ranking == same.ranking and plain.only_one == same.only_one


def test_no_difference_of_a_few_films_is_marked(tmp_path):
    result = compare_predictions(answers(120, skill=0.1, seed=1), answers(120, skill=4, seed=2), draws=100)
    assert result.support[2] < 30 <= min(result.support[:2])
    assert result.per_genre["f1"][2].surely == 1  # by the draws alone
    write_comparison(tmp_path / "compare.html", result, name_one="old", name_other="new")
    text = (tmp_path / "compare.html").read_text(encoding="utf-8")
    rows = {
        name: re.search(f'<tr[^>]*><th scope="row" data-value="{name}">.*?</tr>', text, re.DOTALL)[0] for name in GENRES
    }
    assert [("too few films" in row, 'class="sure"' in row) for row in rows.values()] == [
        (False, True), (False, True), (True, False),
    ]  # fmt: skip


def test_nothing_is_concluded_from_a_few_films():
    result = compare_predictions(answers(29, skill=0.1, seed=1), answers(29, skill=4, seed=2), draws=100)
    assert result.ranking["macro_average_precision"].surely == 1  # by the draws alone
    assert {each.better for each in paired_headlines(result)} == {""}
    assert conclusion(result, "old", "new") == "Too few films to say which is better: 29, where 30 are needed."


class TestRejections:
    def test_other_films(self):
        with pytest.raises(EvaluationError, match=r"measured on other films .100 are in only one"):
            compare_predictions(answers(400), answers(300))

    def test_other_labels(self):
        other = answers()
        other.labels[3] ^= True
        with pytest.raises(
            EvaluationError, match=r"^1 film has other labels .* RUN_B/packed --out A, onesheet evaluate RUN_B/"
        ):
            compare_predictions(answers(), other)
        other.labels[4] ^= True
        with pytest.raises(EvaluationError, match=r"^2 films have other labels"):
            compare_predictions(answers(), other)

    def test_other_genres(self):
        with pytest.raises(EvaluationError, match="only one has Horror, Thriller"):
            compare_predictions(answers(), answers(genres=GENRES[:2]))
