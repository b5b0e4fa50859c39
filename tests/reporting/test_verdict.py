import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn_evaluation import NAN, evaluation, genre, score
from onesheet.evaluation.results import Bin, Score
from onesheet.reporting.verdict import best_baseline, compare, headlines, judge, of_ten, tiles, verdict, with_interval


@pytest.mark.parametrize(
    ("figures", "judgement"),
    [
        ({"f1": 0.7, "precision": 0.7, "recall": 0.7}, "reliable"),
        ({"f1": 0.55, "precision": 0.6, "recall": 0.5}, "reliable"),  # just
        ({"f1": 0.55, "precision": 0.59, "recall": 0.6}, "fair"),
        ({"f1": 0.55, "precision": 0.7, "recall": 0.49}, "fair"),
        ({"f1": 0.706, "precision": 0.57, "recall": 0.9, "share": 0.5, "ap": 0.8}, "fair"),  # 43% of its answers wrong
        ({"f1": 0.74, "precision": 0.7, "recall": 0.8, "share": 0.5, "ap": 0.8}, "fair"),  # adds 0.053, not 0.1
        ({"f1": 0.79, "precision": 0.7, "recall": 0.9, "share": 0.5, "ap": 0.8}, "reliable"),
        ({"f1": 0.5}, "fair"),
        ({"f1": 0.61, "precision": 0.7, "recall": 0.6, "ap": 0.5, "share": 0.3, "width": 0.1}, "fair"),  # not surely
        ({"f1": 0.3, "recall": 0.25}, "misses"),
        ({"f1": 0.4, "precision": 0.3, "recall": 0.6}, "wolf"),
        ({"share": 0.6, "ap": 0.7, "f1": 0.75}, "empty"),  # giving it to every film has F1 0.75
        ({"f1": 0.5, "auc": 0.51}, "guess"),
        ({"f1": 0.5, "ap": 0.11}, "guess"),  # the interval reaches down to the share
        ({"f1": 0.9, "support": 29}, "few"),
        ({"f1": 0.0, "recall": 0.0, "precision": 0.0}, "misses"),
    ],
)
def test_judgement_weighs_the_interval_and_the_trivial_answer(figures, judgement):
    assert judge(genre(**figures)) == judgement


def test_a_genre_without_films_is_too_few():
    result = dataclasses.replace(genre(support=0, share=0.0), average_precision=NAN, roc_auc=NAN)
    result.at["balanced"] = dataclasses.replace(result.at["balanced"], precision=NAN, recall=NAN, f1=NAN, predicted=23)
    assert judge(result) == "few"
    named = verdict(evaluation([result, genre("War")])).genres["few"]
    assert named == ("Drama (0 films, predicted 23 times, right 0)",)


def reliable(name, **figures):
    return genre(name, **{"f1": 0.7, "precision": 0.7, "recall": 0.7} | figures)


def evaluated(genres, *, precision=0.41, recall=0.6, **metrics):
    result = evaluation(genres)
    metrics = {"micro_precision": precision, "micro_recall": recall} | metrics
    result.at["balanced"].update({key: score(value) for key, value in metrics.items()})
    return result


def test_the_headline_says_what_is_right_how_often_and_where():
    told = verdict(
        evaluated(
            [
                reliable("Animation"),
                reliable("Horror", f1=0.8),
                genre("Mystery", auc=0.5),
                genre("Musical", recall=0.24, f1=0.3),
                genre("News", support=4, precision=0.25),
            ]
        )
    )
    assert told.headline == (
        "Precision 41% at balanced: 4 of 10 predicted genres are right. Recall 60% at balanced: it finds 6 of 10 true "
        "ones. Most reliable at balanced: Horror and Animation. Least at balanced: Musical and Mystery."
    )
    assert told.genres["misses"] == ("Musical (finds 2 of 10)",)
    assert told.genres["few"] == ("News (4 films, predicted 4 times, right 1)",)
    assert list(told.genres) == ["reliable", "misses", "guess", "few"]


@pytest.mark.parametrize(
    ("genres", "end"),
    [
        ([genre("Drama", f1=0.5)], "No genre is reliable at balanced. Least at balanced: Drama."),
        ([reliable("Drama")], "Most reliable at balanced: Drama."),
        (
            [genre("Drama", support=3), genre("War", support=1)],
            "Too few to judge a genre: Drama has 3 of the 30 needed, which about 5,000 films like these would have.",
        ),
        ([genre("Drama", support=0)], "No film has a genre, so there is nothing to judge by."),
        (
            [genre("War", precision=0.2, recall=0.6, f1=0.3), reliable("Drama")],
            "Most reliable at balanced: Drama. Least at balanced: War.",
        ),
        ([reliable(str(k), f1=0.9 - k / 100) for k in range(5)], "Most reliable at balanced: 0, 1, 2 and 2 more."),
    ],
)
def test_headlines(genres, end):
    assert verdict(evaluated(genres)).headline.endswith(end)


