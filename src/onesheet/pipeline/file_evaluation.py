"""evaluate_file: how good a model file is on one split of a packed catalogue, as metrics and as a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onesheet.data import Film, Findings
from onesheet.data.findings import FLAGS
from onesheet.errors import CatalogueError, MissingExtra, RunError, UnreadablePoster, require
from onesheet.evaluation import Evaluation, OperatingPoint, Thresholds, evaluate, write_evaluation
from onesheet.evaluation.caveats import PERHAPS_SEEN, SEEN
from onesheet.evaluation.label_errors import SuspectLabel, suspect_labels
from onesheet.evaluation.predictions_file import Predictions, write_predictions
from onesheet.evaluation.slices import Slice, slice_metrics
from onesheet.evaluation.threshold_steps import ThresholdSteps, threshold_steps
from onesheet.genres import check_genres
from onesheet.images import poster_size
from onesheet.packed import SPLITS, WHOLE, Packed
from onesheet.pipeline.report_examples import Showing
from onesheet.predict import Predictor, load, score_split
from onesheet.progress import Progress, shown
from onesheet.reporting.plot_files import write_sheets
from onesheet.reporting.report_page import write_report
from onesheet.threads import in_order
from onesheet.training.run import Run

FEW_FILMS = 30  # smaller slices say nothing
WIDTHS = (0, 200, 400, 800)  # bands of poster widths, in pixels, begin here


def evaluate_file(
    model_path: str | Path,
    packed: Packed,
    *,
    out: str | Path,
    split: str = "test",
    run: Run | None = None,
    findings: Findings | None = None,
    facts: Mapping[str, str] | None = None,
    draws: int = 1000,
    threads: int | None = None,
    progress: Progress = shown,
) -> Evaluation:
    """Measure a model file on one split of a packed catalogue; write what was found into `out`.

    A model that was adopted without a catalogue knows no training films: its baselines are the measured split's
    own, as good as they can be. What is written is `evaluation.json`, `predictions.csv`,
    `report.html` and `plots/`: its plots and their numbers.

    Args:
        model_path: the exported file: what is measured is what users get.
        packed: posters and truth; its genres must be the model's.
        out: the folder to write into.
        split: the split to measure on.
        run: where the file comes from, for the learning curves; None = unknown.
        findings: what the audit found, for the report; None = not known.
        facts: more facts for the report, by name.
        draws: bootstrap draws.
        threads: cores to use; None = all.
        progress: reports the posters scored, the draws made and the report written.

    Raises:
        BundleError: the model's genres or poster size are not the store's.
        RunError: the file does not come from the run.
    """
    require_report()  # before the work, not after it
    predictor, out = load(model_path, threads=threads), Path(out)
    if run:
        check_run(predictor, run)
    check_genres(predictor.genres, packed.genres, packed.folder)
    rows = packed.rows(split)
    if not len(rows):
        raise CatalogueError(f"{str(packed.folder)!r} has no posters in split {split!r}; choose another --split")
    probabilities = score_split(predictor, packed, split, progress=progress).probabilities
    predictions = _predictions(predictor, packed, rows, probabilities)
    evaluation = evaluate(
        predictions.labels,
        probabilities,
        genres=predictor.genres,
        points=predictor.points,
        train_labels=trained if len(trained := predictor.card.train_labels) else predictions.labels,
        known=predictions.known,
        split=split,
        draws=draws,
        caveats=_caveats(predictor, packed, split, run),
        progress=progress,
    )
    write_evaluation(out / "evaluation.json", evaluation)
    write_predictions(out / "predictions.csv", predictions)
    facts = _facts(Path(model_path), predictor, packed, run) | dict(facts or {})
    showing = Showing(predictor, packed, rows, predictions)
    _show(out, evaluation, showing, facts=facts, run=run, findings=findings, threads=threads, progress=progress)
    return evaluation


def _caveats(predictor: Predictor, packed: Packed, split: str, run: Run | None) -> list[str]:
    """Whether the model has seen these films."""
    if predictor.card.data.get("fingerprint") == packed.fingerprint:
        return [SEEN[split]] if split in SEEN else []
    return [] if run and split == WHOLE else [PERHAPS_SEEN]  # a catalogue's films that the run has seen are left out


def check_run(predictor: Predictor, run: Run) -> None:
    """A model file comes from a run, as far as the posters say that both learnt from.

    Raises:
        RunError: it does not.
    """
    if predictor.card.data.get("fingerprint") != run.fingerprint:
        raise RunError(
            f"the model file does not come from the run in {str(run.folder)!r}, which learnt from other posters; "
            "name its own run or leave out --run"
        )


def require_report() -> None:
    """What writes the report is installed.

    Raises:
        MissingExtra: it is not.
    """
    for package in ("jinja2", "matplotlib"):
        require(package, purpose="the report", extra="adapt")


def _show(
    out: Path,
    evaluation: Evaluation,
    showing: Showing,
    *,
    facts: dict[str, str],
    run: Run | None,
    findings: Findings | None,
    threads: int | None,
    progress: Progress,
) -> None:
    """Write the report, and its metrics beside it."""
    predictions, packed = showing.predictions, showing.packed
    progress("report", 0, 4, "suspect labels and slices")
    suspects = _suspects(predictions) if evaluation.split != "train" else None
    content: dict[str, Any] = {
        "evaluation": evaluation,
        "history": run.history if run else [],
        "by_films": run.by_films if run else [],
        "balance": {name: packed.labels[packed.rows(name)].sum(0).tolist() for name in _splits(packed)},
        "steps": _steps(predictions, showing.predictor.points),
        "slices": _slices((packed.films[row] for row in showing.rows), predictions, evaluation.draws, threads),
        "suspects": suspects,
    }
    progress("report", 1, 4, "example posters")
    examples = showing.examples(suspects or ())
    progress("report", 2, 4, "plots")
    write_sheets(out / "plots", predictions=predictions, **content)
    progress("report", 3, 4, "the page")
    write_report(
        out / "report.html",
        examples=examples,
        findings=None if findings is None else {flag: (n, FLAGS[flag]) for flag, n in findings.counts.items()},
        audit="audit.html" if (out / "audit.html").is_file() else None,
        facts=facts,
        **content,
    )
    progress("report", 4, 4)


def _suspects(predictions: Predictions) -> tuple[SuspectLabel, ...] | None:
    """Suspected label errors; None where the package that finds them is not installed."""
    try:
        return suspect_labels(predictions.labels, predictions.probabilities, known=predictions.known)
    except MissingExtra:
        return None


def _predictions(
    predictor: Predictor, packed: Packed, rows: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> Predictions:
    film_ids, titles, posters = [], [], []
    for row in rows:
        film = packed.films[row]
        film_ids.append(film.film_id)
        titles.append(film.title)
        posters.append(film.poster)
    return Predictions(
        film_ids=tuple(film_ids),
        titles=tuple(titles),
        posters=tuple(posters),
        genres=predictor.genres,
        labels=packed.labels[rows],
        probabilities=probabilities,
        predicted={name: point.decide(probabilities) for name, point in predictor.points.items()},
        known=packed.known_in(rows),
    )


def _steps(predictions: Predictions, points: Mapping[str, OperatingPoint]) -> dict[str, ThresholdSteps]:
    """What moving each genre's threshold does."""
    ruled = {name: point.thresholds for name, point in points.items() if isinstance(point, Thresholds)}
    return {
        genre: threshold_steps(
            *predictions.of_genre(column),
            points={name: thresholds[column] for name, thresholds in ruled.items()},
        )
        for column, genre in enumerate(predictions.genres.names)
    }


