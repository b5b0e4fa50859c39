"""Lettering: titles in the manner of a genre, set in Pillow's own scalable font."""

from __future__ import annotations

import textwrap
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from onesheet.drawn.pen import Colour, mix
from onesheet.errors import MissingExtra


@dataclass(frozen=True)
class Style:
    """How a title is set; lengths are shares of the letter's size."""

    upper: bool = True
    stroke: float = 0.0
    spacing: float = 0.0
    slant: float = 0.0
    shake: float = 0.0
    rules: bool = False
    many_colours: bool = False
    outline: bool = False


STYLES: dict[str, Style] = {
    "Action": Style(stroke=0.06, slant=0.25),
    "Animation": Style(stroke=0.07, shake=0.1, many_colours=True, upper=False),
    "Comedy": Style(stroke=0.05, shake=0.06, outline=True),
    "Crime": Style(stroke=0.05, spacing=0.02),
    "Documentary": Style(rules=True, spacing=0.08),
    "Drama": Style(spacing=0.3),
    "Fantasy": Style(spacing=0.1, stroke=0.02, upper=False),
    "Film-Noir": Style(slant=0.35, stroke=0.03, upper=False),
    "Horror": Style(stroke=0.04, shake=0.09),
    "Musical": Style(slant=0.2, shake=0.07, upper=False, many_colours=True),
    "Romance": Style(slant=0.3, upper=False),
    "Sci-Fi": Style(spacing=0.45, outline=True),
    "Thriller": Style(stroke=0.03, slant=0.12, spacing=0.05),
    "War": Style(stroke=0.07, spacing=0.12),
    "Western": Style(stroke=0.05, rules=True, spacing=0.05),
}
MANY_COLOURS: tuple[Colour, ...] = (
    (236, 82, 72),
    (250, 190, 60),
    (84, 178, 112),
    (70, 140, 214),
    (206, 104, 190),
)


def plain_letters(text: str) -> str:
    """The text without accents, which the built-in font lacks.

    Example:
        >>> plain_letters("Zoë in Åland")
        'Zoe in Aland'
    """
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def letter(
    image: Image.Image,
    title: str,
    style: Style,
    *,
    box: tuple[float, float, float, float],
    colour: Colour,
    rng: np.random.Generator,
) -> None:
    """Set the title into the box (left, top, right, bottom, pixels) of the RGB image, with a shadow."""
    left, top, right, bottom = box
    wide, high = right - left, bottom - top
    text = plain_letters(title.upper() if style.upper else title)
    lines = textwrap.wrap(text, 12 if len(text) < 26 else 15, break_long_words=False)[:4]
    widest = max(_width(line, style) for line in lines) + style.slant
    size = int(min(wide / widest, high / (1.12 * len(lines)), 0.2 * image.width))
    layer = Image.new("RGBA", (image.width, round(high + size)))
    draw = ImageDraw.Draw(layer)
    step = 1.1 * size
    y = (high - step * len(lines)) / 2
    for line in lines:
        x = left + (wide - _width(line, style) * size) / 2
        _set_line(draw, line, style, (x, y), size, colour, rng)
        y += step
    if style.rules:
        for edge in (max(2, (high - step * len(lines)) / 2 - 0.02 * size), y + 0.06 * size):
            draw.line((left, edge, right, edge), fill=colour, width=max(2, round(0.05 * size)))
    if style.slant:
        shear = (1, style.slant, -style.slant * high / 2, 0, 1, 0)
        layer = layer.transform(layer.size, Image.Transform.AFFINE, shear, Image.Resampling.BILINEAR)
    dark = mix(colour, (0, 0, 0), 0.85) if sum(colour) > 330 else mix(colour, (255, 255, 255), 0.8)
    offset = max(2, round(0.035 * size))
    mask = layer.getchannel("A")
    image.paste(dark, (offset, round(top) + offset), mask)
    image.paste(layer, (0, round(top)), mask)


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if isinstance(font, ImageFont.FreeTypeFont):
        return font
    raise MissingExtra("drawing posters needs Pillow with FreeType; run: pip install --force-reinstall pillow")


@lru_cache(maxsize=128)
def _advance(sign: str) -> float:
    """The width of one letter, as a share of its size."""
    return float(_font(100).getlength(sign)) / 100


def _width(line: str, style: Style) -> float:
    """The width of a line, as a share of the letters' size."""
    return sum(map(_advance, line)) + style.spacing * (len(line) - 1)


def _set_line(
    draw: ImageDraw.ImageDraw,
    line: str,
    style: Style,
    start: tuple[float, float],
    size: int,
    colour: Colour,
    rng: np.random.Generator,
) -> None:
    font = _font(size)
    x, y = start
    stroke = round(style.stroke * size)
    for place, sign in enumerate(line):
        fill = MANY_COLOURS[place % len(MANY_COLOURS)] if style.many_colours else colour
        drop = style.shake * size * float(rng.normal())
        if style.outline:
            dark = mix(fill, (0, 0, 0), 0.8)
            draw.text((x, y + drop), sign, font=font, fill=fill, stroke_width=max(2, stroke), stroke_fill=dark)
            draw.text((x, y + drop), sign, font=font, fill=fill, stroke_width=stroke // 2)
        else:
            draw.text((x, y + drop), sign, font=font, fill=fill, stroke_width=stroke)
        x += (_advance(sign) + style.spacing) * size
