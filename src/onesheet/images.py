"""The one decoder: every poster that enters the library passes here.

A poster file becomes upright 8-bit RGB pixels, whatever it was: EXIF orientation is applied, CMYK, palettes,
1-bit and 16-bit pictures are converted, transparency is laid over white, and of an animation the first frame
is taken. All other metadata (colour profiles, XMP, comments) is ignored. Whatever goes wrong is one
`UnreadablePoster`.
"""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

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

from onesheet.errors import ConfigError, UnreadablePoster

Size = tuple[int, int]
"""Height and width in pixels."""

Resize = Literal["stretch", "pad"]
"""How a poster is brought to a size: "stretch" to fill it, "pad" to keep its shape, centred on black."""

RESIZES: tuple[Resize, ...] = ("stretch", "pad")
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
MAX_PIXELS = 100_000_000

# These plugins fill Pillow's registry; Image.open would warn about large pictures before we can refuse them.
_PLUGINS = (
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
    GifImagePlugin,
    TiffImagePlugin,
    BmpImagePlugin,
    AvifImagePlugin,
)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_CURES = {
    "missing": "check the path",
    "unreadable": "check the file's permissions or replace it",
    "truncated": "download or copy it again",
    "not-an-image": f"use one of {', '.join(FORMATS)}",
}


@dataclass(frozen=True)
class Poster:
    """A decoded poster.

    Attributes:
        picture: upright, mode RGB; smaller than the original where a JPEG was decoded at reduced scale.
        width: of the original as it is seen (after orientation), in pixels.
        height: likewise.
    """

    picture: Image.Image
    width: int
    height: int

    def resized(self, size: Size, resize: Resize = "stretch") -> NDArray[np.uint8]:
        """The poster at `size`, antialiased bilinear.

        Returns:
            uint8 H×W×3, RGB.

        Raises:
            ConfigError: an unknown `resize`, or a size below 1.
        """
        if resize not in RESIZES:
            raise ConfigError(f"unknown resize {resize!r}; use {' or '.join(RESIZES)}")
        height, width = size
        if height < 1 or width < 1:
            raise ConfigError(f"the size must be at least 1 x 1 pixels; got {height} x {width}")
        if resize == "stretch":
            return np.asarray(self.picture.resize((width, height), Image.Resampling.BILINEAR))
        pixels = np.zeros((height, width, 3), np.uint8)
        top, left, inner_height, inner_width = placed((self.height, self.width), size, resize)
        inner = self.picture.resize((inner_width, inner_height), Image.Resampling.BILINEAR)
        pixels[top : top + inner_height, left : left + inner_width] = np.asarray(inner)
        return pixels


def placed(poster: Size, size: Size, resize: Resize) -> tuple[int, int, int, int]:
    """Where a poster of H×W lies once it is resized: top, left, height, width in pixels of `size`.

    Example:
        >>> placed((400, 400), (224, 160), "pad"), placed((400, 400), (224, 160), "stretch")
        ((32, 0, 160, 160), (0, 0, 224, 160))
    """
    if resize == "stretch":
        return 0, 0, *size
    scale = min(size[0] / poster[0], size[1] / poster[1])
    height, width = (max(1, round(side * scale)) for side in poster)
    return (size[0] - height) // 2, (size[1] - width) // 2, height, width


