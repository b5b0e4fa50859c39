"""Formats of poster files: which one a file has, by its first bytes, opened within bounds and brought to RGB.

Only the formats of `FORMATS` are opened, each by Pillow's own reader of it: nothing else of Pillow's (EPS and its
Ghostscript, PSD, PDF, …) ever runs. A file may be hostile, so its bytes, the reads its header takes, its scans and the
memory its pixels will need are bounded, whatever the header says.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from functools import partial
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from onesheet.errors import UnreadablePoster

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
MAX_PIXELS = 100_000_000
MAX_BYTES = 64_000_000
MAX_MEMORY = 195_000_000
"""Bytes that one poster's pixels may take while they are decoded; with everything else, 200 MB."""

MAX_READS = 300_000
"""Reads of one file: a header of millions of tiny chunks, each an object in memory, would never end."""

MAX_SCANS = 100
"""Scans of a progressive JPEG: each goes over all its pixels, and ten are usual."""

MAX_TAG_VALUES = 1_000_000
"""Numbers in one tag of a TIFF, as the places of its strips; each becomes an object."""

MAX_EXIF_BYTES = 1_000_000
"""EXIF of a poster: its numbers become objects as well. Cameras write some thousand bytes."""

MAX_TEXT_BYTES = 10_000_000
"""Texts of a PNG, unpacked, all together; one wide letter makes four bytes of each of theirs."""

MAX_BOXES = 1000
"""Boxes of an AVIF file that are looked at to see whether it is whole; it has a handful."""

# These plugins fill Pillow's registry; Image.open would warn about large pictures before we can reject them.
_PLUGINS = (
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
    GifImagePlugin,
    TiffImagePlugin,
    BmpImagePlugin,
    AvifImagePlugin,
)
_TAIL = 4096
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # tags of a TIFF
_STRIP_PIXELS = 250_000  # converted to RGB at a time
# Bytes a pixel that a decoder holds besides the picture: canvases and copies; measured, see docs/dev/reliability.md.
_DECODER_BYTES = {"WEBP": 12, "AVIF": 12, "TIFF": 8}
_CURES = {
    "missing": "check the path",
    "unreadable": "check the file's permissions or replace it",
    "truncated": "download or copy it again",
    "not-an-image": f"use one of {', '.join(FORMATS)}",
    "too-large": "save it again, smaller or as an ordinary JPEG",
}


def unreadable(name: str, reason: str, why: str, cure: str = "") -> UnreadablePoster:
    """The one-line error for a poster, with the usual cure of that reason."""
    why = " ".join(why.split())
    return UnreadablePoster(f"cannot read {name}: {why}; {cure or _CURES[reason]}", reason=reason)


