"""Drawn posters: a whole catalogue of invented films for the demo and the tests, faults included."""

from onesheet.data.drawn.catalogue import draw_catalogue

__all__ = ["draw_catalogue"]
