"""onesheet predicts a film's genres from its poster.

>>> import onesheet
>>> onesheet.__all__
['Failure', 'Prediction', 'Predictor', '__version__', 'load']
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onesheet.predict import Failure, Prediction, Predictor, load

    __version__: str

__all__ = ["Failure", "Prediction", "Predictor", "__version__", "load"]


def __dir__() -> list[str]:
    """The public names, which are not loaded yet."""
    return __all__


def __getattr__(name: str) -> object:
    """Public names come with first use, so that `import onesheet` costs nothing."""
    if name == "__version__":
        return import_module("importlib.metadata").version("onesheet")
    if name in __all__:
        return getattr(import_module("onesheet.predict"), name)
    raise AttributeError(f"module 'onesheet' has no attribute {name!r}")