class Bounded(io.BufferedReader):
    """A file that may be read so many times and no more."""

    def __init__(self, raw: IO[bytes], name: str) -> None:
        super().__init__(raw)  # type: ignore[arg-type]  # BytesIO does for a raw file
        self._name_shown = name
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file.

        Raises:
            UnreadablePoster: it was read too often.
        """
        self._reads += 1
        if self._reads > MAX_READS:
            raise unreadable(self._name_shown, "too-large", "its header or metadata never end")
        return super().read(size)


def identified(file: Bounded, name: str, *, max_pixels: int) -> Image.Image:
    """Read the header: what `Image.open` does, without its warnings: our limits are the only ones.

    Raises:
        UnreadablePoster: of no known format, or too large. Pillow's own errors, of nearly any kind.
    """
    if (length := file.seek(0, os.SEEK_END)) > MAX_BYTES:
        raise unreadable(name, "too-large", f"{length:,} bytes, and a poster may have {MAX_BYTES:,}")
    file.seek(0)
    prefix = file.read(16)
    for format_name in FORMATS:
        factory, accept = Image.OPEN[format_name]
        accepted = accept is None or accept(prefix)
        if isinstance(accepted, str):  # Pillow was built without this format
            raise unreadable(name, "unreadable", accepted)
        if accepted:
            _check_metadata(format_name, file, name, length)
            file.seek(0)
            picture = factory(file, "")
            if picture.width * picture.height > max_pixels:
                seen = f"{picture.width:,} x {picture.height:,} pixels"
                raise unreadable(name, "too-large", seen, f"scale it down to at most {max_pixels:,} pixels")
            return picture
    raise unreadable(name, "not-an-image", "the file is empty" if not prefix else "not a picture of a known format")


def check_memory(picture: Image.Image, full: tuple[int, int], name: str, *, rotated: bool) -> None:
    """Reject a picture, opened and drafted but not yet decoded, that would take more than `MAX_MEMORY`.

    Args:
        picture: the picture.
        full: its width and height before drafting.
        name: of the poster, for the error.
        rotated: whether it will or may be rotated.

    Raises:
        UnreadablePoster: "too-large".
    """
    each = 4 if picture.mode == "RGB" and not rotated else 8  # as decoded, and as RGB or rotated
    pixels = picture.width * picture.height
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        pixels = max(pixels, int(picture.tag_v2.get(_TILE_WIDTH, 0)) * int(picture.tag_v2.get(_TILE_LENGTH, 0)))
    needed = pixels * float(each + _DECODER_BYTES.get(str(picture.format), 0))
    if isinstance(picture, JpegImagePlugin.JpegImageFile) and picture.info.get("progressive"):
        needed += full[0] * full[1] * _coefficient_bytes(picture)
        _check_scans(picture, name)
    if needed > MAX_MEMORY:
        raise unreadable(
            name, "too-large", f"{full[0]:,} x {full[1]:,} pixels would take {needed:,.0f} bytes of memory"
        )


def _coefficient_bytes(picture: JpegImagePlugin.JpegImageFile) -> float:
    """Bytes a pixel for what a progressive JPEG keeps until its last scan."""
    blocks = [(across, down) for _, across, down, _ in picture.layer]
    most = max(across for across, _ in blocks) * max(down for _, down in blocks)
    return 2 * sum(across * down for across, down in blocks) / max(most, 1)


def _check_scans(picture: JpegImagePlugin.JpegImageFile, name: str) -> None:
    file = picture.fp
    assert file is not None
    place = file.tell()
    file.seek(0)
    scans = file.read().count(b"\xff\xda")  # inside the pixels' data 0xFF is never followed by 0xDA
    file.seek(place)
    if scans > MAX_SCANS:
        raise unreadable(name, "too-large", f"{scans:,} scans over one picture")


def _check_metadata(form: str, file: IO[bytes], name: str, length: int) -> None:
    """Reject metadata that Pillow, when it opens the file, would make many times as large.

    Raises:
        UnreadablePoster: "too-large". Pillow's own errors.
    """
    if form == "TIFF" and _tag_values(file) > MAX_TAG_VALUES:
        raise unreadable(name, "too-large", f"a tag of more than {MAX_TAG_VALUES:,} values")
    if form == "PNG" and _text_bytes(file) > MAX_TEXT_BYTES:
        raise unreadable(name, "too-large", f"texts of more than {MAX_TEXT_BYTES:,} bytes")
    file.seek(0)
    exif = 0
    if form == "JPEG" and length > MAX_EXIF_BYTES:
        exif = file.read().count(b"Exif\0\0") * 0xFFFF  # the most that one segment holds
    elif form == "AVIF":
        codec = AvifImagePlugin._avif  # type: ignore[attr-defined]  # nothing else knows how much EXIF there is
        decoder = codec.AvifDecoder(file.read(), AvifImagePlugin.DECODE_CODEC_CHOICE, 1)
        exif = len(decoder.get_info()[4] or b"")
    if exif > MAX_EXIF_BYTES:
        raise unreadable(name, "too-large", f"EXIF of more than {MAX_EXIF_BYTES:,} bytes")


def _text_bytes(file: IO[bytes]) -> int:
    """What the texts of a PNG may become; a packed one becomes no more than Pillow's own limit."""
    place, total = 8, 0
    while len(head := (file.seek(place), file.read(8))[1]) == 8:
        size, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind == b"IEND":  # Pillow reads no further, whatever comes
            break
        if kind == b"iTXt":
            begin = file.read(82)  # the longest keyword, its end, and whether the text is packed
            packed = begin[begin.find(b"\0") + 1 :][:1] not in (b"\0", b"")
            total += max(size, PngImagePlugin.MAX_TEXT_CHUNK if packed else 0)
        elif kind in (b"tEXt", b"zTXt"):
            total += size
        place += size + 12
    return total


def _tag_values(file: IO[bytes]) -> int:
    """The most numbers in one tag of a TIFF's first directory."""
    file.seek(0)
    head = file.read(16)
    order = "little" if head[:1] == b"I" else "big"
    big = 43 in head[2:4]
    length, counted, place = (20, 8, head[8:16]) if big else (12, 4, head[4:8])

    def number(data: bytes) -> int:
        return int.from_bytes(data, order)  # type: ignore[arg-type]

    if number(place) > MAX_BYTES:
        return 0  # Pillow will raise
    file.seek(number(place))
    entries = file.read(min(number(file.read(8 if big else 2)), MAX_READS) * length)
    tags = (entries[start : start + length] for start in range(0, len(entries), length))
    # bytes and text stay what they are
    return max((number(tag[4 : 4 + counted]) for tag in tags if number(tag[2:4]) not in (1, 2, 6, 7)), default=0)


