"""Damaged posters by the thousand, read in a process of their own.

    python tests/fuzz_images.py --cases 100000 --seed 0

Each case is a drawn poster of some format with some of its bytes changed; case number and seed make it again. Only
pixels or `UnreadablePoster` may come out, in 2 seconds of processor time, and all cases together may not take 200 MB
more than the process had. A crash or a hang ends the process, and the last case it began is in what it printed.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import random
import struct
import sys
import time
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from onesheet.errors import UnreadablePoster
from onesheet.images import open_poster, read_poster
from poster_bombs import peak, peak_anew, saved

SECONDS = 2.0
BYTES = 200_000_000
HANG_SECONDS = 60  # of wall time: the machine may be busy
EXTREMES = [0, 1, 2, 7, 8, 127, 128, 254, 255, 256, 4095, 32767, 32768, 65535, 10_000, 2**31 - 1, 2**31, 2**32 - 1]


def seeds() -> list[bytes]:
    """Small drawn posters: every format, and the ways each has of storing one."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 4, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    drawn = Image.fromarray(coarse + rng.integers(0, 12, coarse.shape, np.uint8))
    grey, seen_through = drawn.convert("L"), drawn.copy()
    seen_through.putalpha(grey)
    palette = drawn.convert("P", palette=Image.Palette.ADAPTIVE)
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    floats = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010E: "drawn", 0x011A: 72.0, 0x0128: 2})
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "drawn", zip=True)
    text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>', zip=True)
    frames = {"save_all": True, "append_images": [drawn.rotate(180)]}

    tiff = [
        saved(drawn, "TIFF", compression=how) for how in (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
    ]
    return [
        *(saved(drawn, "JPEG", exif=exif, icc_profile=icc, progressive=how, comment="drawn") for how in (False, True)),
        *(saved(picture, "JPEG") for picture in (grey, drawn.convert("CMYK"))),
        *(saved(picture, "PNG", pnginfo=text, exif=exif) for picture in (drawn, seen_through, wide)),
        saved(drawn.convert("1"), "PNG"),
        *(saved(palette, "PNG", transparency=3), saved(drawn, "PNG", icc_profile=icc), saved(drawn, "PNG", **frames)),
        *(saved(seen_through, "WEBP", lossless=how, exif=exif) for how in (False, True)),
        *(saved(drawn, "WEBP"), saved(drawn, "WEBP", **frames)),
        *(saved(palette, "GIF", comment="drawn", transparency=2), saved(palette, "GIF", interlace=0)),
        saved(drawn, "GIF", **frames, loop=0, disposal=2),
        *(*tiff, saved(wide, "TIFF"), saved(floats, "TIFF"), saved(drawn, "TIFF", **frames)),
        saved(drawn, "TIFF", exif=exif),
        *(saved(palette, "TIFF", compression="tiff_lzw"), saved(drawn.convert("1"), "TIFF", compression="group4")),
        saved(drawn, "TIFF", big_tiff=True),
        *(saved(drawn, "BMP"), saved(palette, "BMP")),
        *(saved(seen_through, "AVIF", exif=exif, speed=10), saved(drawn, "AVIF", speed=10)),
    ]  # fmt: skip


def damaged(originals: list[bytes], chance: random.Random) -> bytes:
    """One of the originals with one to eight changes; a PNG's checksums are mostly made right again."""
    data = bytearray(chance.choice(originals))
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        _change(data, originals, chance)
    if data.startswith(b"\x89PNG") and chance.random() < 0.8:
        return _with_checksums(bytes(data))
    return bytes(data)


def _change(data: bytearray, originals: list[bytes], chance: random.Random) -> None:
    # what stands first decides most
    place = chance.randrange(min(len(data), 200)) if chance.random() < 0.5 else chance.randrange(len(data))
    match chance.randrange(7):
        case 0:
            data[place] ^= 1 << chance.randrange(8)
        case 1:
            data[place] = chance.randrange(256)
        case 2:
            value, form = chance.choice(EXTREMES), chance.choice(("<H", ">H", "<I", ">I"))
            number = struct.pack(form, value & (0xFFFF if form[1] == "H" else 0xFFFFFFFF))
            data[place : place + len(number)] = number
        case 3:
            del data[max(1, place) :]
        case 4:
            del data[place : place + chance.randrange(1, 40)]
        case 5:
            end = place + chance.randrange(1, 200)
            data[place:place] = data[place:end] * chance.randrange(1, 4)
        case 6:
            other = chance.choice(originals)
            start = chance.randrange(len(other))
            data[place : place + chance.randrange(1, 100)] = other[start : start + chance.randrange(1, 100)]
    if not data:
        data.append(0)


def _with_checksums(data: bytes) -> bytes:
    out, place = bytearray(data[:8]), 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        if place + 12 + length > len(data):
            break
        body = data[place + 4 : place + 8 + length]
        out += data[place : place + 4] + body + struct.pack(">I", zlib.crc32(body))
        place += 12 + length
    return bytes(out + data[place:])


def main() -> int:
    """Read the cases, and say what came out as one JSON object; 1 where a case broke a promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--begun", type=Path, help="file that holds the number of the case that is being read")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    originals = seeds()
    for data in originals:
        read_poster(data, size=(48, 32))
    before, begun = peak_anew(), time.perf_counter()
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    slowest = 0.0
    for case in range(asked.cases):
        if asked.begun:
            asked.begun.write_text(str(case))
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        started = time.process_time()
        outcome = outcome_of(damaged(originals, random.Random(f"{asked.seed} {case}")), case)
        seconds = time.process_time() - started
        slowest = max(slowest, seconds)
        outcomes[outcome.split(":")[0]] += 1
        if outcome.startswith("wrong") or seconds > SECONDS or peak() - before > BYTES:
            wrong.append(f"case {case}: {outcome}, {seconds:.2f} s, {(peak() - before) / 1e6:.0f} MB")
        if wrong and len(wrong) > 20:
            break
    faulthandler.cancel_dump_traceback_later()
    said = {
        "cases": sum(outcomes.values()),
        "outcomes": dict(outcomes.most_common()),
        "slowest_seconds": round(slowest, 3),
        "growth_mb": round((peak() - before) / 1e6, 1),
        "seconds": round(time.perf_counter() - begun, 1),
        "wrong": wrong,
    }
    print(json.dumps(said))
    return 1 if wrong else 0


def outcome_of(data: bytes, case: int) -> str:
    """The reason of a rejection, "read", or "wrong: …"."""
    try:
        if case % 4:
            read_poster(data, size=(48, 32))
        else:
            open_poster(data)
    except UnreadablePoster as error:
        return error.reason if "\n" not in str(error) else f"wrong: {error!r}"
    except BaseException as error:
        return f"wrong: {error!r}"
    return "read"


if __name__ == "__main__":
    sys.exit(main())
