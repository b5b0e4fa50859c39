"""train: from a catalogue to a model file and its report in one call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from onesheet.errors import Interrupted
from onesheet.evaluation import Evaluation
from onesheet.exporting.model_file import export
from onesheet.files import sole_use
from onesheet.models import default_size
from onesheet.packed import open_packed
from onesheet.pipeline.file_evaluation import evaluate_file
from onesheet.pipeline.preparation import Notify, check_start, mute, prepare
from onesheet.pipeline.recipe import Recipe
from onesheet.progress import Progress, shown
from onesheet.speed.allocator import share_one_heap
from onesheet.training.fitting import check_fit, fit_in
from onesheet.training.processes import processes
from onesheet.training.run import Run


def train(
    recipe: Recipe, out: str | Path, *, resume: bool = False, progress: Progress = shown, notify: Notify = mute
) -> Evaluation | None:
    """Read, audit, split, pack, fit, export and evaluate.

    Where several processes train (see `fit`), the first does all the rest alone.

    Leaves in `out`: genres.onnx, config.toml, catalogue.parquet, findings.csv, audit.html, split.csv, history.csv,
    evaluation.json, predictions.csv, report.html, plots/; and what a resumed run needs: packed/, run.json,
    network.safetensors (and checkpoints/ until the run is finished).

    Args:
        recipe: every choice.
        out: the run's folder.
        resume: resume the run in `out`, with the findings, the split and the posters it has by then.
        progress: reports the work done in every step.
        notify: called with a line on each step.

    Returns:
        The metrics on the test set; None in any process but the first.

    Raises:
        RunError: `out` holds a run already (and not `resume`), or one of another recipe, or training was interrupted.
        OnesheetError: what any step raises, or another process works in `out`.
    """
    share_one_heap()  # before the threads that decode posters start
    out, recipe = Path(out), recipe.resolved()
    size = recipe.size or default_size(recipe.training.model)
    recipe = replace(recipe, size=size)
    here = processes(recipe.training.devices, recipe.training.nodes)
    if not here.first:
        here.wait()
        fit_in(out, recipe.training, open_packed(out / "packed"), here)
        return None
    with sole_use(out):
        check_start(recipe, out, resume=resume)
        check_fit(recipe.training, out, size=size, resume=resume)
        packed, findings = prepare(recipe, out, resume=resume, progress=progress, notify=notify)
        notify(f"packed {len(packed.films):,} posters at {packed.size[0]}×{packed.size[1]}")
        here.wait()
        run = fit_in(out, recipe.training, packed, here, progress=progress)
        _check_finished(run)
        notify(f"trained {run.config.model} in {run.seconds:.0f} s; kept epoch {run.best_epoch} of {len(run.history)}")
        path = _exported(run, recipe, progress, notify)
        return evaluate_file(
            path,
            packed,
            out=out,
            run=run,
            findings=findings,
            draws=recipe.draws,
            threads=recipe.training.threads,
            progress=progress,
        )


def _check_finished(run: Run) -> None:
    """Raise Interrupted for a run that is not."""
    if not run.finished:
        out = run.folder
        best = f", or take the best epoch so far with: onesheet export {out} --out {out / 'genres.onnx'}"
        raise Interrupted(
            f"interrupted; resume with: onesheet train --out {out} --resume{best if run.network_path.exists() else ''}"
        )


def _exported(run: Run, recipe: Recipe, progress: Progress, notify: Notify) -> Path:
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
    notify(f"exported {path} ({path.stat().st_size / 1e6:.1f} MB), calibrated and checked against the network")
    for name, point in bundle.card.operating_points.items():
        if point.get("note"):
            notify(f"operating point {name!r}: {point['note']}")
    return path
