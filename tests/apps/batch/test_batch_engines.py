"""A cluster of real Ray workers gives the local engine's files, also when one dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from batch_sources import parts_of, rows_of

from onesheet.__main__ import build_parser
from onesheet.apps.batch import run_batch
from onesheet.apps.batch.engines import ENGINES
from onesheet.apps.batch.parts import FORMS
from onesheet.errors import OnesheetError

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two workers and a small object store."""
    ray.init(num_cpus=2, object_store_memory=100_000_000, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def workers() -> list[int]:
    """Ray's busy worker processes below this one."""
    parents, busy = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if (folder / "cmdline").read_bytes().startswith(b"ray::Map"):
                busy.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue

    def ours(process: int) -> bool:
        while process not in (0, os.getpid()):
            process = parents.get(process, 0)
        return process != 0

    return [process for process in busy if ours(process)]


class SlowStorage(SimpleHTTPRequestHandler):
    """A server that takes its time, and ten times as long for some."""

    def do_GET(self) -> None:
        time.sleep(0.3 if self.path.endswith("7.png") else 0.03)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.usefixtures("cluster")
def test_a_dead_worker_on_slow_storage_changes_nothing(posters: list[Path], motif_model: Path, tmp_path: Path) -> None:
    folder = posters[0].parent
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SlowStorage, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    paths = [f"{url}/{poster.relative_to(folder)}" for poster in posters]
    (tmp_path / "films.csv").write_text("path\n" + "".join(f"{path}\n" for path in paths))
    killed: list[int] = []

    def killer() -> None:
        """Kill a worker that has a part under way, once the first part is there."""
        deadline = time.monotonic() + 240
        while not killed and time.monotonic() < deadline:
            if list((tmp_path / "ray").glob("part-*")) and (busy := workers()):
                os.kill(busy[0], signal.SIGKILL)
                killed.append(busy[0])
            time.sleep(0.01)

    thread = threading.Thread(target=killer)
    thread.start()
    done = run_batch(tmp_path / "films.csv", tmp_path / "ray", model=motif_model, part_rows=8, engine="ray")
    thread.join()
    assert len(killed) == 1
    assert done == (7, 0, 53, 3)
    run_batch(tmp_path / "films.csv", tmp_path / "local", model=motif_model, part_rows=8)
    server.shutdown()
    server.server_close()
    assert parts_of(tmp_path / "ray") == parts_of(tmp_path / "local")
    assert [row["path"] for row in rows_of(tmp_path / "ray")] == paths


@pytest.mark.usefixtures("cluster")
def test_what_one_engine_began_the_other_finishes(posters: list[Path], motif_model: Path, tmp_path: Path) -> None:
    folder, out = posters[0].parent, tmp_path / "out"
    run_batch(folder, out, model=motif_model, part_rows=24)
    whole = parts_of(out)
    for number in (0, 2):
        (out / f"part-0000{number}.parquet").unlink()
    assert run_batch(folder, out, model=motif_model, part_rows=24, engine="ray") == (3, 1, 29, 3)
    assert parts_of(out) == whole


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_cannot_see_the_folder_says_so(posters: list[Path], motif_model: Path) -> None:
    with pytest.raises(
        OnesheetError, match="a Ray worker cannot see 'memory:///elsewhere'; pass --out a folder that every"
    ):
        run_batch(posters[0].parent, "memory://elsewhere", model=motif_model, engine="ray")


def test_the_command_offers_every_engine_and_form() -> None:
    for option, known in (("--engine", ENGINES), ("--format", FORMS)):
        for value in known:
            build_parser().parse_args(["batch", "posters", "--out", "out", option, value])
