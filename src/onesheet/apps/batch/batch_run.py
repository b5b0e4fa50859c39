"""Run or resume a batch, from its source to its last part."""

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
from onesheet.progress import Progress, shown

PART_ROWS = 1024


class BatchDone(NamedTuple):
    """The result of `run_batch`.

    Attributes:
        parts: number of files of the batch.
        found: number of these that earlier calls made.
        posters: number of rows that this call wrote.
        unreadable: number of these with an error.
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
    progress: Progress = shown,
    notify: Callable[[str], None] = lambda _: None,
) -> BatchDone:
    """Predict every poster of a source into a folder of parts, or resume what an earlier call began there.

    Args:
        source: folder, table, shards or a pattern; path or URL of any fsspec file system.
        out: folder for the parts, path or URL; it may contain only this batch.
        model: model file; None = the bundled model.
        engine: "local" or "ray".
        form: format of the parts: "parquet", "csv" or "jsonl".
        at: operating point.
        part_rows: posters per part, a multiple of 8; a stop loses unfinished parts. A shard is always one part.
        threads: engine "local": posters decoded and scored at the same time; None = the cores of this process.
        progress: called with the number of finished posters (or shards).
        verbose: also list each file that was left out.
        notify: called with messages: what was left out, and that a folder has changed since the batch began.

    Raises:
        ConfigError: an option is wrong.
        CatalogueError: the source does not exist or is empty.
        RunError: `out` contains another batch, or other files.
        BundleError: as `load`.
        MissingExtra: a package is not installed.
        OnesheetError: another process of this machine uses the folder, a shard cannot be read, or a part cannot be
            written.
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
        raise ConfigError(f"--out {place.url!r} is inside the source; pass a folder outside it")
    with sole_use(Path(place.url) / FOLDER) if place.local else nullcontext():
        plan = begin(place, found, model=predictor.fingerprint, at=at, form=form, part_rows=part_rows, notify=notify)
        done = _finish(place, plan, predictor, engine, progress)
    for why, paths in found.left_out.items():
        notify(f"left out: {len(paths):,} {'file' if len(paths) == 1 else 'files'} {why}")
        for path in paths if verbose else ():
            notify(f"  {path}")
    return done


def _finish(place: Place, plan: Plan, predictor: Predictor, engine: str, progress: Progress) -> BatchDone:
    """Make the missing parts."""
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
