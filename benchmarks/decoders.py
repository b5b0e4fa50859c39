"""Our decoder against every fast one at hand that keeps antialiasing: JPEG bytes in memory to 224×160 RGB, one thread.

python benchmarks/decoders.py DATA [--posters N]

DATA's posters as they are, and scaled to 500×750 pixels, as catalogues offer them. `make bench` installs OpenCV,
simplejpeg and pyvips apart (.venv/decoders, by PYTHONPATH); what is missing is listed. Beside each decoder is how far
its pixels are from a full decode with Pillow's antialiased bilinear resize, which the models know.
"""

import io
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from material import SIZE, jpegs, read
from numpy.typing import NDArray
from PIL import Image
from ratio import arguments, at_least, in_turn, load_now, quotients, report, row, seconds, spread

from onesheet.images import read_poster

Pixels = NDArray[np.uint8]
Decoder = Callable[[bytes], Pixels]
HEIGHT, WIDTH = SIZE
REDUCED = (WIDTH * 3 // 2, HEIGHT * 3 // 2)  # a JPEG may be decoded at reduced scale, but not below this, as ours
BILINEAR = Image.Resampling.BILINEAR


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--posters", type=int, default=1000)
    given = parser.parse_args()
    load = load_now()
    decoders, missing = found_decoders()
    files = [Path(film.poster).read_bytes() for film in jpegs(read(given.data, posters=given.posters))]
    kinds = {"as they are": files, "at 500×750": [enlarged(file) for file in files]}
    lines, tables = zip(*(measured(kind, kinds[kind], decoders, given.repeats) for kind in kinds), strict=True)
    notes = "\n\n".join(tables) + (f"\n\nNot installed: {', '.join(missing)}." if missing else "")
    packages = ("numpy", "pillow", "opencv-python-headless", "simplejpeg", "pyvips")
    report(lines, repeats=given.repeats, packages=packages, load=load, notes=notes)


def measured(kind: str, files: list[bytes], decoders: dict[str, Decoder], repeats: int) -> tuple[str, str]:
    """The row of ours against the fastest, and the table of all."""
    differences = {name: difference(files, decoder) for name, decoder in decoders.items()}

    def rate(decoder: Decoder) -> Callable[[], float]:
        return lambda: len(files) / seconds(lambda: [decoder(file) for file in files])

    rates = dict(zip(decoders, in_turn(*map(rate, decoders.values()), repeats=repeats), strict=True))
    ours = rates.pop("ours")
    ratios = {name: quotients(ours, theirs) for name, theirs in rates.items()}
    fastest = max(rates, key=lambda name: float(np.median(rates[name])))
    line = row(
        f"decoding, {len(files):,} JPEGs {kind}, one thread",
        spread(ours, "posters/s"),
        f"{fastest}: {spread(rates[fastest], 'posters/s')}",
        ratios[fastest],
        "≥ 0.8 of the fastest",
        at_least(ratios[fastest], 0.8),
    )
    table = [
        f"| {kind} | posters/s | ours / it | pixels differ by, mean | at most |\n|---|---|---|---|---|",
        f"| ours | {spread(ours)} | 1 | {differences['ours']} |",
        *(f"| {name} | {spread(rates[name])} | {spread(ratios[name])} | {differences[name]} |" for name in rates),
    ]
    return line, "\n".join(table)


def enlarged(file: bytes) -> bytes:
    """The poster at 500×750 pixels, the size that databases offer and catalogues keep most."""
    picture = Image.open(io.BytesIO(file)).convert("RGB")  # noqa: TID251 - drawn before anything is measured
    larger = io.BytesIO()
    picture.resize((500, 750), Image.Resampling.LANCZOS).save(larger, "JPEG", quality=90)
    return larger.getvalue()


def found_decoders() -> tuple[dict[str, Decoder], list[str]]:
    """Name -> bytes to uint8 224×160×3, ours first; and the packages that are not there."""
    decoders: dict[str, Decoder] = {
        "ours": lambda file: read_poster(file, size=SIZE),
        "Pillow, whole picture": whole_picture,
        "Pillow, draft": drafted,
        "Pillow, reduce": reduced,
    }
    missing = []
    os.environ["VIPS_CONCURRENCY"] = "1"  # read on import
    for package, add in (("cv2", with_opencv), ("simplejpeg", with_simplejpeg), ("pyvips", with_pyvips)):
        try:
            decoders |= add(import_module(package))
        except (ImportError, OSError):  # OSError: pyvips without its C library
            missing.append(package)
    return decoders, missing


def whole_picture(file: bytes) -> Pixels:
    picture = Image.open(io.BytesIO(file)).convert("RGB")  # noqa: TID251 - what is measured
    return np.asarray(picture.resize((WIDTH, HEIGHT), BILINEAR))


def drafted(file: bytes) -> Pixels:
    picture = Image.open(io.BytesIO(file))  # noqa: TID251 - what is measured
    picture.draft("RGB", REDUCED)
    return np.asarray(picture.convert("RGB").resize((WIDTH, HEIGHT), BILINEAR))


def reduced(file: bytes) -> Pixels:
    picture = Image.open(io.BytesIO(file)).convert("RGB")  # noqa: TID251 - what is measured
    return np.asarray(picture.resize((WIDTH, HEIGHT), BILINEAR, reducing_gap=2.0))


def with_opencv(cv2: Any) -> dict[str, Decoder]:
    cv2.setNumThreads(1)

    def area(file: bytes, flag: int = cv2.IMREAD_COLOR) -> Pixels:
        picture = cv2.imdecode(np.frombuffer(file, np.uint8), flag)
        shrinks = picture.shape[0] > HEIGHT or picture.shape[1] > WIDTH  # what does not, area would only repeat
        filter_ = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.cvtColor(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=filter_), cv2.COLOR_BGR2RGB))

    def reduced(file: bytes) -> Pixels:
        width, height = Image.open(io.BytesIO(file)).size  # noqa: TID251 - what is measured
        scale = min(width // REDUCED[0], height // REDUCED[1])
        return area(file, next((flag for least, flag in flags.items() if scale >= least), cv2.IMREAD_COLOR))

    flags = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
    return {"OpenCV, area": area, "OpenCV, reduced and area": reduced}


def with_simplejpeg(simplejpeg: Any) -> dict[str, Decoder]:
    def pixels(file: bytes, **options: bool) -> Pixels:
        width, height = REDUCED
        return np.asarray(simplejpeg.decode_jpeg(file, "RGB", min_height=height, min_width=width, **options))

    def bilinear(file: bytes, **options: bool) -> Pixels:
        return np.asarray(Image.fromarray(pixels(file, **options)).resize((WIDTH, HEIGHT), BILINEAR))

    return {
        "simplejpeg, Pillow's resize": bilinear,
        "simplejpeg, fast transform": lambda file: bilinear(file, fastdct=True, fastupsample=True),
    }


def with_pyvips(pyvips: Any) -> dict[str, Decoder]:
    def thumbnail(file: bytes) -> Pixels:
        return np.asarray(pyvips.Image.thumbnail_buffer(file, WIDTH, height=HEIGHT, size="force").numpy())

    return {"pyvips, thumbnail": lambda file: _rgb(thumbnail(file))}


def _rgb(pixels: Pixels) -> Pixels:
    return np.repeat(pixels.reshape(HEIGHT, WIDTH, -1)[..., :1], 3, 2) if pixels.size == HEIGHT * WIDTH else pixels


def difference(files: list[bytes], decoder: Decoder) -> str:
    """Mean and largest difference from the whole picture's pixels, of 255, over at most 100 posters."""
    gaps = [np.abs(decoder(file).astype(int) - whole_picture(file)) for file in files[:100]]
    return f"{np.mean([gap.mean() for gap in gaps]):.2f} | {max(int(gap.max()) for gap in gaps)}"


if __name__ == "__main__":
    main()
