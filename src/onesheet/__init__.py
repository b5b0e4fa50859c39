"""onesheet predicts a film's genres from its poster.

>>> import onesheet
>>> onesheet.__all__
['Adaptation', 'Failure', 'Prediction', 'Predictor', '__version__', 'adapt', 'load']
"""

import lazy_loader

_public, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ = sorted([*__all__, "__version__"])


def __dir__() -> list[str]:
    """The public names, before they are loaded."""
    return __all__


def __getattr__(name: str) -> object:
    """Public names load with first use, so that `import onesheet` is fast."""
    if name == "__version__":
        from importlib.metadata import version

        from onesheet.errors import DISTRIBUTION

        return version(DISTRIBUTION)
    return _public(name)
