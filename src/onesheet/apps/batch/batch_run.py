"""A batch from its source to its last part, begun or gone on with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from onesheet.apps.batch.batch_source import open_source
from onesheet.apps.batch.engines import ENGINES
from onesheet.apps.batch.parts import FORMS
from onesheet.apps.batch.plan import FOLDER, Plan, begin
from onesheet.apps.batch.storage import Place
from onesheet.errors import ConfigError
from onesheet.files import sole_use
from onesheet.predict import Predictor, load
from onesheet.progress import Progress, silent

PART_ROWS = 1024


class BatchDone(NamedTuple):
    """What a call of `run_batch` did.

    Attributes:
        parts: files of the batch.
        found: of these, made by earlier calls.
        posters: rows written by this call.
        unreadable: of these, with an error.
    """

    parts: int
    found: int
    posters: int
    unreadable: int


def run_batch(
    source: str | Path,
    out: str | Path,
    *,
    model: str | Path | None = None,
    engine: str = "local",
    form: str = "parquet",
    at: str = "balanced",
    part_rows: int = PART_ROWS,
    threads: int | None = None,
    verbose: bool = False,
    progress: Progress = silent,
    notify: Callable[[str], None] = lambda _: None,
) -> BatchDone:
    """Predict every poster of a source into a folder of parts, or finish what an earlier call began there.

    Args:
        source: folder, table, shards or a pattern; path or URL of any fsspec file system.
        out: folder for the parts, path or URL; only this batch may be in it.
        model: model file; None = the one that ships.
        engine: "local" or "ray".
        form: of the parts: "parquet", "csv" or "jsonl".
        at: operating point.
        part_rows: posters a part, a whole number of eights: what is lost when it is stopped; a shard is a part anyway.
        threads: local: posters decoded and scored at the same time; None = the cores this process may use.
        progress: called with the posters (or shards) that are done.
        verbose: list each file that is left out, too.
        notify: called when a folder has changed since the batch was begun.

    Raises:
        ConfigError: an option is wrong.
        CatalogueError: the source is not there or empty.
        RunError: `out` holds another batch, or other files.
        BundleError: as `load`.
        MissingExtra: a package is not installed.
        OnesheetError: another process of this machine works in the folder, a shard cannot be fetched, or a part cannot
            be written.
    """
    if part_rows < 8 or part_rows % 8:
        raise ConfigError(f"part_rows must be a multiple of 8, the posters scored at once; got {part_rows}")
    for name, value, known in (("engine", engine, ENGINES), ("form", form, FORMS)):
        if value not in known:
            raise ConfigError(f"unknown {name} {value!r}; use {', '.join(known)}")
    predictor = load(model, threads=threads)
    predictor.check(at, None)
    place, found = Place(str(out)), open_source(str(source))
    if f"{place.url}/".startswith(f"{found.location.rstrip('/')}/"):
        raise ConfigError(f"--out {place.url!r} is in the source; choose a folder outside it")
    with sole_use(Path(place.url) / FOLDER) if place.local else nullcontext():
        plan = begin(place, found, model=predictor.fingerprint, at=at, form=form, part_rows=part_rows, notify=notify)
        done = _finish(place, plan, predictor, engine, progress)
    for why, paths in found.left_out.items():
        notify(f"left out: {len(paths):,} {'file' if len(paths) == 1 else 'files'} {why}")
        for path in paths if verbose else ():
            notify(f"  {path}")
    return done


def _finish(place: Place, plan: Plan, predictor: Predictor, engine: str, progress: Progress) -> BatchDone:
    """Make the parts that are not there."""
    there = place.names()
    left = [number for number in range(plan.parts) if plan.part_name(number) not in there]
    task = "posters" if plan.kind in ("folder", "table") else "shards"
    done = plan.listed - sum(map(plan.part_listed, left))
    progress(task, done, plan.listed)
    posters = unreadable = 0
    for part in ENGINES[engine](place, plan, predictor, left) if left else ():
        done += plan.part_listed(part.number)
        posters, unreadable = posters + part.posters, unreadable + part.unreadable
        progress(task, done, plan.listed, f"{unreadable:,} unreadable" if unreadable else "")
    place.sweep()
    return BatchDone(plan.parts, plan.parts - len(left), posters, unreadable)
