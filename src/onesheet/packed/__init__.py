"""Splitting and packing: every poster decoded once, into one memory-mapped store."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
