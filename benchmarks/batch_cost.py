"""What a batch costs in CPU seconds, memory and bytes, for docs/dev/scale.md.

python benchmarks/batch_cost.py POSTERS --posters 512 --rows 1000000
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from onesheet.apps.batch import run_batch
from onesheet.apps.batch.batch_source import Listed, Source, open_source
from onesheet.apps.batch.plan import PLAN, begin
from onesheet.apps.batch.storage import Place
from onesheet.predict import find_posters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="folder of posters")
    parser.add_argument("--posters", type=int, default=512, help="how many of them")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the lists that are planned")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plan(Path(folder) / "plan", given.rows)
        table(Path(folder), given.rows)
        score(Path(folder), find_posters([given.folder])[: given.posters])


def plan(out: Path, rows: int) -> None:
    listing = lambda: (Listed(f"posters/tt{n:07}.jpg", f"/art/posters/tt{n:07}.jpg") for n in range(rows))  # noqa: E731
    source = Source("/art", "table", listing)
    for what in ("plan", "plan of a batch gone on with"):
        seconds = cpu_seconds(
            lambda: begin(Place(str(out)), source, model="", at="", form="csv", part_rows=1024, notify=print)
        )
        notify(f"{what}, {rows:,} rows: {seconds:.1f} CPU seconds, {(out / PLAN).stat().st_size:,} bytes")


def table(folder: Path, rows: int) -> None:
    path = folder / "films.csv"
    path.write_text("path\n" + "".join(f"posters/tt{n:07}.jpg\n" for n in range(rows)))
    seconds = cpu_seconds(lambda: sum(1 for _ in open_source(str(path)).listing()))
    notify(f"CSV table, {rows:,} rows: {seconds:.1f} CPU seconds")


def score(folder: Path, posters: list[str]) -> None:
    path = folder / "posters.csv"
    path.write_text("path\n" + "".join(f"{Path(poster).absolute()}\n" for poster in posters))
    seconds = cpu_seconds(lambda: run_batch(path, folder / "out", threads=1))
    read = sum(Path(poster).stat().st_size for poster in posters) / len(posters)
    written = sum(part.stat().st_size for part in (folder / "out").glob("part-*")) / len(posters)
    each = 1000 * seconds / len(posters)
    notify(f"{len(posters):,} posters: {each:.1f} CPU ms, {read:,.0f} bytes in, {written:,.0f} out")


def cpu_seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def notify(line: str) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{line}; peak of the process so far {peak:,} MB", flush=True)


if __name__ == "__main__":
    main()