def test_every_sentence_on_predicted_genres_names_its_operating_point():
    told = verdict(evaluated([reliable("Drama"), genre("War")]))
    sentences = re.split(r"(?<=[^.\d]\.) ", " ".join([told.headline, *told.paragraphs]))
    assert len(sentences) > 7
    for sentence in sentences:
        assert re.search("balanced|exact|without an operating point|probabilities", sentence), sentence


def test_where_the_default_loses_to_a_baseline_it_is_said():
    result = evaluated([reliable("Drama")], exact_match=0.048, micro_f1=0.5, macro_f1=0.4, hamming_loss=0.1)
    for name, match in (("commonest label set", 0.127), ("nothing", 0.0)):
        values = {"exact_match": match, "micro_f1": 0.3, "macro_f1": 0.1, "hamming_loss": 0.2}
        result.baselines[name] = {key: score(value) for key, value in values.items()}
    del result.baselines["prior"]
    assert verdict(result).paragraphs[0] == (
        "At the balanced point, the default, a baseline does better on exact match (4.8% against 12.7% of “commonest "
        "label set”)."
    )
    result.at["balanced"]["hamming_loss"] = score(0.3)
    assert (
        "exact match (4.8% against 12.7% of “commonest label set”) and wrong predictions (30.0% against 20.0% of"
        in (verdict(result).paragraphs[0])
    )
    result.at["balanced"] |= {"exact_match": score(0.2), "hamming_loss": score(0.1)}
    assert "does better" not in " ".join(verdict(result).paragraphs)


def test_no_better_than_chance_is_said_first():
    told = verdict(evaluation([genre(f1=0.9)], ap=0.12, chance=0.1))
    assert told.headline.startswith("No better than chance")
    assert any("the difference may be luck" in paragraph for paragraph in told.paragraphs)


def test_average_precision_alone_does_not_prove_a_gain():
    result = evaluation([genre(f1=0.9)], ap=0.2, chance=0.1)
    result.ranking["macro_roc_auc"] = score(0.51)
    told = verdict(result)
    assert told.headline.startswith("No better than chance")
    assert any("coin toss, the difference may be luck" in paragraph for paragraph in told.paragraphs)
    assert next(headlines(result)).judgement == "not surely better than"


def test_a_worse_figure_is_called_worse():
    result = evaluation()
    result.at["balanced"]["micro_f1"] = score(0.1)
    result.baselines["nothing"]["micro_f1"] = score(0.5)
    result.baselines["prior"]["micro_f1"] = score(0.2)
    assert "predicting “nothing” every time gives 0.50, and that is better" in " ".join(verdict(result).paragraphs)


def test_without_baselines_or_calibration_nothing_is_claimed():
    result = dataclasses.replace(evaluation(), baselines={})
    del result.ranking["calibration_error"]
    text = " ".join(verdict(result).paragraphs)
    assert "luck" not in text and "real" not in text and "probabilities can" not in text
    assert len(verdict(result).paragraphs) == 3


def middle(mean, true, pairs=1000):
    """A diagram with nearly all pairs near 0, as it should be there, and some in one bin of the middle."""
    bins = [Bin(k / 15, (k + 1) / 15, 0, float("nan"), float("nan")) for k in range(15)]
    bins[0], k = Bin(0.0, 1 / 15, 50_000, 0.02, 0.02), int(mean * 15)
    bins[k] = Bin(k / 15, (k + 1) / 15, pairs, mean, true)
    return tuple(bins)


@pytest.mark.parametrize(
    ("diagram", "said"),
    [
        (middle(0.5, 0.49), "Its probabilities can be taken at their word: from 20% on they are off by 1.0 "),
        (middle(0.5, 0.45), "Its probabilities are roughly right: from 20% on they are off by 5.0 "),
        (middle(0.5, 0.33), "Do not take its probabilities at their word: from 20% on they are off by 17.0 "),
        (middle(0.2, 0.33), "Do not take"),  # the first bin that is looked at
        (middle(0.1, 0.3), "too seldom 20% sure"),
        (
            middle(0.5, 0.42, pairs=40),
            "Its probabilities are roughly right: from 20% on they are off by 8.0 ",
        ),  # luck: 6
        (middle(0.5, 0.3, pairs=29), "too seldom 20% sure"),
    ],
)
def test_calibration_is_told_by_the_middle_where_pairs_are_few(diagram, said):
    result = dataclasses.replace(evaluation(), reliability=diagram)
    assert result.ranking["calibration_error"].high < 0.03  # over all pairs: as good as nothing
    assert said in verdict(result).paragraphs[-1]


