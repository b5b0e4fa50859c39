"""HTML without templates, for notebooks and the audit page: what comes from files or people is escaped."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BAR_PIXELS = 120
THUMBNAIL_PIXELS = (200, 300)
"""Largest width and height of a poster in a page."""


class Markup(str):
    """Text that is HTML already, and is not escaped again."""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> Markup:
    """A table; every cell that is no Markup is escaped.

    Example:
        >>> table(["genre"], [["<Noir>"]])
        '<table><thead><tr><th>genre</th></tr></thead><tbody><tr><td>&lt;Noir&gt;</td></tr></tbody></table>'
    """
    head = f"<caption>{escaped(title)}</caption>" if title else ""
    names = "".join(f"<th>{escaped(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return Markup(f"<table>{head}<thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>")


def bar(share: float) -> Markup:
    """A share in [0, 1] as a bar."""
    filled = round(BAR_PIXELS * share)
    return Markup(
        f'<div style="width:{BAR_PIXELS}px;background:#8883"><div style="width:{filled}px;height:.8em;'
        'background:#3b7dd8"></div></div>'
    )


def picture(poster: NDArray[np.uint8], pixels: tuple[int, int] = THUMBNAIL_PIXELS, quality: int = 78) -> str:
    """A poster (uint8 h×w×3) as a data URI, no larger than `pixels` (width, height)."""
    image = Image.fromarray(poster)
    image.thumbnail(pixels)
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def escaped(text: str) -> Markup:
    """Text as HTML; bytes of a file name that are no letters become "?"."""
    return text if isinstance(text, Markup) else Markup(html.escape(text.encode("utf-8", "replace").decode("utf-8")))
