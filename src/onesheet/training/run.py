"""Run: the folder of one training run, and its files."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onesheet.errors import ConfigError, RunError
from onesheet.files import read_json, whole_file, write_text
from onesheet.packed.store import Packed, open_packed
from onesheet.spreadsheets import Writer
from onesheet.training.config import TrainConfig

STATE = "run.json"
NETWORK = "network.safetensors"
CHECKPOINTS = "checkpoints"
ARCHITECTURE = "backbone"
LEARNING_CURVE = "learning-curve.csv"


@dataclass(frozen=True)
class Run:
    """One training run on disk.

    Attributes:
        folder: holds `run.json`, `history.csv`, `network.safetensors` (the kept weights), `backbone/` (what a
            pretrained backbone is built from) and, until it is
            finished, `checkpoints/`.
        config: the resolved choices.
        packed_path: the packed store it learnt from.
        fingerprint: of that store.
        best_epoch: the epoch whose weights were kept.
        finished: False while it trains and after an interruption.
        seconds: time spent training.
    """

    folder: Path
    config: TrainConfig
    packed_path: Path
    fingerprint: str
    best_epoch: int = 0
    finished: bool = False
    seconds: float = 0.0

    @property
    def network_path(self) -> Path:
        """The kept weights."""
        return self.folder / NETWORK

    @property
    def architecture(self) -> str:
        """The model's name, for building it without weights: a pretrained backbone's is kept in the run."""
        model = self.config.model
        return f"hf:{self.folder / ARCHITECTURE}" if model.startswith("hf:") else model

    @property
    def history(self) -> list[dict[str, float]]:
        """The rows of `history.csv`, [] before the first epoch has ended."""
        return _numbers(self.folder / "history.csv")

    @property
    def by_films(self) -> list[dict[str, float]]:
        """The rows of `learning-curve.csv`, [] where it was not measured what fewer films give."""
        return _numbers(self.folder / LEARNING_CURVE)

    def packed(self) -> Packed:
        """The store it learnt from.

        Raises:
            RunError: the store has other content by now.
        """
        packed = open_packed(self.packed_path)
        if packed.fingerprint != self.fingerprint:
            raise RunError(f"{str(self.packed_path)!r} is not what {str(self.folder)!r} was trained on; pack it again")
        return packed

    def write(self) -> None:
        """Write `run.json`."""
        state = {
            "config": self.config.to_dict(),
            "packed": os.path.relpath(self.packed_path, self.folder),
            "fingerprint": self.fingerprint,
            "best_epoch": self.best_epoch,
            "finished": self.finished,
            "seconds": round(self.seconds, 3),
        }
        write_text(self.folder / STATE, json.dumps(state, indent=1) + "\n")

    def write_history(self, rows: Sequence[dict[str, float]]) -> None:
        """Write `history.csv`; the kept epoch has best = 1."""
        with (
            whole_file(self.folder / "history.csv") as part,
            part.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = Writer(file)
            writer.write([*rows[0], "best"])
            for row in rows:
                writer.write([*(f"{value:.6g}" for value in row.values()), int(row["epoch"] == self.best_epoch)])


def _numbers(path: Path) -> list[dict[str, float]]:
    """The rows of a CSV file of numbers, [] where there is none."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def open_run(folder: str | Path) -> Run:
    """Read a run's folder.

    Raises:
        RunError: no run there, or a damaged one.
    """
    folder = Path(folder)
    path = folder / STATE
    if folder.is_file():
        raise RunError(f"{str(folder)!r} is a file; name the folder of a run, as onesheet train --out makes it")
    if not path.is_file():
        raise RunError(f"no run in {str(folder)!r}; start one with: onesheet fit PACKED --out {folder}")
    try:
        state: dict[str, Any] = read_json(path)
        return Run(
            folder=folder,
            config=TrainConfig(**state["config"]),
            packed_path=folder / state["packed"],
            fingerprint=state["fingerprint"],
            best_epoch=state["best_epoch"],
            finished=state["finished"],
            seconds=state["seconds"],
        )
    except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
        raise RunError(f"{str(path)!r} is damaged ({error}); train again into another folder") from error
