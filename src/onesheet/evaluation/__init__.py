"""Calibration, operating points and metrics: arrays in, results out; no plots, no pages, no framework."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
