"""One drawn poster: ground, scenery, motifs and lettering."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageOps

from onesheet.drawn.invented_films import NAMES, Invented
from onesheet.drawn.lettering import STYLES, letter, plain_letters
from onesheet.drawn.motifs import BLACK, MOTIFS, WHITE
from onesheet.drawn.pen import Colour, Pen, mix, shift

# Sky, ground and lettering of a genre's posters; the noise moves them about and other genres borrow them.
PALETTES: dict[str, tuple[Colour, Colour, Colour]] = {
    "Action": ((24, 30, 48), (196, 92, 36), (255, 214, 120)),
    "Animation": ((112, 204, 244), (196, 240, 164), (255, 255, 255)),
    "Comedy": ((255, 246, 220), (255, 190, 90), (210, 50, 60)),
    "Crime": ((58, 62, 60), (150, 146, 124), (240, 228, 190)),
    "Documentary": ((228, 224, 212), (150, 166, 166), (40, 50, 60)),
    "Drama": ((148, 160, 176), (232, 210, 184), (38, 40, 54)),
    "Fantasy": ((54, 40, 104), (214, 140, 184), (255, 234, 170)),
    "Film-Noir": ((14, 14, 18), (92, 92, 98), (236, 236, 230)),
    "Horror": ((8, 12, 22), (62, 20, 24), (214, 30, 30)),
    "Musical": ((76, 24, 92), (236, 120, 120), (255, 226, 120)),
    "Romance": ((252, 214, 214), (246, 150, 150), (150, 20, 60)),
    "Sci-Fi": ((6, 10, 36), (36, 84, 140), (180, 236, 255)),
    "Thriller": ((20, 34, 44), (92, 120, 116), (250, 236, 210)),
    "War": ((142, 134, 108), (82, 74, 56), (244, 236, 210)),
    "Western": ((250, 206, 120), (206, 100, 52), (84, 34, 20)),
}
SCENERY: dict[str, tuple[str, ...]] = {
    "stars": ("Sci-Fi", "Fantasy", "Horror", "Musical"),
    "rays": ("Comedy", "Action", "Western", "War", "Animation"),
    "skyline": ("Crime", "Thriller", "Film-Noir", "Drama", "Action", "Romance"),
    "hills": ("Western", "Documentary", "Fantasy", "War", "Animation", "Drama"),
    "glow": ("Romance", "Horror", "Musical", "Sci-Fi", "Thriller"),
    "frame": ("Documentary", "Comedy", "Romance", "Film-Noir"),
}
SHOWN, BORROWED = 0.8, 0.1  # chance that a genre's cue is there; that a cue of another genre is
# Where motifs are, by their number: centre and size as shares of the picture's area (x, y, side).
PLACES: dict[int, list[tuple[float, float, float]]] = {
    1: [(0.5, 0.5, 0.92)],
    2: [(0.37, 0.62, 0.68), (0.78, 0.24, 0.44)],
    3: [(0.5, 0.68, 0.6), (0.23, 0.22, 0.42), (0.77, 0.22, 0.42)],
    4: [(0.27, 0.26, 0.46), (0.73, 0.26, 0.46), (0.27, 0.74, 0.46), (0.73, 0.74, 0.46)],
}
Box = tuple[float, float, float, float]
Size = tuple[int, int]  # width, height: Pillow's order


@dataclass(frozen=True)
class DrawnPoster:
    """A poster and where its cues are.

    Attributes:
        image: RGB.
        cues: genre -> box of its motif (left, top, right, bottom) as shares of width and height, in [0, 1];
            genres without their motif are left out.
    """

    image: Image.Image
    cues: dict[str, Box]


def draw_poster(film: Invented, *, width: int, height: int, rng: np.random.Generator) -> DrawnPoster:
    """Draw the poster of a film, `height`×`width` pixels."""
    size = wide, high = 2 * width, 2 * height  # halved at the end: soft edges
    sky, ground, text = _palette(film.genres, rng)
    image = _ground(size, sky, ground, rng)
    draw = ImageDraw.Draw(image, "RGBA")
    ink = mix(BLACK, sky, 0.12) if sum(sky) + sum(ground) > 330 else mix(BLACK, (60, 70, 90), rng.uniform(0, 0.5))
    for scenery in sorted(_scenery(film.genres, rng), key=list(SCENES).index):  # a frame comes last
        SCENES[scenery](draw, size, mix(mix(sky, ground, 0.5), text, 0.3), ink, rng)
    title_height = rng.uniform(0.17, 0.24) * high
    title_top = 0.03 * high if rng.random() < 0.45 else 0.92 * high - title_height
    area_top = title_top + title_height if title_top < high / 2 else 0.02 * high
    area = (0.03 * wide, area_top, 0.94 * wide, 0.88 * high - title_height)
    if title_top > high / 2:
        _fade(image, title_top, ground)
    cues = _motifs(draw, film.genres, area, ink, rng)
    style = STYLES[film.genres[int(rng.integers(len(film.genres)))] if rng.random() < SHOWN else _any_genre(rng)]
    letter(image, film.title, style, box=(0.07 * wide, title_top, 0.93 * wide, title_top + title_height),
           colour=text, rng=rng)  # fmt: skip
    _credits(image, film, text, rng)
    image = _age(image.reduce(2), film.year, rng)
    scale = np.array([wide, high, wide, high])
    boxes = {genre: np.clip(np.array(box) / scale, 0, 1).round(4).tolist() for genre, box in cues.items()}
    return DrawnPoster(image, {genre: (box[0], box[1], box[2], box[3]) for genre, box in boxes.items()})


def _any_genre(rng: np.random.Generator) -> str:
    return list(PALETTES)[int(rng.integers(len(PALETTES)))]


def _palette(genres: tuple[str, ...], rng: np.random.Generator) -> list[Colour]:
    genre = genres[int(rng.integers(len(genres)))] if rng.random() < SHOWN - 0.05 else _any_genre(rng)
    return [shift(rng, colour, 16) for colour in PALETTES[genre]]


def _scenery(genres: tuple[str, ...], rng: np.random.Generator) -> list[str]:
    """None to two sorts of scenery, those of the film's genres four times as likely."""
    chances = np.array([1.0 + 3 * any(genre in users for genre in genres) for users in SCENERY.values()])
    return [str(name) for name in rng.choice(list(SCENERY), int(rng.integers(0, 3)), False, chances / chances.sum())]


