"""Files that ask for much: `python tests/poster_bombs.py FOLDER` reads each in a process of its own and tells."""

from __future__ import annotations

import io
import json
import os
import struct
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from onesheet.errors import UnreadablePoster
from onesheet.formats import MAX_BYTES
from onesheet.images import open_poster, read_poster

SMALL = Image.fromarray(np.zeros((96, 64, 3), np.uint8))


def saved(picture: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *, kind: int = 2, before: bytes = b"") -> bytes:
    """A PNG whose pixels are all there: zeros, packed a thousand times smaller."""
    row = b"\0" * (1 + width * {0: 1, 2: 3, 6: 4}[kind])
    packer = zlib.compressobj(1)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def tiff(tags: list[tuple[int, int, int, int]], tail: bytes = b"") -> bytes:
    """A TIFF of one directory: (tag, type, count, value or place)."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + tail


def many(tag: int, size: int) -> bytes:
    """A TIFF directory, as EXIF is one, whose one tag has `size` bytes of numbers."""
    return tiff([(tag, 3, size // 2, 26)], b"\x39\x30" * (size // 2))


def exif_jpeg(size: int) -> bytes:
    """A JPEG without JFIF, so that Pillow looks for its resolution in EXIF of many segments."""
    exif = many(0x0128, size)
    parts = [b"Exif\0\0" + exif[start : start + 65_000] for start in range(0, len(exif), 65_000)]
    return JPEG[:2] + b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts) + JPEG[20:]


def exif_avif(size: int) -> bytes:
    """An AVIF with an orientation of many numbers, which Pillow would not write."""
    data = bytearray(saved(SMALL, "AVIF", exif=b"Exif\0\0" + many(0x0113, size)))
    data[data.index(struct.pack("<HHI", 0x0113, 3, size // 2))] = 0x12
    return bytes(data)


def exif_tiff(size: int) -> bytes:
    """A TIFF whose EXIF, a directory of its own, has a tag of many numbers."""
    tags = [*basic(64, 64), (273, 4, 1, 122), (278, 4, 1, 64), (34665, 4, 1, 122 + 4096)]
    inner = struct.pack("<H", 1) + struct.pack("<HHII", 300, 3, size // 2, 200) + bytes(4)
    return tiff(tags, bytes(4096) + inner + b"\x39\x30" * (size // 2))


def wide_text(number: int) -> bytes:
    """A packed PNG text each of whose million letters takes four bytes, as one of them needs it."""
    letters = "\U0001f3ac".encode() + b"a" * 1_000_000
    return chunk(b"iTXt", b"%d\0\1\0\0\0" % number + zlib.compress(letters, 9))


def big_tiff(entries: int) -> bytes:
    same = struct.pack("<HHQQ", 256, 4, 1, 64) * entries
    return b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, entries) + same + bytes(8)


def basic(width: int, height: int) -> list[tuple[int, int, int, int]]:
    return [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = saved(Image.fromarray(np.zeros((2000, 2000), np.uint8)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + b"\xff\xd9"


def frames(form: str, count: int) -> bytes:
    pictures = [Image.fromarray(np.full((4, 4, 3), n % 256, np.uint8)) for n in range(count)]
    return saved(pictures[0], form, save_all=True, append_images=pictures[1:])


def webp_claims(width: int, height: int) -> bytes:
    """A WebP whose canvas is as large as its header says, around a small picture."""
    inner = saved(SMALL, "WEBP", lossless=True)[12:]
    canvas = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    frame = struct.pack("<I", 0)[:3] * 2 + struct.pack("<I", 63)[:3] + struct.pack("<I", 95)[:3] + b"\1\0\0\0"
    anmf = frame + inner
    body = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + canvas + b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    body += b"ANMF" + struct.pack("<I", len(anmf)) + anmf
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def gif_claims(width: int, height: int) -> bytes:
    data = bytearray(saved(SMALL, "GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def filled(head: bytes, unit: bytes, tail: bytes) -> bytes:
    """As large as a file may be, of units that say nothing."""
    return head + unit * ((MAX_BYTES - len(head) - len(tail)) // len(unit)) + tail


JPEG = saved(SMALL, "JPEG")
PNG = saved(SMALL, "PNG")
GIF = saved(SMALL, "GIF")
TURNED = Image.Exif()
TURNED[0x0112] = 6
exif_tags = b"Exif\0\0" + tiff([(number, 7, 60_000, 8) for number in range(300, 5000)])
exif_segment = b"\xff\xe1" + struct.pack(">H", len(exif_tags) + 2) + exif_tags

BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG of 99 million pixels": lambda: png(9900, 10_000, kind=0),
    "the largest PNG that is read": lambda: png(4900, 4960, kind=6),
    "JPEG of 99 million pixels": lambda: saved(Image.new("L", (9900, 10_000)), "JPEG", quality=1),
    "progressive JPEG of 99 million pixels": lambda: saved(Image.new("L", (9900, 10_000)), "JPEG", progressive=True),
    "the largest progressive JPEG": lambda: saved(Image.new("RGB", (4000, 6000)), "JPEG", progressive=True),
    "JPEG of 1,000 scans": lambda: scans(1000),
    "JPEG of the most scans": lambda: scans(80),
    "WebP of 99 million pixels": lambda: webp_claims(9900, 10_000),
    "WebP of 200 million pixels": lambda: webp_claims(16_000, 12_500),
    "the largest WebP": lambda: saved(Image.new("RGBA", (3120, 3120), (9, 9, 9, 9)), "WEBP", lossless=True),
    "the largest lossy WebP": lambda: saved(Image.new("RGB", (3120, 3120)), "WEBP"),
    "the largest AVIF": lambda: saved(Image.new("RGBA", (3120, 3120), (9, 9, 9, 9)), "AVIF", speed=10),
    "the largest JPEG": lambda: saved(Image.effect_noise((6000, 8000), 9).convert("RGB"), "JPEG"),
    "the largest turned JPEG": lambda: saved(Image.new("RGB", (4800, 5000)), "JPEG", exif=TURNED),
    "the largest 16-bit PNG": lambda: saved(Image.fromarray(np.zeros((4900, 4960), np.uint16)), "PNG"),
    "the largest float TIFF": lambda: saved(Image.new("F", (3490, 3490)), "TIFF", compression="tiff_lzw"),
    "the largest palette PNG": lambda: saved(Image.new("P", (4900, 4960)), "PNG", transparency=0),
    "AVIF of 64 million pixels": lambda: saved(Image.new("L", (8000, 8000)), "AVIF", speed=10),
    "GIF of 99 million pixels": lambda: gif_claims(9900, 10_000),
    "the largest GIF": lambda: gif_claims(4900, 4960),
    "the largest TIFF": lambda: saved(Image.new("RGBA", (3490, 3490)), "TIFF", compression="tiff_adobe_deflate"),
    "the largest 16-bit TIFF": lambda: saved(
        Image.fromarray(np.zeros((3490, 3490), np.uint16)), "TIFF", compression="tiff_lzw"
    ),
    "TIFF of one strip": lambda: saved(
        Image.new("RGB", (3490, 3490)), "TIFF", compression="tiff_lzw", tiffinfo={278: 3490}
    ),
    "TIFF of a tile of 2 GB": lambda: tiff(
        [
            *basic(64, 64)[:3],
            (259, 3, 1, 8),
            *basic(64, 64)[4:],
            (322, 4, 1, 40_000),
            (323, 4, 1, 50_000),
            (324, 4, 1, 200),
            (325, 4, 1, 50),
        ],
        zlib.compress(bytes(5_000_000), 9),
    ),
    "TIFF of ten million strips": lambda: tiff([*basic(64, 64), (273, 4, 10_000_000, 200)], bytes(40_000_100)),
    "TIFF of 900,000 strips": lambda: tiff([*basic(64, 64), (273, 4, 900_000, 200)], bytes(40_000_100)),
    "TIFF whose tags share their bytes": lambda: tiff(
        [*basic(64, 64), *((number, 7, 700_000, 8) for number in range(300, 60_000))]
    ),
    "TIFF of three million tags": lambda: big_tiff(3_000_000),
    "GIF of 3,000 frames": lambda: frames("GIF", 3000),
    "TIFF of 1,000 frames": lambda: frames("TIFF", 1000),
    "WebP of 3,000 frames": lambda: frames("WEBP", 3000),
    "many JPEG segments": lambda: filled(JPEG[:2], b"\xff\xfe\0\2", JPEG[2:]),
    "much between JPEG segments": lambda: filled(JPEG[:20], b"\0", JPEG[20:]),
    "many fill bytes in a JPEG": lambda: filled(JPEG[:2], b"\xff", JPEG[2:]),
    "many JPEG application segments": lambda: filled(JPEG[:2], b"\xff\xe5\0\2", JPEG[2:]),
    "JPEG whose EXIF tags share their bytes": lambda: JPEG[:2] + exif_segment * 10 + JPEG[2:],
    "many PNG chunks": lambda: filled(PNG[:33], chunk(b"onSe", b""), PNG[33:]),
    "many PNG chunks at the end": lambda: filled(PNG[:-12], chunk(b"onSe", b""), PNG[-12:]),
    "PNG text that grows": lambda: filled(
        PNG[:33], chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(1_000_000), 9)), PNG[33:]
    ),
    "PNG profile that grows": lambda: (
        PNG[:33] + chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(60_000_000), 9)) + PNG[33:]
    ),
    "PNG text of a wide letter": lambda: (
        PNG[:33] + chunk(b"iTXt", b"a\0\0\0\0\0" + "\U0001f3ac".encode() + b"a" * 60_000_000) + PNG[33:]
    ),
    "PNG texts that grow, of wide letters": lambda: PNG[:33] + b"".join(map(wide_text, range(60))) + PNG[33:],
    "PNG of many orientations": lambda: PNG[:33] + chunk(b"eXIf", many(0x0112, 24_000_000)) + PNG[33:],
    "PNG of many orientations in a text": lambda: (
        PNG[:33]
        + chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 1\n" + many(0x0112, 30_000_000).hex().encode())
        + PNG[33:]
    ),
    "WebP of many orientations": lambda: saved(SMALL, "WEBP", exif=b"Exif\0\0" + many(0x0112, 24_000_000)),
    "AVIF of many orientations": lambda: exif_avif(24_000_000),
    "JPEG of many resolutions": lambda: exif_jpeg(60_000_000),
    "TIFF of much EXIF": lambda: exif_tiff(60_000_000),
    "many AVIF boxes": lambda: filled(saved(SMALL, "AVIF")[:32], struct.pack(">I", 8) + b"free", b"\0\0\0\x10free"),
    "many GIF extensions": lambda: filled(GIF[:13], b"!\1\0", GIF[13:]),
    "a long GIF comment": lambda: filled(GIF[:13], b"!\xfe" + (b"\xff" + b"a" * 255) * 1000 + b"\0", GIF[13:]),
    "a GIF comment of bytes": lambda: GIF[:13] + b"!\xfe" + b"\1a" * 30_000_000 + b"\0" + GIF[13:],
    "more bytes than a poster has": lambda: PNG + bytes(MAX_BYTES),
}


READ = {
    *(name for name in BOMBS if name.startswith("the largest")),
    *("JPEG of the most scans", "TIFF of 900,000 strips", "JPEG whose EXIF tags share their bytes"),
    *("PNG of many orientations", "WebP of many orientations", "TIFF of much EXIF"),
    *("GIF of 3,000 frames", "TIFF of 1,000 frames", "WebP of 3,000 frames", "TIFF of one strip"),
}
"""Those that are posters all the same."""


def main(folder: Path) -> None:
    """Make and read each of them, in two processes; a line of JSON for each."""
    warnings.simplefilter("ignore")
    read_poster(PNG, size=(48, 32))
    for name, make in BOMBS.items():
        path = folder / "bomb"
        _apart(lambda make=make, path=path: path.write_bytes(make()))
        ended = _apart(lambda name=name, path=path: _read(name, path))
        if ended:
            print(json.dumps({"name": name, "outcome": f"ended with {ended}"}), flush=True)


def _apart(work: Callable[[], object]) -> int:
    """Do it in a copy of this process; how that ended."""
    if child := os.fork():
        return os.waitpid(child, 0)[1]
    code = 1
    try:
        work()
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


def _read(name: str, path: Path) -> None:
    data = path.read_bytes()
    before, started, outcome = peak_anew(), time.process_time(), "read"
    try:
        open_poster(data)
    except UnreadablePoster as error:
        outcome = error.reason
    seconds, growth = round(time.process_time() - started, 2), round((peak() - before) / 1e6)
    print(json.dumps({"name": name, "outcome": outcome, "seconds": seconds, "mb": growth}), flush=True)


def peak_anew() -> int:
    """Forget the most memory this process has had, and say what it has."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak()


def peak() -> int:
    """The most bytes in memory since `peak_anew`."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
