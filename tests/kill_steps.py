"""The steps that `kills.py` kills, each with what must hold after a kill and in the end."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import MobileNetV2Config, MobileNetV2Model

from forks import Operations, forked
from motifs import MOTIFS, draw_poster
from onesheet.apps.batch import run_batch
from onesheet.apps.review import DecisionStore, corrected
from onesheet.data import Catalogue, Film, write_catalogue
from onesheet.errors import PackError
from onesheet.exporting import export
from onesheet.genres import GenreSet
from onesheet.packed import Split, open_packed, pack, packing, split
from onesheet.training import TrainConfig, fit, open_run
from onesheet.training import loop as callbacks

MOST_KILLS = 3


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_names(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    """Files are missing, or left over?"""
    assert not (missing := sorted(expected.keys() - found)), f"missing: {missing}"
    assert not (left := sorted(found.keys() - expected)), f"left: {left}"


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
        check_names(found, expected)
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
        packing.CHUNK, packing._SLAB = 8, 4
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
        check_names(found, expected)
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


class Batching(Step):
    """Posters, two of them broken, in parts of eight."""

    def prepare(self) -> None:
        for module in ("fsspec.implementations.local", "pyarrow.parquet"):
            import_module(module)
        drawn(self.base / "posters", 60)

    def work(self, folder: Path, operations: Operations) -> None:
        run_batch(self.base / "posters", folder / "out", part_rows=8, threads=2)

    def look(self, folder: Path, reference: Path) -> None:
        seen, parts = folder / "seen.json", sorted((folder / "out").glob("part-*"))
        for part in parts:
            assert part.read_bytes() == (reference / "out" / part.name).read_bytes()
        before = json.loads(seen.read_text()) if seen.exists() else {}
        now = {part.name: part.stat().st_mtime_ns for part in parts}
        assert before.items() <= now.items()  # nothing is done twice
        seen.write_text(json.dumps(now))

    def compare(self, folder: Path, reference: Path) -> None:
        self.look(folder, reference)
        assert contents(folder / "out") == contents(reference / "out")


class Reviewing(Step):
    """Decides about every film and writes the corrected catalogue."""

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
    "batch": Batching,
    "export": Exporting,
    "fit": Fitting,
    "fit-backbone": FittingBackbone,
}
