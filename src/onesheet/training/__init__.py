"""Training: from a packed catalogue to one model file. Importing it costs nothing; torch comes with first use."""

from typing import TYPE_CHECKING

from onesheet.lazy import first_use
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

__getattr__, __dir__ = first_use(
    __name__,
    {
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
    },
)
