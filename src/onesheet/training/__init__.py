"""Training: from a packed catalogue to one model file. Importing it costs nothing; torch comes with first use."""

from importlib import import_module
from typing import TYPE_CHECKING

from onesheet.threads import let_waiting_threads_sleep

let_waiting_threads_sleep()

if TYPE_CHECKING:
    from onesheet.training.config import TrainConfig
    from onesheet.training.config_file import read_config
    from onesheet.training.evaluating import evaluate_file
    from onesheet.training.explaining import grad_cam
    from onesheet.training.exporting import export
    from onesheet.training.fitting import fit
    from onesheet.training.hub import export_hf
    from onesheet.training.pipeline import train
    from onesheet.training.run import Run, open_run

__all__ = [
    "Run",
    "TrainConfig",
    "evaluate_file",
    "export",
    "export_hf",
    "fit",
    "grad_cam",
    "open_run",
    "read_config",
    "train",
]

_HOMES = {
    "TrainConfig": "config",
    "read_config": "config_file",
    "Run": "run",
    "open_run": "run",
    "fit": "fitting",
    "grad_cam": "explaining",
    "export": "exporting",
    "export_hf": "hub",
    "train": "pipeline",
    "evaluate_file": "evaluating",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'onesheet.training' has no attribute {name!r}")
    return getattr(import_module(f"onesheet.training.{_HOMES[name]}"), name)