@pytest.mark.parametrize(("pairs", "named"), [(1000, True), (40, False)])
def test_a_bin_is_named_where_it_is_off_by_more_than_luck(pairs, named):
    told = verdict(dataclasses.replace(evaluation(), reliability=middle(0.5, 0.35, pairs))).paragraphs[-1]
    assert ("near 50% it is right 35% of the time" in told) == named


unit = st.floats(0, 1)
scores = st.tuples(unit, unit, unit).map(sorted).map(lambda three: Score(three[1], three[0], three[2]))


@given(one=scores, other=scores)
def test_comparison_is_antisymmetric_and_turns_with_the_direction(one, other):
    turned = {"better": "worse", "worse": "better", "overlap": "overlap"}
    assert compare(other, one) == turned[compare(one, other)]
    assert compare(one, other, lower_is_better=True) == turned[compare(one, other)]
    assert compare(one, one) == "overlap"
    assert compare(one, NAN) == "overlap"


@given(share=unit)
def test_every_share_has_words(share):
    assert (of_ten(share) == "10 of 10") == (share == 1)
    assert (of_ten(share) == "0 of 10") == (share == 0)


def test_the_best_baseline_knows_the_direction_and_skips_the_undefined():
    result = evaluation()
    result.baselines["nothing"]["hamming_loss"] = score(0.1)
    result.baselines["prior"]["hamming_loss"] = score(0.3)
    assert best_baseline(result, "hamming_loss", lower_is_better=True)[0] == "nothing"
    assert best_baseline(result, "hamming_loss")[0] == "prior"
    result.baselines["prior"]["hamming_loss"] = NAN
    assert best_baseline(result, "hamming_loss")[0] == "nothing"
    assert best_baseline(result, "no such figure") is None


def test_headline_figures_compare_in_their_own_direction():
    result = evaluation()
    result.at["balanced"]["hamming_loss"] = score(0.05)
    result.baselines["nothing"]["hamming_loss"] = score(0.3)
    result.baselines["prior"]["hamming_loss"] = score(0.4)
    figures = {one.name: one for one in headlines(result)}
    assert len(figures) == 10
    assert figures["Wrong predictions"].judgement == "clearly better than"
    assert figures["Wrong predictions"].baseline == ("nothing", score(0.3))
    assert figures["Calibration error"].baseline is None
    del result.at["exact"]
    assert len(list(headlines(result))) == 9


def test_the_tiles_stand_beside_one_baseline_and_the_best_label_set():
    result = evaluated([reliable("Drama")], precision=0.41, recall=0.6, exact_match=0.048)
    result.baselines.clear()
    for name, values in {
        "every genre": {"micro_precision": 0.1, "micro_recall": 1.0, "micro_f1": 0.18, "exact_match": 0.0},
        "commonest genre": {"micro_precision": 0.42, "micro_recall": 0.2, "micro_f1": 0.28, "exact_match": 0.05},
        "commonest label set": {"micro_precision": 0.3, "micro_recall": 0.2, "micro_f1": 0.25, "exact_match": 0.127},
    }.items():
        result.baselines[name] = {key: score(value) for key, value in values.items()}
    found = [(one.name, one.meaning, one.baseline, one.judgement) for one in tiles(result)]
    assert found == [
        (
            "Precision",
            "4 of 10 predicted genres are right.",
            ("commonest genre", score(0.42)),
            "not surely better than",
        ),
        ("Recall", "It finds 6 of 10 true genres.", ("commonest genre", score(0.2)), "clearly better than"),
        (
            "Exact match",
            "For fewer than 1 of 10 films exactly their genres are predicted.",
            ("commonest label set", score(0.127)),
            "worse than",
        ),
    ]
    result.baselines.clear()
    assert [(one.baseline, one.judgement) for one in tiles(result)] == [(None, "")] * 3


def test_without_draws_there_is_no_verdict():
    said = verdict(dataclasses.replace(evaluation(), draws=0))
    assert said.headline.startswith("Measured without intervals") and not said.genres and not said.paragraphs


def test_an_undefined_figure_is_a_dash():
    assert with_interval(NAN) == "–"
