"""What a genre looks like: one motif each, drawn with a Pen in the unit square."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from onesheet.drawn.pen import Colour, Pen, Point, mix, ring

WHITE, BLACK = (250, 248, 240), (18, 16, 22)


def explosion(pen: Pen) -> None:
    """A blast and someone running from it."""
    for share, colour in (
        (1.0, pen.main),
        (0.74, mix(pen.main, pen.glow, 0.6)),
        (0.5, pen.glow),
        (0.28, WHITE),
    ):
        pen.star(0.5, 0.45, 0.5 * share, 0.3 * share, int(pen.rng.integers(11, 17)), colour)
    pen.figure(0.5, 0.97, 0.5, pen.ink, stride=0.24)


def creature(pen: Pen) -> None:
    """A round creature with one to three big eyes."""
    light = mix(pen.main, WHITE, 0.45)
    for side in (-1, 1):
        pen.disc(0.5 + 0.24 * side, 0.24, 0.12, pen.main)
        pen.disc(0.5 + 0.24 * side, 0.24, 0.065, pen.glow)
        pen.disc(0.5 + 0.18 * side, 0.94, 0.12, pen.glow, squash=0.5)
    pen.disc(0.5, 0.56, 0.37, pen.main, squash=1.02)
    pen.disc(0.5, 0.74, 0.22, light, squash=0.8)
    eyes = int(pen.rng.integers(1, 4))
    look = pen.rng.uniform(-0.03, 0.03)
    for x in 0.5 + (np.arange(eyes) - (eyes - 1) / 2) * 0.22:
        radius = 0.17 if eyes == 1 else 0.115
        pen.disc(x, 0.43, radius, WHITE)
        pen.disc(x + look, 0.44, radius * 0.5, BLACK)
        pen.disc(x + look - 0.02, 0.42, radius * 0.16, WHITE)
    pen.sector(0.5, 0.66, 0.14, 0, 180, BLACK)
    pen.sector(0.5, 0.735, 0.07, 0, 180, pen.glow)


def disguise(pen: Pen) -> None:
    """The glasses, the nose and the moustache."""
    pen.disc(0.5, 0.5, 0.47, pen.glow)
    for side in (-1, 1):
        pen.disc(0.5 + 0.2 * side, 0.42, 0.165, BLACK)
        pen.disc(0.5 + 0.2 * side, 0.42, 0.125, WHITE)
        pen.disc(0.5 + 0.17 * side, 0.44, 0.05, BLACK)
        lift = pen.rng.uniform(-0.02, 0.05)
        pen.line([(0.5 + 0.09 * side, 0.2 - lift), (0.5 + 0.31 * side, 0.24)], BLACK, 0.07)
        pen.shape([(0.5, 0.68), (0.5 + 0.2 * side, 0.64), (0.5 + 0.38 * side, 0.76), (0.5, 0.77)], BLACK)
    pen.disc(0.5, 0.55, 0.11, pen.main, squash=1.25)
    pen.sector(0.5, 0.79, 0.13, 0, 180, pen.main)


def magnifier(pen: Pen) -> None:
    """A magnifying glass over a fingerprint."""
    pen.line([(0.6, 0.6), (0.93, 0.93)], pen.ink, 0.12)
    pen.line([(0.66, 0.66), (0.92, 0.92)], pen.main, 0.07)
    pen.disc(0.4, 0.4, 0.39, pen.ink)
    pen.disc(0.4, 0.4, 0.335, mix(pen.glow, WHITE, 0.5))
    for turn, radius in enumerate(np.arange(0.05, 0.3, 0.05)):
        start = pen.rng.uniform(-230, -200) + 12 * turn
        pen.line(ring(0.4, 0.43, radius, squash=1.1, start=start, stop=start + 255), pen.main, 0.022)


def camera(pen: Pen) -> None:
    """A film camera on its tripod."""
    for foot in (0.2, 0.48, 0.76):
        pen.line([(0.48, 0.6), (foot, 0.98)], pen.ink, 0.04)
    for x, radius in ((0.33, 0.17), (0.63, 0.14)):
        pen.disc(x, 0.24, radius, pen.ink)
        pen.disc(x, 0.24, radius * 0.85, pen.glow)
        for angle in np.linspace(0, 2 * math.pi, 5, endpoint=False) + pen.rng.uniform(0, 1):
            pen.disc(
                x + radius * 0.5 * math.cos(angle),
                0.24 + radius * 0.5 * math.sin(angle),
                radius * 0.2,
                pen.ink,
            )
    pen.block(0.18, 0.38, 0.72, 0.68, pen.main)
    pen.block(0.18, 0.6, 0.72, 0.63, pen.glow)
    pen.shape([(0.72, 0.49), (0.95, 0.39), (0.95, 0.67), (0.72, 0.57)], pen.ink)
    pen.disc(0.3, 0.49, 0.06, WHITE)


PROFILE: list[Point] = [
    (0, 1), (0.03, 0.84), (0.0, 0.6), (0.0, 0.3), (0.07, 0.12), (0.2, 0.03), (0.31, 0.07), (0.37, 0.18),
    (0.385, 0.3), (0.375, 0.36), (0.46, 0.5), (0.395, 0.53), (0.42, 0.59), (0.385, 0.62), (0.405, 0.67),
    (0.37, 0.76), (0.24, 0.79), (0.25, 0.88), (0.34, 1),
]  # fmt: skip


def profiles(pen: Pen) -> None:
    """Two faces turned to each other, or one and a tear."""
    pen.shape(PROFILE, pen.main)
    if pen.rng.random() < 0.65:
        pen.shape([(1 - x, y) for x, y in PROFILE], pen.glow)
        return
    pen.disc(0.33, 0.36, 0.018, pen.ink)
    tear = (0.52, pen.rng.uniform(0.55, 0.75))
    pen.shape([(tear[0], tear[1] - 0.13), *ring(*tear, 0.05, start=-20, stop=200)], pen.glow)


def castle(pen: Pen) -> None:
    """Towers on a rock, with pennants."""
    pen.shape([(0.02, 1), (0.16, 0.8), (0.3, 0.74), (0.72, 0.74), (0.86, 0.82), (0.98, 1)], pen.ink)
    wall = mix(pen.main, WHITE, 0.35)
    for x, top, wide in ((0.5, 0.3, 0.09), (0.27, 0.46, 0.075), (0.73, 0.42, 0.075)):
        top += pen.rng.uniform(-0.06, 0.06)
        pen.block(x - wide, top, x + wide, 0.78, wall)
        pen.shape([(x - wide - 0.03, top), (x, top - 0.2), (x + wide + 0.03, top)], pen.main)
        pen.line([(x, top - 0.2), (x, top - 0.29)], pen.ink, 0.012)
        pen.shape([(x, top - 0.29), (x + 0.12, top - 0.26), (x, top - 0.23)], pen.glow)
        pen.disc(x, top + 0.12, 0.025, pen.ink, squash=1.6)
    pen.block(0.3, 0.62, 0.7, 0.8, mix(wall, pen.ink, 0.15))
    for x in np.arange(0.3, 0.69, 0.1):
        pen.block(x, 0.58, x + 0.055, 0.63, mix(wall, pen.ink, 0.15))
    pen.shape([(0.43, 0.8), *ring(0.5, 0.71, 0.07, start=180, stop=360), (0.57, 0.8)], pen.ink)


def haunted_house(pen: Pen) -> None:
    """A crooked house before the moon, with bats."""
    pen.disc(0.55, 0.4, 0.38, pen.glow)
    pen.disc(0.43, 0.3, 0.06, mix(pen.glow, pen.ink, 0.15))
    pen.shape([(0, 1), (0.1, 0.86), (0.5, 0.8), (0.9, 0.86), (1, 1)], pen.ink)
    pen.shape([(0.26, 0.9), (0.28, 0.52), (0.72, 0.5), (0.7, 0.9)], pen.ink)
    pen.shape([(0.2, 0.55), (0.38, 0.33), (0.8, 0.52)], pen.ink)
    pen.shape([(0.56, 0.6), (0.55, 0.3), (0.7, 0.29), (0.69, 0.6)], pen.ink)
    pen.shape([(0.51, 0.32), (0.64, 0.06), (0.74, 0.3)], pen.ink)
    for x, y in ((0.34, 0.58), (0.47, 0.58), (0.34, 0.72), (0.59, 0.38), (0.59, 0.7)):
        if pen.rng.random() < 0.75:
            pen.block(x, y, x + 0.065, y + 0.09, pen.main)
    pen.line([(0.1, 0.95), (0.12, 0.6), (0.03, 0.45)], pen.ink, 0.025)
    pen.line([(0.12, 0.66), (0.2, 0.48)], pen.ink, 0.018)
    for _ in range(int(pen.rng.integers(2, 5))):
        x, y, wing = pen.rng.uniform(0.15, 0.9), pen.rng.uniform(0.05, 0.3), pen.rng.uniform(0.04, 0.07)
        bat = ((-1, -0.5), (0, 0), (1, -0.5), (0.33, 0.25), (0, 0.5), (-0.33, 0.25))
        pen.shape([(x + dx * wing, y + dy * wing) for dx, dy in bat], pen.ink)


def hearts(pen: Pen) -> None:
    """One big heart, or two."""

    def heart(x: float, y: float, size: float, colour: Colour) -> None:
        turn = np.linspace(0, 2 * math.pi, 50)
        xs = x + size * np.sin(turn) ** 3
        ys = y - size * (13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)) / 16
        pen.shape(list(zip(xs.tolist(), ys.tolist(), strict=True)), colour)

    if pen.rng.random() < 0.5:
        heart(0.5, 0.48, 0.48, pen.main)
        pen.disc(0.29, 0.31, 0.08, mix(pen.main, WHITE, 0.6), squash=0.7)
        pen.figure(0.42, 0.78, 0.38, pen.ink, stride=0.05)
        pen.figure(0.57, 0.78, 0.34, pen.ink, stride=0.05)
    else:
        heart(0.38, 0.42, 0.37, pen.main)
        heart(0.68, 0.66, 0.29, pen.glow)
        pen.disc(0.22, 0.28, 0.06, mix(pen.main, WHITE, 0.6), squash=0.7)


def rocket(pen: Pen) -> None:
    """A rocket passing a ringed planet."""
    pen.disc(0.76, 0.27, 0.17, pen.glow)
    pen.line(ring(0.76, 0.27, 0.26, squash=0.25), mix(pen.glow, WHITE, 0.5), 0.022)
    length = pen.rng.uniform(0.85, 1.0)
    pen.shape([(0.31, 0.74), (0.38, length), (0.45, 0.74)], (255, 196, 60))
    pen.shape([(0.34, 0.74), (0.38, 0.87), (0.42, 0.74)], WHITE)
    for side in (-1, 1):
        pen.shape([(0.38 + 0.1 * side, 0.5), (0.38 + 0.25 * side, 0.8), (0.38 + 0.08 * side, 0.74)], pen.main)
    hull = [(0.38, 0.04), (0.45, 0.16), (0.49, 0.34), (0.48, 0.56), (0.45, 0.75), (0.31, 0.75), (0.28, 0.56),
            (0.27, 0.34), (0.31, 0.16)]  # fmt: skip
    pen.shape(hull, (222, 228, 236))
    pen.shape([(0.38, 0.04), (0.45, 0.16), (0.468, 0.22), (0.292, 0.22), (0.31, 0.16)], pen.main)
    pen.disc(0.38, 0.37, 0.065, pen.ink)
    pen.disc(0.38, 0.37, 0.045, pen.glow)


def spiral(pen: Pen) -> None:
    """A maelstrom and someone falling into it."""
    turns = np.linspace(0, pen.rng.uniform(4.2, 5.4) * 2 * math.pi, 150)
    radii = 0.49 * turns / turns[-1]
    start = pen.rng.uniform(0, 6)
    points = [(0.5 + r * math.cos(a + start), 0.5 + r * math.sin(a + start)) for a, r in zip(turns, radii, strict=True)]
    pen.line(points, pen.main, 0.045)
    pen.disc(0.5, 0.5, 0.16, pen.glow)
    pen.figure(0.5, 0.5, -0.42, pen.ink, stride=0.22)


def cactus(pen: Pen) -> None:
    """A hat on a cactus in the evening sun."""
    pen.disc(0.62, 0.48, 0.34, pen.glow)
    pen.shape([(0, 1), (0, 0.86), (0.3, 0.8), (0.7, 0.87), (1, 0.82), (1, 1)], mix(pen.ink, (150, 84, 40), 0.6))
    low, high = pen.rng.uniform(0.45, 0.6, 2)
    pen.line([(0.42, 0.9), (0.42, 0.26)], pen.main, 0.15)
    pen.line([(0.42, low + 0.14), (0.2, low + 0.14), (0.2, low - 0.08)], pen.main, 0.09)
    pen.line([(0.42, high + 0.06), (0.64, high + 0.06), (0.64, high - 0.14)], pen.main, 0.09)
    hat = mix(pen.ink, (96, 52, 24), 0.7)
    pen.disc(0.42, 0.22, 0.25, hat, squash=0.22)
    pen.shape(
        [(0.28, 0.21), (0.31, 0.04), (0.38, 0.02), (0.42, 0.05), (0.46, 0.02), (0.53, 0.04), (0.56, 0.21)],
        hat,
    )
    pen.line([(0.29, 0.185), (0.55, 0.185)], pen.glow, 0.03)


def notes(pen: Pen) -> None:
    """Notes on a waving stave."""
    phase = pen.rng.uniform(0, 6)
    for row in range(5):
        wave = [(x, 0.3 + 0.1 * row + 0.06 * math.sin(5 * x + phase)) for x in np.linspace(0, 1, 25)]
        pen.line(wave, pen.glow, 0.014)
    for x in (0.14, 0.58):
        y = pen.rng.uniform(0.6, 0.8)
        for dx in (0.0, 0.24):
            pen.disc(x + dx, y - dx / 4, 0.085, pen.main, squash=0.75)
            pen.line([(x + dx + 0.07, y - dx / 4), (x + dx + 0.07, y - 0.45 - dx / 4)], pen.main, 0.026)
        pen.line([(x + 0.07, y - 0.45), (x + 0.31, y - 0.51)], pen.main, 0.07)


def tank(pen: Pen) -> None:
    """A tank under bombers."""
    for x, y in ((0.2, 0.14), (0.55, 0.06), (0.8, 0.2)):
        y += pen.rng.uniform(-0.04, 0.06)
        pen.line([(x - 0.08, y), (x + 0.08, y)], pen.ink, 0.022)
        pen.line([(x, y - 0.07), (x, y + 0.07)], pen.ink, 0.026)
    pen.disc(0.18, 0.45, 0.1, pen.glow)
    pen.disc(0.09, 0.38, 0.08, pen.glow)
    pen.line([(0.5, 0.5), (0.97, 0.5 - pen.rng.uniform(0, 0.12))], pen.ink, 0.05)
    pen.shape([(0.28, 0.6), (0.34, 0.42), (0.6, 0.42), (0.68, 0.6)], mix(pen.main, pen.ink, 0.25))
    pen.shape([(0.06, 0.72), (0.16, 0.58), (0.86, 0.58), (0.96, 0.72)], pen.main)
    pen.line([(0.16, 0.8), (0.84, 0.8)], pen.ink, 0.22)
    for x in np.linspace(0.16, 0.84, 5):
        pen.disc(x, 0.8, 0.07, mix(pen.main, WHITE, 0.25))
        pen.disc(x, 0.8, 0.025, pen.ink)


def lamp(pen: Pen) -> None:
    """A man in hat and coat under a street lamp."""
    pen.shape([(0.72, 0.13), (0.3, 0.95), (1.0, 0.95)], (*pen.glow, 120))
    pen.disc(0.65, 0.95, 0.35, (*pen.glow, 150), squash=0.14)
    pen.line([(0.9, 0.97), (0.9, 0.08), (0.72, 0.06)], pen.ink, 0.03)
    pen.shape([(0.64, 0.13), (0.69, 0.05), (0.75, 0.05), (0.8, 0.13)], pen.ink)
    pen.disc(0.72, 0.14, 0.05, pen.glow)
    x = pen.rng.uniform(0.5, 0.62)
    pen.shape([(x - 0.13, 0.5), (x + 0.13, 0.5), (x + 0.17, 0.84), (x - 0.17, 0.84)], pen.ink)
    pen.line([(x - 0.07, 0.8), (x - 0.08, 0.96)], pen.ink, 0.06)
    pen.line([(x + 0.07, 0.8), (x + 0.08, 0.96)], pen.ink, 0.06)
    pen.disc(x, 0.41, 0.075, pen.ink, squash=1.2)
    pen.disc(x, 0.36, 0.15, pen.ink, squash=0.2)
    pen.shape([(x - 0.085, 0.36), (x - 0.06, 0.26), (x + 0.06, 0.26), (x + 0.085, 0.36)], pen.ink)


def stranger(pen: Pen) -> None:
    """No genre's cue: someone far off, and a long shadow."""
    x, tall = pen.rng.uniform(0.4, 0.6), pen.rng.uniform(0.35, 0.6)
    pen.shape([(x - 0.05, 0.8), (x + 0.05, 0.8), (x + 0.45, 1.0), (x + 0.2, 1.0)], (*pen.ink, 90))
    pen.figure(x, 0.8, tall, pen.ink, stride=0.06)
    coat = ((-0.1, 0.7), (0.1, 0.7), (0.17, 0.2), (-0.17, 0.2))
    pen.shape([(x + dx * tall, 0.8 - dy * tall) for dx, dy in coat], pen.ink)


