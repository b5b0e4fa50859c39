"""train: from a catalogue to a model file and its report in one call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from onesheet.data import Findings
from onesheet.errors import ConfigError, Interrupted, RunError
from onesheet.evaluation import Evaluation
from onesheet.exporting.model_file import export
from onesheet.files import sole_use
from onesheet.models import build_network, default_size
from onesheet.packed import open_packed
from onesheet.pipeline.file_evaluation import evaluate_file
from onesheet.pipeline.preparation import CONFIG, Tell, mute, prepare
from onesheet.pipeline.recipe import Recipe
from onesheet.progress import Progress, silent
from onesheet.speed.allocator import share_one_heap
from onesheet.training.config import check_same_choices
from onesheet.training.distillation import check_teachers
from onesheet.training.fitting import check_crops, fit_in
from onesheet.training.processes import Processes, processes
from onesheet.training.run import Run

RUN_FILES = (
    *("catalogue.parquet", "evaluation.json", "findings.csv", "genres.onnx", "history.csv"),
    *("predictions.csv", "report.html", "split.csv"),
)


def train(
    recipe: Recipe, out: str | Path, *, resume: bool = False, progress: Progress = silent, tell: Tell = mute
) -> Evaluation | None:
    """Read, audit, split, pack, fit, export and evaluate.

    Where several processes train (see `fit`), the first does all the rest alone.

    Leaves in `out`: genres.onnx, config.toml, catalogue.parquet, findings.csv, audit.html, split.csv, history.csv,
    evaluation.json, predictions.csv, report.html, figures/; and what a resumed run needs: packed/, run.json,
    network.safetensors (and checkpoints/ until the run is finished).

    Args:
        recipe: every choice.
        out: the run's folder.
        resume: go on where the run in `out` stopped, with the findings, the split and the posters it has by then.
        progress: told of the work in every step.
        tell: told in plain words what each step did.

    Returns:
        The figures on the test set; None in any process but the first.

    Raises:
        RunError: `out` holds a run already (and not `resume`), or one of another recipe, or training was interrupted.
        OnesheetError: what any step raises, or another process works in `out`.
    """
    share_one_heap()  # before the threads that decode posters start
    out, recipe = Path(out), recipe.resolved()
    recipe = replace(recipe, size=recipe.size or default_size(recipe.training.model))
    here = processes(recipe.training.devices, recipe.training.nodes)
    if not here.first:
        here.wait()
        fit_in(out, recipe.training, open_packed(out / "packed"), here, resume=True, progress=silent)
        return None
    with sole_use(out):
        return _train(recipe, out, here, resume=resume, progress=progress, tell=tell)


def _train(recipe: Recipe, out: Path, here: Processes, *, resume: bool, progress: Progress, tell: Tell) -> Evaluation:
    """`train` in the first process, in a folder that is its own."""
    _check_folder(recipe, out, resume=resume)
    _check_choices(recipe)
    if not resume:  # a run that goes on has kept what they said
        check_teachers(recipe.training.teacher)
    if resume and (out / "packed" / "manifest.json").exists():
        packed = open_packed(out / "packed")
        findings = Findings.read_csv(out / "findings.csv")
        findings += Findings(finding for finding in packed.findings if finding not in set(findings))
    else:
        packed, findings = prepare(recipe, out, resume=resume, progress=progress, tell=tell)
    tell(f"packed {len(packed.films):,} posters at {packed.size[0]}×{packed.size[1]}")
    here.wait()
    run = fit_in(out, recipe.training, packed, here, resume=resume, progress=progress)
    if not run.finished:
        best = f", or take the best epoch so far with: onesheet export {out} --out {out / 'genres.onnx'}"
        raise Interrupted(
            f"interrupted; go on with: onesheet train --out {out} --resume{best if run.network_path.exists() else ''}"
        )
    tell(f"trained {run.config.model} in {run.seconds:.0f} s; kept epoch {run.best_epoch} of {len(run.history)}")
    return evaluate_file(
        _exported(run, recipe, progress, tell),
        packed,
        out=out,
        run=run,
        findings=findings,
        draws=recipe.draws,
        threads=recipe.training.threads,
        progress=progress,
    )


def _exported(run: Run, recipe: Recipe, progress: Progress, tell: Tell) -> Path:
    """The run's model file, written."""
    path = run.folder / "genres.onnx"
    bundle = export(
        run,
        path,
        precision=recipe.precision,
        precision_target=recipe.precision_target,
        recall_target=recipe.recall_target,
        progress=progress,
    )
    tell(f"exported {path} ({path.stat().st_size / 1e6:.1f} MB), calibrated and checked against the network")
    for name, point in bundle.card.operating_points.items():
        if point.get("note"):
            tell(f"operating point {name!r}: {point['note']}")
    return path


def _check_choices(recipe: Recipe) -> None:
    """Refused now, not an hour later.

    Raises:
        ConfigError: no catalogue, or a network that does not go with the other choices.
    """
    if not recipe.catalogue:
        raise ConfigError("no catalogue given; name a table or a folder of posters")
    assert recipe.size
    network = build_network(recipe.training.model, genres=2, size=recipe.size, widths=recipe.training.widths)
    check_crops(recipe.training, network)


def _check_folder(recipe: Recipe, out: Path, *, resume: bool) -> None:
    """A run may start in `out`, or go on there with the same choices."""
    path = out / CONFIG
    if not path.exists():
        if resume:
            raise RunError(f"no run in {str(out)!r} to go on with; check --out or leave out --resume")
        theirs = sorted(name for name in RUN_FILES if (out / name).exists())
        if theirs:
            raise RunError(f"{str(out)!r} holds a {theirs[0]} that is no run's; choose another --out")
        return
    if not resume:
        raise RunError(f"{str(out)!r} holds a run already; go on with --resume or choose another --out")
    check_same_choices(Recipe.read(path).to_dict(), recipe.to_dict(), out)
