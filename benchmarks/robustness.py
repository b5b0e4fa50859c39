"""How much a model loses on posters that came another way: squeezed, small, blown up, blurred, framed, tilted, faded.

python benchmarks/robustness.py DATA [--model FILE] [--out FOLDER] [--write]

DATA as for quality.py: the fixed test sets of both collections. Every test poster is changed in its pixels, written as
a file of a real format, and read back by the library's own decoder. Prints one Markdown row per change; --write puts
them into docs/results.json and onto the pages.
"""

import argparse
import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import results_pages
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from quality import measure, metric, pack_tests
from ratio import processor_name

from onesheet.images import open_poster, read_poster
from onesheet.packed import Packed
from onesheet.predict import DEFAULT_MODEL, Predictor, load

Picture = Image.Image
BATCH = 16


def framed(picture: Picture, colour: str) -> Picture:
    """A frame of 8 % of the width, as of a scan or a matted print."""
    return ImageOps.expand(picture, border=round(picture.width * 0.08), fill=colour)


def scaled(picture: Picture, factor: float) -> Picture:
    return picture.resize(
        (max(1, round(picture.width * factor)), max(1, round(picture.height * factor))), Image.Resampling.BICUBIC
    )


def cropped(picture: Picture) -> Picture:
    """Without a tenth at each side."""
    across, down = round(picture.width * 0.1), round(picture.height * 0.1)
    return picture.crop((across, down, picture.width - across, picture.height - down))


# name -> (change of the pixels, file format, its options)
CHANGES: dict[str, tuple[Callable[[Picture], Picture], str, dict[str, object]]] = {
    "as it is": (lambda picture: picture, "PNG", {}),
    "JPEG, quality 30": (lambda picture: picture, "JPEG", {"quality": 30}),
    "WebP, quality 30": (lambda picture: picture, "WEBP", {"quality": 30}),
    "half the size": (lambda picture: scaled(picture, 0.5), "PNG", {}),
    "blown up threefold": (lambda picture: scaled(picture, 3), "JPEG", {"quality": 85}),
    "blurred, radius 1.5": (lambda picture: picture.filter(ImageFilter.GaussianBlur(1.5)), "PNG", {}),
    "white frame": (lambda picture: framed(picture, "white"), "PNG", {}),
    "black frame": (lambda picture: framed(picture, "black"), "PNG", {}),
    "a tenth cut off each side": (cropped, "PNG", {}),
    "tilted by 4°": (lambda picture: picture.rotate(4, Image.Resampling.BILINEAR, fillcolor="white"), "PNG", {}),
    "faded": (lambda picture: ImageEnhance.Color(ImageEnhance.Contrast(picture).enhance(0.6)).enhance(0.5), "PNG", {}),
    "grey": (lambda picture: ImageOps.grayscale(picture).convert("RGB"), "PNG", {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/quality"), help="posters packed, as quality.py leaves them"
    )
    parser.add_argument("--write", action="store_true", help="write docs/results.json and the pages")
    given = parser.parse_args()
    predictor = load(given.model)
    packed = pack_tests(given.data, predictor, given.out)
    first: float | None = None
    columns = ("posters", "ROC-AUC", "difference", "mAP", "recall at precision .60", "calibration error")
    rows = []
    print(f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|")
    for name, (change, form, options) in CHANGES.items():
        result = measure(predictor, packed.labels, answers(predictor, packed, change, form, options), draws=0)
        mean, area, recall, error = (
            metric(result, "ranking", key).value
            for key in ("macro_average_precision", "macro_roc_auc", "recall_at_precision_60", "calibration_error")
        )
        first = area if first is None else first
        difference = f"{area - first:+.3f}"
        rows.append([name, round(area, 3), difference, round(mean, 3), round(recall, 3), round(error, 3)])
        print(f"| {name} | {area:.3f} | {difference} | {mean:.3f} | {recall:.3f} | {error:.3f} |", flush=True)
    if given.write:
        measured = f"{len(packed.films):,} test films. Measured on {datetime.now(UTC).date()}, {processor_name()}."
        command = ".venv/bin/python benchmarks/robustness.py DATA --write"
        results_pages.record("robustness", command=command, measured=measured, columns=columns, rows=rows)
        results_pages.main()


def answers(
    predictor: Predictor, packed: Packed, change: Callable[[Picture], Picture], form: str, options: dict[str, object]
) -> NDArray[np.float32]:
    """Probabilities of every test poster after the change, float32 N×G."""

    def changed(path: Path) -> NDArray[np.uint8]:
        file = io.BytesIO()
        change(open_poster(path).picture).save(file, form, **options)
        return read_poster(file.getvalue(), size=predictor.card.size, resize=predictor.card.resize)

    paths = [film.poster for film in packed.films]
    batches = (np.stack([changed(path) for path in paths[at : at + BATCH]]) for at in range(0, len(paths), BATCH))
    return np.concatenate([predictor.score(batch).probabilities for batch in batches])


if __name__ == "__main__":
    main()