def _ground(size: tuple[int, int], sky: Colour, ground: Colour, rng: np.random.Generator) -> Image.Image:
    """A gradient, somewhat aslant."""
    wide, high = size
    slope = rng.uniform(-0.35, 0.35)
    across = np.linspace(-slope, slope, 32)[None, :]
    share = np.clip(np.linspace(0, 1, 48)[:, None] + across, 0, 1) ** rng.uniform(0.7, 1.5)
    small = np.array(sky) + (np.array(ground) - np.array(sky)) * share[..., None]
    smooth = Image.fromarray(small.astype(np.uint8)).resize((wide // 2, high // 2), Image.Resampling.BILINEAR)
    return smooth.resize(size, Image.Resampling.NEAREST)  # halved again at the end; so it is twice as fast


def _motifs(
    draw: ImageDraw.ImageDraw, genres: tuple[str, ...], area: Box, ink: Colour, rng: np.random.Generator
) -> dict[str, Box]:
    """Draw the motifs into the area (left, top, width, height); genre -> box in pixels."""
    left, top, wide, high = area
    shown = [genre for genre in genres if rng.random() < SHOWN]
    shown += [genre for genre in [_any_genre(rng)] if rng.random() < BORROWED and genre not in genres]
    rng.shuffle(shown)
    places = PLACES[max(1, len(shown))]
    mirrored, cues = rng.random() < 0.5, {}
    for genre, (x, y, side) in zip(shown or [""], places, strict=True):
        x = (1 - x if mirrored else x) + rng.normal(0, 0.02)
        side = side * min(wide, high) * rng.uniform(0.8, 1.12)
        motif = MOTIFS[genre]
        pen = Pen(
            draw, left + x * wide - side / 2, top + (y + rng.normal(0, 0.02)) * high - side / 2, side, rng,
            ink=ink,
            main=shift(rng, motif.main, 22), glow=shift(rng, motif.glow, 18),
            flip=bool(rng.random() < 0.5), tilt=float(rng.normal(0, 0.05)),
        )  # fmt: skip
        motif.draw(pen)
        if genre in genres:
            cues[genre] = pen.extent()
    return cues


def _fade(image: Image.Image, top: float, colour: Colour) -> None:
    """Calm the scenery under a title at the foot."""
    depth = round(1.1 * (image.height - top))
    ramp = np.linspace(0, 5, 64).clip(0, 1)[:, None] * np.full((1, 8), 210)
    mask = Image.fromarray(ramp.astype(np.uint8)).resize((image.width, depth), Image.Resampling.BILINEAR)
    image.paste(colour, (0, image.height - depth), mask)


def _credits(image: Image.Image, film: Invented, colour: Colour, rng: np.random.Generator) -> None:
    """The small print at the foot."""
    first, second = rng.choice(NAMES, 2, replace=False)
    lines = f"A FILM BY {first} VAN ORM\nMUSIC {second} ASTLEY   {film.year}"
    wide, high = image.size
    ImageDraw.Draw(image).multiline_text(
        (wide / 2, 0.96 * high), plain_letters(lines).upper(), fill=colour, anchor="mm", align="center",
        font_size=0.021 * high,
    )  # fmt: skip


def _age(image: Image.Image, year: int, rng: np.random.Generator) -> Image.Image:
    """Old films lose their colours; every print has grain."""
    if year < 1956 and rng.random() < 0.8:
        grey = ImageOps.grayscale(image)
        image = ImageOps.colorize(grey, (18, 14, 10), (246, 236, 214)) if rng.random() < 0.5 else grey.convert("RGB")
    light = rng.uniform(0.88, 1.08)
    grain = 128 + rng.standard_normal((image.height, image.width), np.float32) * rng.uniform(1, 8)
    grains = Image.merge("RGB", [Image.fromarray(grain.astype(np.uint8))] * 3)
    return ImageChops.add(image.point(lambda value: value * light), grains, offset=-128)


def _stars(draw: ImageDraw.ImageDraw, size: Size, tone: Colour, ink: Colour, rng: np.random.Generator) -> None:
    for x, y, radius in rng.random((70, 3)) * (size[0], 0.7 * size[1], 2.5) + (0, 0, 0.5):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*WHITE, 190))


