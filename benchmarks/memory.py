"""The most memory that pack, fit, export, predict and evaluate take on a catalogue of so many rows.

python benchmarks/memory.py OUT [--rows N] [--size 64x48] [--backbone FOLDER] [--draws N] [--only NAME …]

The catalogue is drawn, its posters repeated by hard links; at 64×48 pixels a million packed posters take 9 GB of disk
below OUT, deleted again. With a backbone, a head on its features is trained as well, and then all of it, in batches of
as many pixels as 32 posters of 224×160 have: what training takes most memory for. Resident memory counts pages of
mapped files, which the system drops when it needs them; "own" is what the machine must have. Each command runs once.
"""

import argparse
import csv
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from peak import Peak, watch
from ratio import load_now, report, row

from onesheet.data import Findings, read_catalogue
from onesheet.drawn import draw_catalogue

LIMIT_MB = 2000
FOLDER_FILES = 10_000
BATCH_PIXELS = 32 * 224 * 160


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument(
        "--drawn", type=int, default=300, help="different posters; a file takes some 65,000 links at most"
    )
    parser.add_argument("--size", default="64x48", help="H×W of the packed posters")
    parser.add_argument("--backbone", help="folder of a pretrained backbone, to train a head on")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="some of the commands; all need what packs for them")
    given = parser.parse_args()
    known = [name for name, *_ in commands(Path(), given.rows, given.size, given.backbone, given.draws)]
    if unknown := set(given.only or ()) - set(known):
        parser.error(f"--only: no command {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    load = load_now()
    given.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=given.out) as place:
        folder = Path(place)
        write_catalogue(folder, rows=given.rows, drawn=given.drawn)
        lines = []
        for name, rows, command in commands(folder, given.rows, given.size, given.backbone, given.draws):
            if given.only and name not in given.only:
                continue
            log = Path(os.devnull) if name == "predict" else given.out / f"memory-{name.replace(' ', '-')}.log"
            peak = watch([str(Path(sys.executable).with_name("onesheet")), *command], log)
            lines.append(line(name, rows, peak, log))
            print(lines[-1], file=sys.stderr, flush=True)
    report(lines, repeats=1, packages=("numpy", "torch", "onnxruntime"), load=load)


def write_catalogue(folder: Path, *, rows: int, drawn: int) -> None:
    """`catalogue.csv`, its posters below `posters/`, and an empty findings file: no audit is to leave copies out."""
    films = read_catalogue(draw_catalogue(folder / "drawn", films=drawn, faults=False)).films
    with (folder / "catalogue.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "genres", "poster"])
        for number in range(rows):
            film = films[number % len(films)]
            poster = folder / "posters" / f"{number // FOLDER_FILES:03d}" / f"{number:07d}{Path(film.poster).suffix}"
            poster.parent.mkdir(parents=True, exist_ok=True)
            os.link(film.poster, poster)
            writer.writerow([f"film-{number}", "|".join(film.genres), poster.relative_to(folder)])
    Findings().write_csv(folder / "none.csv")


def commands(
    folder: Path, rows: int, size: str, backbone: str | None, draws: int
) -> Iterator[tuple[str, int, list[str]]]:
    """Name, rows and words of each command, in the order in which they need one another."""
    catalogue, packed, run, model = (str(folder / name) for name in ("catalogue.csv", "packed", "run", "genres.onnx"))
    whole = ["--findings", str(folder / "none.csv"), "--min-films", "1"]
    small = ["--model", "poster-cnn", "--widths", "8,16", "--epochs", "1", "--batch-size", "256"]
    yield "pack", rows, ["pack", catalogue, *whole, "--size", size, "--out", packed]
    yield "fit", rows, ["fit", packed, *small, "--out", run]
    if backbone:
        one = ["--model", f"hf:{backbone}", "--epochs", "1"]
        yield "fit, head only", rows, ["fit", packed, *one, "--tune", "head", "--out", str(folder / "head")]
        height, width = map(int, size.split("x"))
        full = ["--head-epochs", "0", "--batch-size", str(max(1, round(BATCH_PIXELS / (height * width))))]
        yield "fit, all tuned", rows, ["fit", packed, *one, *full, "--out", str(folder / "tuned")]
    yield "export", rows, ["export", run, "--out", model]
    yield "predict", rows, ["predict", str(folder / "posters"), "--model", model, "--csv"]
    yield (
        "evaluate",
        round(0.7 * rows),  # the part that `split` makes the training set
        ["evaluate", model, packed, "--split", "train", "--draws", str(draws), "--out", str(folder / "report")],
    )


def line(command: str, rows: int, peak: Peak, log: Path) -> str:
    reached: bool | str = peak.resident <= LIMIT_MB
    if peak.status:
        reached = f"no: failed with status {peak.status}, see {log.name}"
    elif not reached and peak.anonymous <= LIMIT_MB:
        reached = "yes, but for pages of mapped files"
    return row(
        f"memory of {command}, {rows:,} rows",
        f"{peak.resident:,.0f} MB resident, {peak.anonymous:,.0f} MB own, {peak.seconds:,.0f} s",
        f"{LIMIT_MB:,} MB",
        [peak.resident / LIMIT_MB],
        "≤ 1",
        reached,
    )


if __name__ == "__main__":
    main()
