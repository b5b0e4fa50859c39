"""Weights (safetensors) and checkpoints (torch) on disk, each whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from onesheet.errors import OnesheetError, RunError
from onesheet.files import whole_file


def load_weights(path: Path, *, cure: str = "train again into another folder") -> dict[str, Tensor]:
    """Read weights.

    Raises:
        RunError: they are not there or damaged.
    """
    try:
        weights: dict[str, Tensor] = load_file(path)
        return weights
    except (OSError, SafetensorError) as error:
        raise RunError(f"cannot read the weights {str(path)!r}: {error}; {cure}") from error


def save_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Write weights as safetensors, whole or not at all.

    Raises:
        OnesheetError: the file cannot be written.
    """
    with whole_file(path) as part:
        try:
            save_file({name: value.cpu().contiguous() for name, value in weights.items()}, part)
        except SafetensorError as error:  # as when the disk is full
            raise OnesheetError(f"cannot write {str(path)!r}: {error}; free some space, then --resume") from error


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's place for writing checkpoints; its own way leaves files behind in the system's folder when killed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            OnesheetError: the file cannot be written.
        """
        with whole_file(path) as part, part.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch's own, on closing an archive of which a write has failed
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None
