"""Text that can be read on any shade of a heat table, by the contrast of WCAG 2."""

from __future__ import annotations

SCHEMES = {"light": ("#fdfcf9", "#1d5c88"), "dark": ("#17181b", "#86bbe3")}
"""Scheme -> its paper and accent colours, as in report.css; a cell is accent over paper."""


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours "#rrggbb", 1 to 21.

    Source: Web Content Accessibility Guidelines 2.2, "relative luminance" and "contrast ratio".

    Example:
        >>> contrast("#ffffff", "#000000")
        21.0
    """
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def shade(share: float, scheme: str) -> str:
    """The colour "#rrggbb" of a cell whose share in [0, 1] is rounded to percent."""
    paper, accent = (_channels(colour) for colour in SCHEMES[scheme])
    alpha = round(100 * share) / 100
    return "#" + "".join(f"{round(p + alpha * (a - p)):02x}" for p, a in zip(paper, accent, strict=True))


def text_on(share: float, scheme: str) -> str:
    """ "white" or "black", whichever is read better on a cell.

    Example:
        >>> text_on(0.1, "light"), text_on(0.9, "light"), text_on(0.1, "dark")
        ('black', 'white', 'white')
    """
    cell = shade(share, scheme)
    return "white" if contrast("#ffffff", cell) > contrast("#000000", cell) else "black"


def _channels(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


def _luminance(colour: str) -> float:
    shares = [channel / 255 for channel in _channels(colour)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
