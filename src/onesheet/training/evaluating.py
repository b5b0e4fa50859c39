"""evaluate_file: how good a model file is on one part of a packed catalogue, as figures and as a report."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onesheet.data import PARTS, Findings, Packed
from onesheet.data.findings import FLAGS
from onesheet.errors import BundleError, CatalogueError, require
from onesheet.evaluation import Evaluation, evaluate, write_evaluation
from onesheet.evaluation.report import Example, write_report
from onesheet.genres import GenreSet
from onesheet.predict import Predictor, load, score_part
from onesheet.progress import Progress, silent
from onesheet.training.run import Run

EXAMPLES = 12  # posters of each kind in the report


def evaluate_file(
    model_path: str | Path,
    packed: Packed,
    *,
    out: str | Path,
    part: str = "test",
    run: Run | None = None,
    findings: Findings | None = None,
    draws: int = 1000,
    threads: int | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Measure a model file on one part of a packed catalogue; write `evaluation.json` and `report.html` into `out`.

    Args:
        model_path: the exported file: what is measured is what users get.
        packed: posters and truth; its genres must be the model's.
        out: the folder to write into.
        part: the part to measure on.
        run: where the file comes from, for the learning curves; None = unknown.
        findings: what the audit found, for the report; None = not known.
        draws: bootstrap draws.
        threads: cores to use; None = all.
        progress: told of the posters scored and the draws made.

    Raises:
        BundleError: the model's genres or poster size are not the store's.
    """
    for package in ("jinja2", "matplotlib"):  # before the work, not after it
        require(package, purpose="the report", extra="train")
    predictor, out = load(model_path, threads=threads), Path(out)
    check_genres(predictor.genres, packed.genres, packed.folder)
    rows = packed.rows(part)
    if not len(rows):
        raise CatalogueError(f"{str(packed.folder)!r} has no posters in part {part!r}; choose another --part")
    probabilities = score_part(predictor, packed, part, progress=progress).probabilities
    labels = packed.labels[rows]
    points = predictor.points
    evaluation = evaluate(
        labels,
        probabilities,
        genres=predictor.genres,
        points=points,
        train_labels=predictor.card.train_labels,
        part=part,
        draws=draws,
        progress=progress,
    )
    write_evaluation(out / "evaluation.json", evaluation)
    given = points["balanced"].decide(probabilities)
    write_report(
        out / "report.html",
        evaluation=evaluation,
        history=run.history if run else [],
        balance={name: packed.labels[packed.rows(name)].sum(0).tolist() for name in _parts(packed)},
        examples=_examples(packed, rows, labels, given, probabilities),
        findings=None if findings is None else {flag: (n, FLAGS[flag]) for flag, n in findings.counts.items()},
        facts=_facts(Path(model_path), predictor, packed, run),
    )
    return evaluation


def check_genres(model: GenreSet, catalogue: GenreSet, where: Path, *, model_may_have_more: bool = False) -> None:
    """The catalogue's genres are the model's, or some of them.

    Raises:
        BundleError: they are not.
    """
    if model.names == catalogue.names or (model_may_have_more and set(catalogue.names) <= set(model.names)):
        return
    strange = [name for name in catalogue.names if name not in model]
    absent = [name for name in model.names if name not in catalogue]
    raise BundleError(
        f"the genres of the model and of {str(where)!r} do not match: only the catalogue has "
        f"{', '.join(strange) or 'none'}; only the model has {', '.join(absent) or 'none'}; "
        "rename or drop genres with --genre-map"
    )


def _examples(
    packed: Packed,
    rows: NDArray[np.int64],
    labels: NDArray[np.bool_],
    given: NDArray[np.bool_],
    probabilities: NDArray[np.float32],
) -> list[Example]:
    """The posters the model is most right and most wrong about, by the likelihood of the truth, F1 first."""
    f1 = 2 * (labels & given).sum(1) / np.maximum(labels.sum(1) + given.sum(1), 1)
    clipped = np.clip(probabilities, 1e-6, 1 - 1e-6)
    likelihood = np.where(labels, np.log(clipped), np.log1p(-clipped)).sum(1)
    richness = labels.sum(1)
    best = np.lexsort((-likelihood, -richness, -f1))[:EXAMPLES]
    worst = np.lexsort((likelihood, f1))[:EXAMPLES]
    names = packed.genres
    kinds: list[tuple[Literal["best", "worst"], NDArray[np.int64]]] = [("best", best), ("worst", worst)]
    return [
        Example(
            poster=np.asarray(packed.posters[rows[i]]),
            title=packed.films[rows[i]].title or packed.films[rows[i]].film_id,
            true=names.decode(labels[i : i + 1])[0],
            given=names.decode(given[i : i + 1])[0],
            probabilities={name: float(p) for name, p in zip(names.names, probabilities[i], strict=True)},
            f1=float(f1[i]),
            kind=kind,
        )
        for kind, chosen in kinds
        for i in chosen
    ]


def _parts(packed: Packed) -> list[str]:
    """The parts that have posters: train, validation and test first."""
    return [part for part in dict.fromkeys([*PARTS, *packed.parts.tolist()]) if len(packed.rows(part))]


def _facts(model_path: Path, predictor: Predictor, packed: Packed, run: Run | None) -> dict[str, str]:
    card = predictor.card
    facts = {
        "Model file": f"{model_path.name}, {model_path.stat().st_size / 1e6:.1f} MB, {card.precision}",
        "Model": str(card.training.get("model", "unknown")),
        "Posters": ", ".join(f"{len(packed.rows(part)):,} {part}" for part in _parts(packed)),
        "Poster size": f"{card.size[0]}×{card.size[1]} pixels, {card.resize}",
    }
    if run:
        facts["Training"] = f"{run.seconds:.0f} s, epoch {run.best_epoch} of {len(run.history)} kept"
    facts["Written by"] = ", ".join(f"{name} {version}" for name, version in card.versions.items())
    facts["Date"] = card.created
    return facts