class Motif(NamedTuple):
    """How a motif is drawn, and its two colours."""

    draw: Callable[[Pen], None]
    main: Colour
    glow: Colour


MOTIFS: dict[str, Motif] = {
    "": Motif(stranger, BLACK, WHITE),
    "Action": Motif(explosion, (212, 52, 24), (255, 178, 44)),
    "Animation": Motif(creature, (64, 176, 120), (255, 120, 140)),
    "Comedy": Motif(disguise, (232, 104, 92), (255, 214, 84)),
    "Crime": Motif(magnifier, (122, 36, 36), (206, 214, 196)),
    "Documentary": Motif(camera, (70, 92, 102), (196, 176, 128)),
    "Drama": Motif(profiles, (52, 62, 92), (204, 148, 108)),
    "Fantasy": Motif(castle, (104, 72, 164), (246, 202, 92)),
    "Film-Noir": Motif(lamp, (90, 90, 96), (240, 232, 196)),
    "Horror": Motif(haunted_house, (250, 176, 40), (226, 226, 196)),
    "Musical": Motif(notes, (190, 44, 110), (255, 220, 120)),
    "Romance": Motif(hearts, (214, 40, 74), (248, 150, 160)),
    "Sci-Fi": Motif(rocket, (216, 68, 56), (110, 196, 226)),
    "Thriller": Motif(spiral, (226, 84, 38), (240, 228, 204)),
    "War": Motif(tank, (96, 104, 62), (172, 166, 148)),
    "Western": Motif(cactus, (70, 118, 66), (250, 156, 58)),
}