def _rays(draw: ImageDraw.ImageDraw, size: Size, tone: Colour, ink: Colour, rng: np.random.Generator) -> None:
    wide, high = size
    x, y, count = wide / 2, high * rng.uniform(0.4, 0.75), int(rng.integers(9, 15))
    for turn in np.arange(count) * 2 * math.pi / count:
        ends = [(x + 2 * high * math.cos(turn + d), y + 2 * high * math.sin(turn + d)) for d in (0, math.pi / count)]
        draw.polygon([(x, y), *ends], fill=(*tone, 110))


def _skyline(draw: ImageDraw.ImageDraw, size: Size, tone: Colour, ink: Colour, rng: np.random.Generator) -> None:
    wide, high = size
    x, base = 0.0, high * rng.uniform(0.75, 0.95)
    while x < wide:
        step, top = wide * rng.uniform(0.06, 0.16), base - high * rng.uniform(0.08, 0.4)
        draw.rectangle((x, top, x + step, high), fill=(*mix(ink, tone, 0.35), 235))
        for row in np.arange(top + 0.02 * high, base, 0.03 * high):
            for column in np.arange(x + 0.015 * wide, x + step - 0.02 * wide, 0.03 * wide):
                if rng.random() < 0.25:
                    draw.rectangle((column, row, column + 0.012 * wide, row + 0.012 * high), fill=(250, 220, 140, 200))
        x += step


def _hills(draw: ImageDraw.ImageDraw, size: Size, tone: Colour, ink: Colour, rng: np.random.Generator) -> None:
    wide, high = size
    for layer in range(3):
        xs, phase = np.linspace(0, wide, 30), rng.uniform(0, 6, 2)
        waves = np.sin(3 * xs / wide + phase[0]) + 0.5 * np.sin(8 * xs / wide + phase[1])
        ys = high * (0.66 + 0.1 * layer) + 0.05 * high * waves
        draw.polygon([(0, high), *zip(xs, ys, strict=True), (wide, high)], fill=mix(tone, ink, 0.2 + 0.2 * layer))


def _glow(draw: ImageDraw.ImageDraw, size: Size, tone: Colour, ink: Colour, rng: np.random.Generator) -> None:
    wide, high = size
    x, y = wide * rng.uniform(0.3, 0.7), high * rng.uniform(0.3, 0.6)
    for radius in wide * np.linspace(0.62, 0.2, 6):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*mix(tone, WHITE, 0.5), 40))


def _frame(draw: ImageDraw.ImageDraw, size: Size, tone: Colour, ink: Colour, rng: np.random.Generator) -> None:
    edge = round(size[0] * rng.uniform(0.02, 0.05))
    draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=(*mix(tone, WHITE, 0.6), 255), width=edge)


SCENES = {
    "stars": _stars,
    "rays": _rays,
    "skyline": _skyline,
    "hills": _hills,
    "glow": _glow,
    "frame": _frame,
}
