"""The one decoder: every poster that enters the library passes here.

A poster file becomes upright 8-bit RGB pixels, whatever it was: EXIF orientation is applied, CMYK, palettes,
1-bit and 16-bit pictures are converted, transparency is laid over white, and of an animation the first frame
is taken. All other metadata (colour profiles, XMP, comments) is ignored. Whatever goes wrong is one
`UnreadablePoster`.
"""

from __future__ import annotations

import io
import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffTags

from onesheet.errors import ConfigError, UnreadablePoster
from onesheet.formats import (
    MAX_EXIF_BYTES,
    MAX_PIXELS,
    Bounded,
    check_memory,
    cut_short,
    ends_in_zeros,
    identified,
    to_rgb,
    unreadable,
)
from onesheet.zipped import open_file

Size = tuple[int, int]
"""Height and width in pixels."""

Resize = Literal["stretch", "pad"]
"""How a poster is brought to a size: "stretch" to fill it, "pad" to keep its shape, centred on black."""

RESIZES: tuple[Resize, ...] = ("stretch", "pad")
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
_MARGIN = 1.5  # sides of a JPEG decoded at reduced scale, of those needed; benchmarks/NOTES.md has what it costs
_READ_AT_ONCE = 1 << 20  # bytes; one read is cheaper than ten, each of which waits for the interpreter's lock


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
    """Where a poster of H×W is once it is resized: top, left, height, width in pixels of `size`.

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
        max_pixels: a poster with more is rejected.

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


def resized_posters(posters: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Posters N×H×W×3 stretched to another size, antialiased bilinear; as they are where they have it.

    Example:
        >>> resized_posters(np.full((2, 64, 48, 3), 200, np.uint8), (32, 24)).shape
        (2, 32, 24, 3)
    """
    if posters.shape[1:3] == size:
        return posters
    return np.stack([Poster(Image.fromarray(one), one.shape[1], one.shape[0]).resized(size) for one in posters])


def open_poster(source: str | Path | bytes, *, at_least: Size | None = None, max_pixels: int = MAX_PIXELS) -> Poster:
    """Decode a poster.

    Args:
        source: path of a file, or the file's bytes.
        at_least: height and width that will be needed; a JPEG may then be decoded at 1/2, 1/4 or 1/8 scale,
            but never below one and a half times this.
        max_pixels: a poster with more is rejected.

    Raises:
        UnreadablePoster: with `reason` "missing" (no such file, or a folder), "unreadable", "truncated",
            "not-an-image" or "too-large" (found before anything is decoded: see `formats`).
    """
    name = f"poster of {len(source)} bytes" if isinstance(source, bytes) else repr(os.fspath(source))
    try:
        with _opened(source, name) as file:
            if ends_in_zeros(file):
                raise unreadable(name, "truncated", "it ends in zeros before the picture does")
            return _upright(identified(file, name, max_pixels=max_pixels), at_least, name)
    except UnreadablePoster:
        raise
    except Exception as error:  # a broken file makes Pillow raise nearly anything
        raise _broken(name, source, error) from error


def poster_size(path: str | Path) -> Size:
    """Height and width of a poster file by its header, in pixels, before orientation; nothing is decoded.

    Raises:
        UnreadablePoster: as `open_poster`, as far as the header shows.
    """
    name = repr(os.fspath(path))
    try:
        with _opened(path, name, whole=False) as file:
            picture = identified(file, name, max_pixels=MAX_PIXELS)
            return picture.height, picture.width
    except UnreadablePoster:
        raise
    except Exception as error:  # as in open_poster
        raise _broken(name, path, error) from error


def _opened(source: str | Path | bytes, name: str, *, whole: bool = True) -> Bounded:
    """Open an ordinary file, or bytes; a folder, a pipe or nothing at all is no poster. `whole`: it will be decoded."""
    if isinstance(source, bytes):
        return Bounded(io.BytesIO(source), name)
    try:
        found = Path(source).stat()
        if stat.S_ISDIR(found.st_mode):
            raise unreadable(name, "missing", "it is a folder")
        if not stat.S_ISREG(found.st_mode):
            raise unreadable(name, "not-an-image", "it is not an ordinary file")
        if not whole or not 0 < found.st_size <= _READ_AT_ONCE:  # a file of the kernel's has no size, and may never end
            return Bounded(Path(source).open("rb", buffering=0), name)
        with Path(source).open("rb") as file:
            return Bounded(io.BytesIO(file.read(_READ_AT_ONCE)), name)
    except (FileNotFoundError, NotADirectoryError):
        return _zipped(source, name)
    except ValueError as error:  # a null character in the path
        raise unreadable(name, "missing", str(error)) from None
    except OSError as error:
        raise unreadable(name, "unreadable", error.strerror or str(error)) from error


def _zipped(path: str | Path, name: str) -> Bounded:
    """A poster inside of a zip file."""
    try:
        return Bounded(open_file(path), name)
    except (FileNotFoundError, NotADirectoryError):
        raise unreadable(name, "missing", "no such file") from None
    except OSError as error:
        raise unreadable(name, "unreadable", str(error)) from error


def _upright(picture: Image.Image, at_least: Size | None, name: str) -> Poster:
    """Decode, turn and convert to RGB."""
    full = width, height = picture.size
    turn = _orientation(picture) if picture.format == "JPEG" else None
    if at_least is not None:
        enough = (math.ceil(at_least[1] * _MARGIN), math.ceil(at_least[0] * _MARGIN))
        picture.draft(None, enough if turn is None or turn < 5 else enough[::-1])
    if picture.format == "TIFF":
        _forget_inner_directories(picture)
    check_memory(picture, full, name, rotated=turn in _TURNS or picture.format != "JPEG")
    picture.load()
    if picture.format not in ("JPEG", "TIFF"):  # Pillow turns TIFF itself; PNG's may stand behind its pixels
        turn = _orientation(picture)
    rgb = to_rgb(picture)
    if rgb is not picture:
        picture.close()  # its memory is needed
    if turn in _TURNS:
        rgb = rgb.transpose(_TURNS[turn])
        width, height = (width, height) if turn < 5 else (height, width)
    return Poster(rgb, width, height)


def _forget_inner_directories(picture: Image.Image) -> None:
    """Leave out a TIFF's EXIF and GPS, which Pillow would unpack, of whatever size, when it has read the pixels."""
    exif = picture.getexif()
    for tag in TiffTags.TAGS_V2_GROUPS:
        exif.pop(tag, None)


def _orientation(picture: Image.Image) -> int | None:
    """The EXIF orientation, None where it is not there or the metadata is broken, or too much to look at."""
    if len(picture.info.get("exif") or picture.info.get("Raw profile type exif") or b"") > MAX_EXIF_BYTES:
        return None
    try:
        value = picture.getexif().get(_ORIENTATION)
    except UnreadablePoster:
        raise
    except Exception:  # broken metadata makes Pillow raise nearly anything, and is no reason to lose a poster
        return None
    return value if isinstance(value, int) else None


def _broken(name: str, source: str | Path | bytes, error: Exception) -> UnreadablePoster:
    """Describe why Pillow failed."""
    reason = _reason(source, error)
    cut = reason == "truncated"
    return unreadable(name, reason, "it ends before the picture does" if cut else str(error) or type(error).__name__)


def _reason(source: str | Path | bytes, error: Exception) -> str:
    """Whether a picture that failed is cut short or broken otherwise."""
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return "truncated"
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open_file(source) as file:
            return "truncated" if cut_short(file) else "unreadable"
    except OSError:
        return "unreadable"