def read_poster(
    source: str | Path | bytes, *, size: Size, resize: Resize = "stretch", max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Decode a poster and bring it to a size.

    Args:
        source: path of a file (JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF), or the file's bytes.
        size: height and width in pixels.
        resize: "stretch" fills the size; "pad" keeps the poster's shape, centred on black.
        max_pixels: a poster with more is refused.

    Returns:
        uint8 H×W×3, RGB, 0..255.

    Raises:
        UnreadablePoster: the file is missing, cannot be decoded, or is too large.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("CMYK", (300, 450), (0, 255, 255, 0)).save(file, "JPEG")
        >>> poster = read_poster(file.getvalue(), size=(224, 160))
        >>> poster.shape, poster[0, 0].tolist()
        ((224, 160, 3), [255, 0, 0])
    """
    return open_poster(source, at_least=size, max_pixels=max_pixels).resized(size, resize)


def open_poster(source: str | Path | bytes, *, at_least: Size | None = None, max_pixels: int = MAX_PIXELS) -> Poster:
    """Decode a poster.

    Args:
        source: path of a file, or the file's bytes.
        at_least: height and width that will be wanted; a JPEG may then be decoded at 1/2, 1/4 or 1/8 scale,
            but never below twice this.
        max_pixels: a poster with more is refused.

    Raises:
        UnreadablePoster: with `reason` "missing" (no such file, or a folder), "unreadable", "truncated",
            "not-an-image" or "too-large" (told from the header alone).
    """
    name = f"poster of {len(source)} bytes" if isinstance(source, bytes) else repr(os.fspath(source))
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else _opened(Path(source), name) as file:
            picture = _identified(file, name)
            if picture.width * picture.height > max_pixels:
                seen = f"{picture.width:,} x {picture.height:,} pixels"
                raise _unreadable(name, "too-large", seen, f"scale it down to at most {max_pixels:,} pixels")
            return _upright(picture, at_least)
    except UnreadablePoster:
        raise
    except Exception as error:  # a broken file makes Pillow raise nearly anything
        raise _unreadable(name, _reason(source, error), str(error) or type(error).__name__) from error


def poster_size(path: str | Path) -> Size:
    """Height and width of a poster file as its header says, in pixels, before orientation; nothing is decoded.

    Raises:
        UnreadablePoster: as `open_poster`, as far as the header tells.
    """
    name = repr(os.fspath(path))
    try:
        with _opened(Path(path), name) as file:
            picture = _identified(file, name)
            return picture.height, picture.width
    except UnreadablePoster:
        raise
    except Exception as error:  # as in open_poster
        raise _unreadable(name, _reason(path, error), str(error) or type(error).__name__) from error


def _unreadable(name: str, reason: str, why: str, cure: str = "") -> UnreadablePoster:
    why = " ".join(why.split())
    return UnreadablePoster(f"cannot read {name}: {why}; {cure or _CURES[reason]}", reason=reason)


def _opened(path: Path, name: str) -> IO[bytes]:
    """Open an ordinary file; a folder, a pipe or nothing at all is no poster."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _unreadable(name, "missing", "it is a folder")
        if not stat.S_ISREG(mode):
            raise _unreadable(name, "not-an-image", "it is not an ordinary file")
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise _unreadable(name, "missing", "no such file") from None
    except ValueError as error:  # a null character in the path
        raise _unreadable(name, "missing", str(error)) from None
    except OSError as error:
        raise _unreadable(name, "unreadable", error.strerror or str(error)) from error


def _identified(file: IO[bytes], name: str) -> Image.Image:
    """Read the header: what `Image.open` does, without its warnings: our limit is the only one."""
    prefix = file.read(16)
    for format_name in FORMATS:
        factory, accept = Image.OPEN[format_name]
        accepted = accept is None or accept(prefix)
        if isinstance(accepted, str):  # Pillow was built without this format
            raise _unreadable(name, "unreadable", accepted)
        if accepted:
            file.seek(0)
            return factory(file, "")
    raise _unreadable(name, "not-an-image", "the file is empty" if not prefix else "not a picture of a known format")


def _upright(picture: Image.Image, at_least: Size | None) -> Poster:
    """Decode, turn and convert to RGB."""
    # Pillow turns TIFF itself while loading.
    turn = None if picture.format == "TIFF" else _orientation(picture)
    width, height = picture.size
    if at_least is not None:
        wanted = (at_least[1] * 2, at_least[0] * 2)
        picture.draft(None, wanted if turn is None or turn < 5 else wanted[::-1])
    picture.load()
    rgb = _rgb(picture)
    if turn in _TURNS:
        rgb = rgb.transpose(_TURNS[turn])
        width, height = (width, height) if turn < 5 else (height, width)
    return Poster(rgb, width, height)


def _orientation(picture: Image.Image) -> int | None:
    """The EXIF orientation, None where it is not there or the metadata is broken."""
    try:
        value = picture.getexif().get(_ORIENTATION)
    except Exception:  # broken metadata makes Pillow raise nearly anything, and is no reason to lose a poster
        return None
    return value if isinstance(value, int) else None


def _rgb(picture: Image.Image) -> Image.Image:
    """Any mode -> RGB."""
    if picture.mode.startswith("I"):  # 16 bits, or 32 where a value needs them
        values = np.maximum(np.asarray(picture).astype(np.int64), 0)
        bits = 8 if values.max() <= 0xFFFF else 23
        return Image.fromarray((values >> bits).astype(np.uint8)).convert("RGB")
    if picture.mode == "F":  # 0..1, or 0..255 where a value is above 1
        grey = np.nan_to_num(np.asarray(picture), posinf=0, neginf=0)
        return Image.fromarray((grey * (255 if grey.max() <= 1 else 1)).clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _reason(source: str | Path | bytes, error: Exception) -> str:
    """Whether a picture that failed is cut short or broken otherwise."""
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return "truncated"
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
            return "truncated" if _cut_short(file) else "unreadable"
    except OSError:
        return "unreadable"


def _cut_short(file: IO[bytes]) -> bool:
    """Whether a file ends before its own format says it should."""
    head = file.read(16)
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - 4096))
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
    if head.startswith((b"II*\0", b"MM\0*")):  # TIFF: where the directory stands
        return length <= int.from_bytes(head[4:8], "little" if head[:1] == b"I" else "big")
    if head[4:8] == b"ftyp":  # AVIF: boxes, each with its length
        return _boxes_end(file) > length
    return False


def _boxes_end(file: IO[bytes]) -> int:
    """Where the last box of an AVIF file says it ends."""
    end = 0
    while len(header := (file.seek(end), file.read(8))[1]) == 8:
        size = int.from_bytes(header[:4], "big")
        if size < 8:  # to the end of the file, or a 64-bit length no poster needs
            break
        end += size
    return end + len(header) if 0 < len(header) < 8 else end