def ends_in_zeros(file: IO[bytes]) -> bool:
    """Whether a JPEG ends in zeros without its end marker, as where a download or a copy was cut short."""
    file.seek(0)
    if file.read(2) != b"\xff\xd8":
        return False
    end = file.seek(0, os.SEEK_END)
    while end:
        file.seek(max(0, end - _TAIL))
        tail = file.read(min(end, _TAIL))
        if found := tail.rstrip(b"\0"):
            zeros = len(tail) - len(found) > 1 or end < file.seek(0, os.SEEK_END)
            file.seek(max(0, end - len(tail) + len(found) - _TAIL))
            return zeros and b"\xff\xd9" not in file.read(_TAIL)
        end -= len(tail)
    return False


def cut_short(file: IO[bytes]) -> bool:
    """Whether a file ends earlier than its format requires."""
    head = file.read(16)
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - _TAIL))
    tail = file.read()
    if head.startswith(b"\xff\xd8"):  # JPEG
        return b"\xff\xd9" not in tail
    if head.startswith(b"\x89PNG"):
        return b"IEND" not in tail
    if head.startswith(b"RIFF"):  # WebP
        return length < int.from_bytes(head[4:8], "little") + 8
    if head.startswith(b"GIF8"):
        return not tail.rstrip(b"\0").endswith(b";")
    if head.startswith(b"BM"):
        return length < int.from_bytes(head[2:6], "little")
    if head.startswith((b"II*\0", b"MM\0*")):  # TIFF: the directory's place
        return length <= int.from_bytes(head[4:8], "little" if head[:1] == b"I" else "big")
    if head[4:8] == b"ftyp":  # AVIF: boxes, each with its length
        return _boxes_end(file) > length
    return False


def _boxes_end(file: IO[bytes]) -> int:
    """Where the last box of an AVIF file should end."""
    end = 0
    for _ in range(MAX_BOXES):
        file.seek(end)
        header = file.read(8)
        if len(header) < 8:
            return end + len(header)
        size = int.from_bytes(header[:4], "big")
        if size < 8:  # to the end of the file, or a 64-bit length no poster needs
            break
        end += size
    return end


def to_rgb(picture: Image.Image) -> Image.Image:
    """The picture in mode RGB, itself if it is; made strip by strip, so that nothing else of its size is in memory.

    Transparency is laid over white. Whole numbers of 16 bits or 32 keep their highest eight; floats are taken as 0..1,
    or as 0..255 where one is above 1.
    """
    if picture.mode == "RGB" and not picture.has_transparency_data:
        return picture
    convert = _on_white if picture.has_transparency_data else partial(Image.Image.convert, mode="RGB")
    if picture.mode.startswith("I"):  # 16 bits, or 32 where a value needs them
        highest = max(int(np.asarray(strip).max()) for strip, _ in _strips(picture))
        convert = partial(_from_whole_numbers, bits=8 if highest <= 0xFFFF else 23)
    elif picture.mode == "F":  # 0..1, or 0..255 where a value is above 1
        brightest = max(float(_finite(strip).max()) for strip, _ in _strips(picture))
        convert = partial(_from_floats, scale=255 if brightest <= 1 else 1)
    rgb = Image.new("RGB", picture.size)
    for strip, top in _strips(picture):
        rgb.paste(convert(strip), (0, top))
    return rgb


def _strips(picture: Image.Image) -> Iterator[tuple[Image.Image, int]]:
    """A picture's strips of full width, each with where it begins."""
    rows = max(1, _STRIP_PIXELS // picture.width)
    for top in range(0, picture.height, rows):
        yield picture.crop((0, top, picture.width, min(top + rows, picture.height))), top


def _on_white(strip: Image.Image) -> Image.Image:
    strip = strip.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip).convert("RGB")


def _from_whole_numbers(strip: Image.Image, *, bits: int) -> Image.Image:
    values = np.maximum(np.asarray(strip).astype(np.int64), 0)
    return Image.fromarray((values >> bits).astype(np.uint8)).convert("RGB")


def _from_floats(strip: Image.Image, *, scale: float) -> Image.Image:
    return Image.fromarray((_finite(strip) * scale).clip(0, 255).astype(np.uint8)).convert("RGB")


def _finite(strip: Image.Image) -> NDArray[np.float32]:
    grey: NDArray[np.float32] = np.nan_to_num(np.asarray(strip), posinf=0, neginf=0)
    return grey
