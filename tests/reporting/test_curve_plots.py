"""Where plots put what they show, in the drawing's own coordinates."""

import re

import numpy as np
import pytest

from onesheet.evaluation import Thresholds, evaluate
from onesheet.reporting.plots import SMALL_BOX, genre_reliability, house_style, precision_recall


@pytest.fixture(scope="module", params=[60, 3000])
def results(request):
    rng = np.random.default_rng(request.param)
    labels = rng.random((request.param, 2)) < (0.4, 0.1)
    probabilities = np.clip(0.25 * labels + 0.75 * rng.random(labels.shape), 0, 1).astype(np.float32)
    points = {name: Thresholds((t, t)) for name, t in (("balanced", 0.35), ("precise", 0.6), ("generous", 0.1))}
    points["exact"] = Exactly(labels)
    measured = evaluate(labels, probabilities, genres=("Drama", "War"), points=points, train_labels=labels, draws=0)
    return measured.per_genre


class Exactly:
    """A rule without thresholds, whose point no curve passes."""

    def __init__(self, labels):
        self.labels = labels

    def decide(self, probabilities):
        return self.labels & (probabilities > 0.2)


def drawn(svg):
    """The corners of the curve, and the places of the marks by whether they are filled, in the drawing's units."""
    paths = re.findall(r'<path d="([^"]+)"[^>]*style="fill: none;[^"]*stroke: var\(--accent\)', svg)
    curve = np.array([[float(x), float(y)] for x, y in re.findall(r"[ML] ([\d.]+) ([\d.]+)", paths[0])])
    marks = {True: [], False: []}
    for x, y, style in re.findall(r'<use [^>]*?x="([\d.]+)" y="([\d.]+)" style="([^"]*)"', svg):
        if "--second" in style or "--ink" in style:
            marks["--second" in style].append((float(x), float(y)))
    return curve, marks


def distance(point, curve):
    """From a point to a line of many corners."""
    start, step = curve[:-1], np.diff(curve, axis=0)
    along = ((point - start) * step).sum(axis=1) / np.maximum((step**2).sum(axis=1), 1e-12)
    nearest = start + np.clip(along, 0, 1)[:, None] * step
    return np.linalg.norm(nearest - point, axis=1).min()


def test_each_thresholds_point_is_on_its_curve_within_a_pixel(results):
    for result in results:
        with house_style():
            curve, marks = drawn(precision_recall(result))
        assert len(marks[True]) == 4 and len(marks[False]) == 1  # exact, which has no threshold, is drawn apart
        for mark in marks[True]:
            assert distance(np.array(mark), curve) < 1
        assert distance(np.array(marks[False][0]), curve) > 1
        # steps: every stroke is upright or level
        assert (np.abs(np.diff(curve, axis=0)).min(axis=1) < 0.2).all()


def test_the_marks_are_where_the_page_looks_for_them(results):
    for result in results:
        with house_style():
            _, marks = drawn(precision_recall(result))
        for name in ("balanced", "precise", "generous"):
            at = result.at[name]
            x = 170 * (SMALL_BOX["left"] + at.recall.value * SMALL_BOX["width"])
            y = 140 * (SMALL_BOX["top"] + (1 - at.precision.value) * SMALL_BOX["height"])
            assert min(np.hypot(x - left, y - down) for left, down in marks[True]) < 0.1


def test_a_genres_bins_are_drawn_with_their_intervals(results):
    for result in results:
        with house_style():
            svg = genre_reliability(result)
        assert len(re.findall(r'<use [^>]*style="fill: var\(--accent\)', svg)) == len(result.reliability)