def _slices(
    films: Iterable[Film], predictions: Predictions, draws: int, threads: int | None
) -> dict[str, tuple[Slice, ...]]:
    """By decade, source and poster size, as far as they are known and divide the films."""
    kinds: dict[str, list[str]] = {"Decade": [], "Source": []}
    for film in films:  # one at a time: a million take a lot of memory
        kinds["Decade"].append(f"{film.year // 10 * 10}s" if film.year else "")
        kinds["Source"].append(film.source)
    kinds["Poster file"] = list(in_order(_poster_width, predictions.posters, threads=threads, ahead=64))
    slices = {}
    for kind, names in kinds.items():
        found = np.array(names)
        groups = {str(name): np.flatnonzero(found == name) for name in sorted({*names} - {""}, key=_by_number)}
        groups = {name: rows for name, rows in groups.items() if len(rows) >= FEW_FILMS}
        if len(groups) > 1:
            slices[kind] = slice_metrics(
                predictions.labels,
                predictions.probabilities,
                predictions.predicted["balanced"],
                groups=groups,
                known=predictions.known,
                draws=draws,
            )
    return slices


def _by_number(name: str) -> tuple[int, str]:
    return int(name.split()[0]) if name.split()[0].isdecimal() else 0, name


def _poster_width(path: str) -> str:
    """The band of the poster file's width, "" where the file is not there any more."""
    try:
        width = poster_size(path)[1]
    except UnreadablePoster:
        return ""
    low = max(bound for bound in WIDTHS if bound <= width)
    above = [bound for bound in WIDTHS if bound > low]
    return f"{low} to {above[0] - 1} pixels wide" if above else f"{low} pixels wide or more"


def _splits(packed: Packed) -> list[str]:
    """The splits that have posters: train, validation and test first."""
    return [split for split in dict.fromkeys([*SPLITS, *packed.splits.tolist()]) if len(packed.rows(split))]


def _facts(model_path: Path, predictor: Predictor, packed: Packed, run: Run | None) -> dict[str, str]:
    card = predictor.card
    facts = {
        "Model file": f"{model_path.name}, {model_path.stat().st_size / 1e6:.1f} MB, {card.precision}",
        "Model": str(card.training.get("model", "unknown")),
        "Posters": ", ".join(f"{len(packed.rows(split)):,} {split}" for split in _splits(packed)),
        "Poster size": f"{card.size[0]}×{card.size[1]} pixels, {card.resize}",
    }
    for number, line in enumerate(packed.understood_lines, 1):
        facts[f"Catalogue, {number}"] = line
    source = card.training.get("source")
    if source:
        facts["Starts from"] = f"{source['file']}, SHA-256 {source['sha256']}"
        if films := source.get("films"):
            facts["Films of its source"] = f"{films:,}; those among yours make these metrics too good"
        facts["Source’s answer kept"] = ", ".join(card.training["kept"]) or "for no genre"
        facts["New genres"] = ", ".join(name for name in card.genres if name not in card.training["known"]) or "none"
    if run and source:
        facts["Training"] = f"{run.seconds:.0f} s"
    elif run:
        facts["Training"] = f"{run.seconds:.0f} s, epoch {run.best_epoch} of {len(run.history)} kept"
    facts["Written by"] = ", ".join(f"{name} {version}" for name, version in card.versions.items())
    facts["Date"] = card.created
    return facts
