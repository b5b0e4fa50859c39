"""`onesheet explain`: where in a poster the evidence for its genres is."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onesheet.cli.predict_command import add_model, add_point, add_posters, shown

if TYPE_CHECKING:
    from onesheet.predict import HeatMap, Predictor


def add_commands(commands: Any) -> None:
    """Add `explain`."""
    parser = commands.add_parser(
        "explain",
        help="heat maps: where in a poster the evidence for a genre is",
        description="Heat maps over posters, one PNG for each poster and genre: bright where the poster speaks for the "
        "genre. Unreadable posters are listed at the end (exit 1).",
        allow_abbrev=False,
    )
    add_posters(parser)
    parser.add_argument(
        "--genre",
        action="append",
        dest="genres",
        metavar="GENRE",
        help="genre to explain, given or not; may be repeated (default: each genre given)",
    )
    add_model(parser)
    add_point(parser)
    parser.add_argument(
        "--out", default="explanations", metavar="FOLDER", help="folder for the pictures (default: explanations)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Explain, write and print; 1 if a poster was unreadable."""
    from onesheet.errors import UnreadablePoster
    from onesheet.predict import find_posters, load
    from onesheet.predict.predictions import percent

    predictor = load(arguments.model)
    for genre in arguments.genres or ():
        predictor.genres.column(genre)
    posters = find_posters(arguments.posters)
    taken = {Path(poster).resolve() for poster in posters}  # never write over a poster
    failures: list[str] = []
    for poster in posters:
        try:
            note, maps = _explained(predictor, poster, arguments.genres, arguments.at)
            print(f"{shown(poster)}{note}")
            for heat_map in maps:
                path = _free_path(Path(arguments.out), poster, heat_map.genre, taken)
                heat_map.save(path)
                part = heat_map.brightest or "no part of the poster speaks for it"
                print(f"  {heat_map.genre} {percent(heat_map.probability)}: {part}  {shown(str(path))}", flush=True)
        except UnreadablePoster as error:
            failures.append(str(error))
    if failures:
        print(f"{len(failures)} unreadable:", *failures, sep="\n  ", file=sys.stderr)
    return 1 if failures else 0


def _explained(predictor: Predictor, poster: str, genres: list[str] | None, at: str) -> tuple[str, list[HeatMap]]:
    """A note where no genre is sure enough, and the maps: of `genres`, else of those given, else of the likeliest."""
    from onesheet.predict import heat_maps

    note = ""
    if not genres:
        prediction = predictor.predict(poster, at=at)
        genres = list(prediction.genres)
        if not genres:
            genres = [max(prediction.probabilities, key=prediction.probabilities.__getitem__)]
            note = "  (none is sure enough; the likeliest:)"
    return note, heat_maps(predictor, poster, genres)


def _free_path(folder: Path, poster: str, genre: str, taken: set[Path]) -> Path:
    """A name for a picture: the poster's and the genre's, and a number where another poster has the same."""
    slug = re.sub(r"[^\w-]+", "-", genre).strip("-").lower()
    name = f"{Path(poster).stem[:48]}-{slug}"
    number, path = 1, folder / f"{name}.png"
    while path.resolve() in taken:
        number += 1
        path = folder / f"{name}-{number}.png"
    taken.add(path.resolve())
    return path
