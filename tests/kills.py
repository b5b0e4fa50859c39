"""Steps killed at random moments and started again: nothing lost, nothing doubled, no half file taken for whole.

As a script it makes many trials and says what they showed: `python tests/kills.py --trials 200`. A trial kills a step
up to three times, either just before its k-th operation on files (in the middle of it, where that writes pixels) or
after a random time; after each kill it looks at what is there, and in the end lets the step finish and compares
with a step that was never killed. Steps are forks of one process that has imported everything.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # forks of a process with more of them would hang

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import MobileNetV2Config, MobileNetV2Model

from motifs import MOTIFS, draw_poster
from onesheet.data import Catalogue, Film, Split, open_packed, pack, split, write_catalogue
from onesheet.errors import PackError
from onesheet.genres import GenreSet
from onesheet.review import DecisionStore, corrected
from onesheet.training import TrainConfig, callbacks, export, fit, open_run

MOST_KILLS = 3
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
AUDITED = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "fcntl.flock"}
CALLS = ("fsync", "pwrite", "posix_fallocate")


class Operations:
    """Counts this process's operations on files, and kills it at one of them."""

    def __init__(self, die_at: int | None) -> None:
        self.count, self._die_at = 0, die_at

    def watch(self) -> None:
        """Begin; for the rest of the process."""
        sys.addaudithook(self._heard)
        for name in CALLS:
            setattr(os, name, self._counted(getattr(os, name)))

    def step(self, half: Callable[[], Any] = lambda: None) -> None:
        """One operation is about to be; `half` does half of it."""
        self.count += 1
        if self.count == self._die_at:
            half()
            os.kill(os.getpid(), signal.SIGKILL)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in AUDITED or (event == "open" and arguments[2] and arguments[2] & WRITING):
            self.step()

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any) -> Any:
            whole = call is not pwrite
            self.step(
                lambda: None if whole else call(arguments[0], arguments[1][: len(arguments[1]) // 2], arguments[2])
            )
            return call(*arguments)

        return counting


pwrite = os.pwrite


def forked(
    work: Callable[[Operations], object], *, die_at: int | None = None, after: float | None = None
) -> tuple[bool, int]:
    """Work in a fork. Returns whether it was killed, and how many operations on files it made (where it was not).

    Raises:
        AssertionError: it failed by itself.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            operations = Operations(die_at)
            operations.watch()
            work(operations)
            os.write(writing, str(operations.count).encode())
            os._exit(0)
        except BaseException:
            os.write(writing, traceback.format_exc().encode()[-60_000:])
            os._exit(1)
    os.close(writing)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as said:
        text = said.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), text
    return status != 0, int(text) if status == 0 and text else 0


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Step:
    """One step of the work, on drawn posters."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def prepare(self) -> None:
        """What the step starts from."""

    def begin(self, folder: Path, chance: random.Random) -> None:
        """What a trial finds in its folder."""

    def work(self, folder: Path, operations: Operations) -> None:
        """The step, started anew or again."""
        raise NotImplementedError

    def look(self, folder: Path, reference: Path) -> None:
        """After a kill: what is there is whole, or is not taken for it."""

    def compare(self, folder: Path, reference: Path) -> None:
        """In the end: as if it had never been killed."""
        found, expected = contents(folder), contents(reference)
        assert sorted(found) == sorted(expected)
        assert not (differing := [name for name in found if found[name] != expected[name]]), differing


def drawn(folder: Path, films: int) -> Split:
    """A split of drawn posters, two of them broken."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    made = []
    for number in range(films):
        genres = [genre for genre, (chance, *_) in MOTIFS.items() if rng.random() < chance] or ["Comedy"]
        path = folder / f"{number}.png"
        Image.fromarray(draw_poster(genres, rng)).save(path)
        made.append(Film(f"f{number}", str(path), tuple(genres)))
    for number in (3, 20):
        (folder / f"{number}.png").write_bytes(b"no picture")
    return split(Catalogue(tuple(made), GenreSet(MOTIFS)), seed=0, validation=0.25, test=0.1)


class Packing(Step):
    def prepare(self) -> None:
        module = import_module("onesheet.data.pack")
        module.CHUNK, module._SLAB = 8, 4
        self.split = drawn(self.base / "posters", 60)

    def work(self, folder: Path, operations: Operations) -> None:
        pack(self.split, folder / "packed", size=(24, 16), threads=2)

    def look(self, folder: Path, reference: Path) -> None:
        try:
            packed = open_packed(folder / "packed")
        except PackError as error:
            assert "unfinished packed store" in str(error) or "no packed store" in str(error), error
        else:
            packed.verify()


class Fitting(Step):
    """Saves after every step, so that it goes on from anywhere."""

    config = TrainConfig(model="poster-cnn", widths=(4, 8), epochs=2, batch_size=8, ema=0.9, threads=1)

    def prepare(self) -> None:
        callbacks.SAVE_SECONDS = 0
        self.split = drawn(self.base / "posters", 40)
        forked(lambda _: pack(self.split, self.base / "packed", size=(24, 16), threads=1))

    def begin(self, folder: Path, chance: random.Random) -> None:
        shutil.copytree(self.base / "packed", folder / "packed")

    def work(self, folder: Path, operations: Operations) -> None:
        fit(self.config, open_packed(folder / "packed"), folder=folder / "run", resume=True)

    def look(self, folder: Path, reference: Path) -> None:
        if not (folder / "run" / "run.json").exists():
            return
        run = open_run(folder / "run")
        assert [row["epoch"] for row in run.history] == list(range(1, len(run.history) + 1))
        for path in (folder / "run").rglob("*"):
            if path.suffix == ".safetensors":
                load_file(path)
            if path.suffix == ".ckpt":
                torch.load(path, weights_only=True)
        if run.finished:
            assert run.network_path.read_bytes() == open_run(reference / "run").network_path.read_bytes()

    def compare(self, folder: Path, reference: Path) -> None:
        found, expected = contents(folder), contents(reference)
        assert sorted(found) == sorted(expected)
        timed = {"run/run.json", "run/history.csv"}
        assert not [name for name in found.keys() - timed if found[name] != expected[name]]
        histories = [
            [{key: value for key, value in row.items() if key != "seconds"} for row in open_run(one / "run").history]
            for one in (folder, reference)
        ]
        assert histories[0] == histories[1]
        assert replace(open_run(folder / "run"), folder=reference, seconds=0.0, packed_path=reference) == replace(
            open_run(reference / "run"), folder=reference, seconds=0.0, packed_path=reference
        )


class FittingBackbone(Fitting):
    """The head on stored features, then everything."""

    def prepare(self) -> None:
        super().prepare()
        config = MobileNetV2Config(depth_multiplier=0.1, min_depth=4, depth_divisible_by=4, image_size=32)
        forked(lambda _: MobileNetV2Model(config).save_pretrained(self.base / "backbone"))
        self.config = TrainConfig(
            model=f"hf:{self.base / 'backbone'}", epochs=1, head_epochs=2, batch_size=16, arithmetic="fp32", threads=1
        )


class Exporting(Fitting):
    """A file of the same name may be there already."""

    def prepare(self) -> None:
        super().prepare()
        forked(lambda operations: super(Exporting, self).work(self.base, operations))

    def begin(self, folder: Path, chance: random.Random) -> None:
        if chance.random() < 0.5:
            (folder / "genres.onnx").write_bytes(b"an earlier file")

    def work(self, folder: Path, operations: Operations) -> None:
        export(open_run(self.base / "run"), folder / "genres.onnx")

    def look(self, folder: Path, reference: Path) -> None:
        path = folder / "genres.onnx"
        whole = ((reference / path.name).read_bytes(), b"an earlier file")
        assert not path.exists() or path.read_bytes() in whole

    compare = Step.compare


class Reviewing(Step):
    """Decides about every film, taking some decisions back at once, and writes the corrected catalogue."""

    def prepare(self) -> None:
        self.catalogue = drawn(self.base / "posters", 30).catalogue
        self.plan = {film.film_id: ("accept", "correct", "skip")[n % 3] for n, film in enumerate(self.catalogue.films)}

    def work(self, folder: Path, operations: Operations) -> None:
        store = DecisionStore(folder / "decisions.sqlite")
        store._database.set_trace_callback(lambda _: operations.step())
        with (folder / "answered").open("a") as answered:
            for film, action in self.plan.items():
                if film in store.standing():
                    continue
                genres = () if action == "skip" else ("Horror",)
                store.decide(film, action, genres=genres, version=store.versions().get(film, 0))
                answered.write(f"{film}\n")
                answered.flush()
        write_catalogue(corrected(self.catalogue, (), store.standing()), folder / "corrected.csv")
        store.close()

    def look(self, folder: Path, reference: Path) -> None:
        answered = (folder / "answered").read_text().split() if (folder / "answered").exists() else []
        if not (folder / "decisions.sqlite").exists():
            assert not answered
            return
        store = DecisionStore(folder / "decisions.sqlite")
        decided = [decision.film for decision in reversed(store.history(last=1000))]
        assert decided == list(self.plan)[: len(decided)]  # none twice, none left out
        assert set(answered) <= set(decided) and len(decided) <= len(set(answered)) + MOST_KILLS
        assert {film: decision.action for film, decision in store.standing().items()}.items() <= self.plan.items()
        store.close()
        with closing(sqlite3.connect(folder / "decisions.sqlite")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        path = folder / "corrected.csv"
        assert not path.exists() or path.read_bytes() == (reference / path.name).read_bytes()

    def compare(self, folder: Path, reference: Path) -> None:
        self.look(folder, reference)
        found, expected = contents(folder), contents(reference)
        assert sorted(found) == sorted(expected)  # SQLite's own files are gone
        assert found["corrected.csv"] == expected["corrected.csv"]


STEPS: dict[str, type[Step]] = {
    "pack": Packing,
    "review": Reviewing,
    "export": Exporting,
    "fit": Fitting,
    "fit-backbone": FittingBackbone,
}
# Of a hundred trials; an export takes as long as ten packs.
SHARES = {"pack": 40, "review": 40, "fit": 14, "fit-backbone": 2, "export": 4}


@dataclass
class Tally:
    """What the trials of a step showed."""

    trials: int = 0
    kills: int = 0
    late: int = 0
    places: frozenset[int] = frozenset()
    operations: int = 0


@contextmanager
def prepared(name: str) -> Iterator[tuple[Step, Path, Tally, float]]:
    """A step, where it was done undisturbed, its operations on files, and its seconds."""
    with tempfile.TemporaryDirectory(prefix="onesheet-kills-") as made:
        base = Path(made)
        os.environ["TMPDIR"] = tempfile.tempdir = made
        step, reference = STEPS[name](base), base / "reference"
        step.prepare()
        reference.mkdir()
        step.begin(reference, random.Random(0))
        began = time.monotonic()
        _, operations = forked(lambda counted: step.work(reference, counted))
        yield step, reference, Tally(operations=operations), time.monotonic() - began


def attempt(step: Step, reference: Path, tally: Tally, seconds: float, *, seed: int) -> None:
    """One trial.

    Raises:
        AssertionError: something was lost, doubled, or taken for whole.
    """
    chance, folder = random.Random(seed), step.base / f"trial-{seed}"
    folder.mkdir()
    step.begin(folder, chance)
    for _ in range(chance.randint(1, MOST_KILLS)):
        if chance.random() < 0.7:
            die_at = chance.randint(1, tally.operations)
            killed, _ = forked(lambda counted: step.work(folder, counted), die_at=die_at)
            tally.places |= {die_at} if killed else set()
        else:
            killed, _ = forked(lambda counted: step.work(folder, counted), after=chance.uniform(0, seconds))
        tally.kills += killed
        tally.late += not killed
        forked(lambda _: step.look(folder, reference))
    forked(lambda counted: step.work(folder, counted))
    forked(lambda _: step.compare(folder, reference))
    tally.trials += 1
    shutil.rmtree(folder)


def main() -> int:
    """Make the trials and print a line for each step."""
    parser = argparse.ArgumentParser(description="Kill steps at random moments.")
    parser.add_argument("--trials", type=int, default=200, help="in all, shared among the steps")
    parser.add_argument("--step", choices=STEPS, help="this one alone")
    parser.add_argument("--seed", type=int, default=0, help="of the first trial")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    failed = 0
    for name in [arguments.step] if arguments.step else STEPS:
        trials = arguments.trials if arguments.step else -(-arguments.trials * SHARES[name] // 100)
        with prepared(name) as (step, reference, tally, seconds):
            for seed in range(arguments.seed, arguments.seed + trials):
                try:
                    attempt(step, reference, tally, seconds, seed=seed)
                except AssertionError as error:
                    failed += 1
                    print(f"{name}: trial {seed} failed: {error}", flush=True)
        print(
            f"{name}: {tally.trials} of {trials} trials right; {tally.kills} kills, at {len(tally.places)} of "
            f"{tally.operations} operations on files and at random times ({tally.late} came after the end)",
            flush=True,
        )
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
