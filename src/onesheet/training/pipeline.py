"""train: from a catalogue to a model file and its report in one call; evaluate_file: the last step alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onesheet.data import (
    Catalogue,
    Findings,
    Packed,
    Split,
    audit,
    pack,
    read_catalogue,
    read_split,
    split,
    write_audit,
    write_catalogue,
)
from onesheet.data.findings import FLAGS
from onesheet.data.split import PARTS
from onesheet.errors import BundleError, CatalogueError, ConfigError, RunError
from onesheet.evaluation import Evaluation, evaluate, write_evaluation
from onesheet.evaluation.report import Example, write_report
from onesheet.files import write_text
from onesheet.genres import GenreSet
from onesheet.models import default_size
from onesheet.predict import Predictor, load, score_part
from onesheet.progress import Progress, silent
from onesheet.training.config import Recipe, to_toml
from onesheet.training.exporting import export
from onesheet.training.fitting import fit
from onesheet.training.run import Run

Tell = Callable[[str], None]
EXAMPLES = 12  # posters of each kind in the report


def mute(line: str) -> None:
    """Tell nobody."""


def train(
    recipe: Recipe, out: str | Path, *, resume: bool = False, progress: Progress = silent, tell: Tell = mute
) -> Evaluation:
    """Read, audit, split, pack, fit, export and evaluate.

    Leaves in `out`: genres.onnx, config.toml, catalogue.parquet, findings.csv, audit.html, split.csv, history.csv,
    evaluation.json, report.html; and what a resumed run needs: packed/, checkpoints/, run.json, network.safetensors.

    Args:
        recipe: every choice.
        out: the run's folder.
        resume: go on where a run in `out` stopped, with the findings and the split it made.
        progress: told of the work in every step.
        tell: told in plain words what each step did.

    Returns:
        The figures on the test part.

    Raises:
        RunError: `out` holds a run already (and not `resume`), or training was interrupted.
        OnesheetError: what any step raises.
    """
    out, recipe = Path(out), recipe.resolved()
    if not recipe.catalogue:
        raise ConfigError("no catalogue given; name a table or a folder of posters")
    if (out / "config.toml").exists() and not resume:
        raise RunError(f"{str(out)!r} holds a run already; go on with --resume or choose another --out")
    size = recipe.size or default_size(recipe.model)
    recipe = replace(recipe, size=size)
    catalogue = open_catalogue(recipe, tell=tell)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "config.toml", to_toml(recipe.to_dict()))
    catalogue = audited(catalogue, recipe, out, resume=resume, progress=progress, tell=tell)
    parts = split_by(recipe, catalogue, made=out / "split.csv" if resume else None, tell=tell)
    write_catalogue(parts.catalogue, out / "catalogue.parquet")
    parts.write_csv(out / "split.csv")
    packed = pack(parts, out / "packed", size=size, resize=recipe.resize, threads=recipe.threads, progress=progress)
    findings = parts.catalogue.findings + parts.findings + packed.findings
    findings.write_csv(out / "findings.csv")
    tell(f"packed {len(packed.films):,} posters at {size[0]}×{size[1]}")
    run = fit(recipe.training, packed, folder=out, resume=(out / "run.json").exists(), progress=progress)
    if not run.finished:
        raise RunError(f"interrupted; go on with: onesheet train --config {out / 'config.toml'} --out {out} --resume")
    tell(f"trained {run.config.model} in {run.seconds:.0f} s; kept epoch {run.best_epoch} of {len(run.history)}")
    model_path = out / "genres.onnx"
    export(
        run,
        model_path,
        precision=recipe.precision,
        precision_target=recipe.precision_target,
        recall_target=recipe.recall_target,
        progress=progress,
    )
    megabytes = model_path.stat().st_size / 1e6
    tell(f"exported {model_path} ({megabytes:.1f} MB), calibrated and checked against the network")
    return evaluate_file(model_path, packed, out=out, run=run, findings=findings, draws=recipe.draws, progress=progress)


def open_catalogue(recipe: Recipe, *, tell: Tell = mute) -> Catalogue:
    """Read the recipe's catalogues.

    Raises:
        CatalogueError: they cannot be read, or fewer than two genres are left.
    """
    catalogue = read_catalogue(
        *recipe.catalogue,
        posters=list(recipe.posters) or None,
        poster_column=recipe.poster_column,
        id_column=recipe.id_column,
        genre_column=recipe.genre_column,
        genre_map=recipe.genre_map,
        min_films=recipe.min_films,
    )
    tell(f"read {len(catalogue):,} films in {len(catalogue.genres)} genres{_left_out(catalogue.findings)}")
    return catalogue


def audited(
    catalogue: Catalogue,
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    progress: Progress = silent,
    tell: Tell = mute,
) -> Catalogue:
    """Audit a catalogue into `out` and leave out what the findings say; on resuming, by the findings made before."""
    unknown = sorted(set(recipe.keep) - set(FLAGS))
    if unknown:
        raise ConfigError(f"unknown flag {unknown[0]!r} in --keep; use {', '.join(FLAGS)}")
    if resume and (out / "findings.csv").exists():
        cleaned = Catalogue(catalogue.films, catalogue.genres).without(
            Findings.read_csv(out / "findings.csv"), keep=recipe.keep
        )
    else:
        findings = audit(catalogue, threads=recipe.threads, progress=progress)
        cleaned = catalogue.without(findings, keep=recipe.keep)
        write_audit(cleaned.findings, catalogue, out)
        tell(f"audited{_left_out(findings)}; see {out / 'audit.html'}")
    tell(f"{len(cleaned):,} films stay")
    return cleaned


def split_by(recipe: Recipe, catalogue: Catalogue, *, made: Path | None = None, tell: Tell = mute) -> Split:
    """Split by the files named, or by the split made before, or anew."""
    if recipe.split:
        parts = read_split(catalogue, *recipe.split)
    elif made and made.exists():
        parts = read_split(catalogue, made)
    else:
        parts = split(catalogue, seed=recipe.seed, validation=recipe.validation, test=recipe.test)
    sizes = ", ".join(f"{len(parts.rows(part)):,} {part}" for part in PARTS)
    tell(f"split into {sizes}{_left_out(parts.findings)}")
    return parts


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
        findings: what the audit found, for the report.
        draws: bootstrap draws.
        threads: cores to use; None = all.
        progress: told of the posters scored and the draws made.

    Raises:
        BundleError: the model's genres or poster size are not the store's.
    """
    predictor, out = load(model_path, threads=threads), Path(out)
    check_genres(predictor.genres, packed.genres, packed.folder)
    rows = packed.rows(part)
    if not len(rows):
        raise CatalogueError(f"{str(packed.folder)!r} has no posters in part {part!r}; choose another --part")
    probabilities, _ = score_part(predictor, packed, part, progress=progress)
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
        balance={name: packed.labels[packed.rows(name)].sum(0).tolist() for name in PARTS if len(packed.rows(name))},
        examples=_examples(packed, rows, labels, given, probabilities),
        findings={flag: (count, FLAGS[flag]) for flag, count in (findings or Findings()).counts.items()},
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
        for kind, chosen in (("best", best), ("worst", worst))
        for i in chosen
    ]


def _facts(model_path: Path, predictor: Predictor, packed: Packed, run: Run | None) -> dict[str, str]:
    card = predictor.card
    facts = {
        "Model file": f"{model_path.name}, {model_path.stat().st_size / 1e6:.1f} MB, {card.precision}",
        "Network": str(card.training.get("model", "unknown")),
        "Posters": ", ".join(f"{len(packed.rows(part)):,} {part}" for part in PARTS),
        "Poster size": f"{card.size[0]}×{card.size[1]} pixels, {card.resize}",
    }
    if run:
        facts["Training"] = f"{run.seconds:.0f} s, epoch {run.best_epoch} of {len(run.history)} kept"
    facts["Written by"] = ", ".join(f"{name} {version}" for name, version in card.versions.items())
    facts["Date"] = card.created
    return facts


def _left_out(findings: Findings) -> str:
    """Findings in a clause: "; left out or noted: 12 no-poster, 3 repeated-id"."""
    counts = ", ".join(f"{count:,} {flag}" for flag, count in findings.counts.items())
    return f"; noted: {counts}" if counts else ""
