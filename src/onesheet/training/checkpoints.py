"""Checkpoints on disk: whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from onesheet.files import whole_file


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
