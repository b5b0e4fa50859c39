"""evaluate_source: how good a model file is on packed posters, or on all films of a catalogue that it has not seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from onesheet.data import Film, Findings
from onesheet.errors import CatalogueError, OnesheetError
from onesheet.evaluation import Evaluation
from onesheet.files import sole_use
from onesheet.packed import WHOLE, Packed, Split, open_packed, pack
from onesheet.packed.splitting import read_split_rows
from onesheet.pipeline.file_evaluation import check_run, evaluate_file, require_report
from onesheet.pipeline.preparation import Notify, mute, whole_catalogue
from onesheet.pipeline.recipe import Recipe
from onesheet.predict import load
from onesheet.progress import Progress, shown
from onesheet.training.run import Run, open_run


def evaluate_source(
    model_path: str | Path,
    source: str | Path,
    recipe: Recipe,
    *,
    out: str | Path,
    split: str = "test",
    run_folder: str | Path | None = None,
    findings_path: str | Path | None = None,
    progress: Progress = shown,
    notify: Notify = mute,
) -> Evaluation:
    """Measure a model file on a split of a packed folder, or on all films of a catalogue; see `evaluate_file`.

    Args:
        model_path: the model file.
        source: a packed folder or a catalogue; a catalogue's posters are packed into `out`.
        recipe: how the catalogue is read, `draws` and threads.
        out: the folder to write into.
        split: of a packed folder.
        run_folder: the model's run: a catalogue's films that it was trained on are left out; None = unknown.
        findings_path: `findings.csv` of an audit of the packed folder, for the report; None = the run's, if any.
        progress: reports the work done.
        notify: called with a line on each step.

    Raises:
        CatalogueError: the catalogue cannot be read, or the run was trained on all its films.
        RunError: the model file does not come from the run.
        OnesheetError: another process works in `out`, or what a step raises.
    """
    require_report()
    run = open_run(run_folder) if run_folder else None
    with sole_use(out):
        if (Path(source) / "manifest.json").is_file():
            packed = open_packed(source)
            path = Path(findings_path) if findings_path else run.folder / "findings.csv" if run else None
            findings = Findings.read_csv(path) if path and (findings_path or path.exists()) else None
        else:
            recipe, split = replace(recipe, catalogue=(str(source),)), WHOLE
            packed, findings = _packed_catalogue(Path(model_path), recipe, Path(out), run, progress, notify)
        return evaluate_file(
            model_path,
            packed,
            out=out,
            split=split,
            run=run,
            findings=findings,
            draws=recipe.draws,
            threads=recipe.training.threads,
            progress=progress,
        )


def _packed_catalogue(
    model_path: Path, recipe: Recipe, out: Path, run: Run | None, progress: Progress, notify: Notify
) -> tuple[Packed, Findings]:
    """A whole catalogue packed as the model takes posters, as one split, and what was found on the way."""
    predictor = load(model_path)
    if run:
        check_run(predictor, run)
    catalogue = whole_catalogue(
        recipe,
        predictor.genres,
        choose=lambda films: _unseen(films, run, notify) if run else films,
        progress=progress,
        notify=notify,
    )
    packed = pack(
        Split.whole(catalogue),
        out / "packed",
        size=predictor.card.size,
        resize=predictor.card.resize,
        threads=recipe.training.threads,
        progress=progress,
    )
    return packed, catalogue.findings + packed.findings


def _unseen(films: tuple[Film, ...], run: Run, notify: Notify) -> tuple[Film, ...]:
    """The films that the run did not train or validate on.

    Raises:
        CatalogueError: it was trained on them all, or nothing records which.
    """
    seen = {film_id for film_id, split in _splits_of(run) if split != "test"}
    unseen = tuple(film for film in films if film.film_id not in seen)
    notify(f"left out {len(films) - len(unseen):,} films that the model was trained on")
    if not unseen:
        raise CatalogueError(f"the run in {str(run.folder)!r} was trained on every film of this catalogue; use others")
    return unseen


def _splits_of(run: Run) -> Iterable[tuple[str, str]]:
    """Each film's id and split: from the file that `train` writes, else from the store that `fit` was given.

    Raises:
        CatalogueError: neither is there as it was.
    """
    path = run.folder / "split.csv"
    if path.exists():
        return read_split_rows(path)
    try:
        packed = run.packed()
    except OnesheetError as error:
        raise CatalogueError(
            f"what the run in {str(run.folder)!r} was trained on is not known: it has no split.csv, and {error}; "
            "or leave out --run"
        ) from error
    return zip((film.film_id for film in packed.films), packed.splits, strict=True)
