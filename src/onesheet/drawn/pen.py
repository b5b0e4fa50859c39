"""Pen: shapes in the unit square of a motif, mirrored and tilted as the poster wants."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from PIL import ImageDraw

Colour = tuple[int, ...]
Point = tuple[float, float]


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour `share` of the way from `a` to `b`.

    Example:
        >>> mix((0, 0, 0), (200, 100, 50), 0.5)
        (100, 50, 25)
    """
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))


def shift(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """The colour, each channel moved by normal noise of `spread`."""
    return tuple(int(channel) for channel in np.clip(np.add(colour, rng.normal(0, spread, 3)), 0, 255))


@dataclass
class Pen:
    """Draws in the square `left, top, side` (pixels); coordinates and widths are shares of the side, y down.

    Attributes:
        ink: the colour of silhouettes.
        main: the motif's own colour.
        glow: its second, brighter colour.
        flip: mirror left and right.
        tilt: rotation about the square's middle, radians.
        drawn: every point that was drawn, in pixels.
    """

    draw: ImageDraw.ImageDraw
    left: float
    top: float
    side: float
    rng: np.random.Generator
    ink: Colour
    main: Colour
    glow: Colour
    flip: bool = False
    tilt: float = 0.0
    drawn: list[Point] = field(default_factory=list)

    def at(self, x: float, y: float) -> Point:
        """Unit coordinates -> pixels."""
        x, y = (0.5 - x if self.flip else x - 0.5), y - 0.5
        sine, cosine = math.sin(self.tilt), math.cos(self.tilt)
        return (
            self.left + (0.5 + x * cosine - y * sine) * self.side,
            self.top + (0.5 + x * sine + y * cosine) * self.side,
        )

    def shape(self, points: list[Point], colour: Colour) -> None:
        """A filled polygon."""
        pixels = [self.at(*point) for point in points]
        self.drawn += pixels
        self.draw.polygon(pixels, fill=colour)

    def block(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """A filled rectangle."""
        self.shape([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour, *, squash: float = 1.0) -> None:
        """A filled circle, its height times `squash`."""
        self.shape(ring(x, y, radius, squash=squash), colour)

    def sector(self, x: float, y: float, radius: float, start: float, stop: float, colour: Colour) -> None:
        """The part of a circle that the chord from `start` to `stop` (degrees, clockwise) cuts off."""
        self.shape(ring(x, y, radius, start=start, stop=stop), colour)

    def line(self, points: list[Point], colour: Colour, width: float) -> None:
        """A line with round joints and ends."""
        pixels, half = [self.at(*point) for point in points], width * self.side / 2
        self.drawn += pixels
        self.draw.line(pixels, fill=colour, width=max(1, round(2 * half)), joint="curve")
        if half > 1.5:
            for x, y in (pixels[0], pixels[-1]):
                self.draw.ellipse((x - half, y - half, x + half, y + half), fill=colour)

    def star(self, x: float, y: float, outer: float, inner: float, spikes: int, colour: Colour) -> None:
        """A star of uneven spikes."""
        points = []
        for corner, angle in enumerate(np.linspace(0, 2 * math.pi, 2 * spikes, endpoint=False)):
            radius = inner if corner % 2 else outer * self.rng.uniform(0.75, 1)
            points.append((x + radius * math.cos(angle), y + radius * math.sin(angle)))
        self.shape(points, colour)

    def figure(self, x: float, y: float, height: float, colour: Colour, *, stride: float = 0.12) -> None:
        """A person with the feet at `x, y`; a negative height stands on its head."""

        def body(dx: float, dy: float) -> Point:
            return x + dx * height, y - dy * height

        size = abs(height)
        self.disc(*body(0, 0.91), 0.085 * size, colour)
        self.shape([body(-0.15, 0.78), body(0, 0.83), body(0.15, 0.78), body(0.09, 0.42), body(-0.09, 0.42)], colour)
        for side in (-1, 1):
            knee = body((0.03 + 0.7 * stride) * side, 0.22)
            self.line([body(0.05 * side, 0.44), knee, body(stride * side - 0.03, 0.03)], colour, 0.085 * size)
            elbow = body((0.14 + 0.6 * stride) * side, 0.6)
            self.line(
                [body(0.12 * side, 0.76), elbow, body((0.08 + stride) * side + 0.03, 0.45)],
                colour,
                0.06 * size,
            )

    def extent(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of all that was drawn, pixels."""
        xs, ys = zip(*self.drawn, strict=True)
        return min(xs), min(ys), max(xs), max(ys)


def ring(x: float, y: float, radius: float, *, squash: float = 1.0, start: float = 0, stop: float = 360) -> list[Point]:
    """Points along a circle or a part of it."""
    angles = np.radians(np.linspace(start, stop, 33))
    return [(x + radius * math.cos(a), y + radius * squash * math.sin(a)) for a in angles]
