"""Drawn posters: a whole catalogue of invented films for the demo and the tests, faults included."""

from onesheet.drawn.drawn_catalogue import draw_catalogue

__all__ = ["draw_catalogue"]
