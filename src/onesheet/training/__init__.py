"""Training with PyTorch: from a packed catalogue to a run. torch loads with first use."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
