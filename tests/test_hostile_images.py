"""Posters that mean harm: damaged by the thousand, asking for too much, or of a format that is not taken."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import fuzz_images
from onesheet import formats, images
from onesheet.errors import UnreadablePoster
from onesheet.images import read_poster
from poster_bombs import BOMBS, READ, chunk, saved

HERE = Path(__file__).parent
DRAWN = Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 64, 3), np.uint8))


def ran(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, HERE / script, *arguments], capture_output=True, text=True, check=False)


def test_damaged_posters_give_pixels_or_the_one_error() -> None:
    ended = ran("fuzz_images.py", "--cases", "4000", "--seed", "1")
    assert ended.returncode == 0, ended.stdout + ended.stderr[-2000:]
    said = json.loads(ended.stdout)
    assert said["cases"] == 4000 and said["wrong"] == []
    assert {"read", "truncated", "unreadable", "too-large", "not-an-image"} == set(said["outcomes"])


@pytest.mark.parametrize(
    "error", [KeyError("no"), RecursionError(), UnreadablePoster("two\nlines", reason="truncated")]
)
def test_the_fuzzer_sees_what_should_not_be(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(fuzz_images, "read_poster", broken)
    assert fuzz_images.outcome_of(b"", 1).startswith("wrong: ")


def test_what_asks_for_too_much_is_rejected_and_the_largest_is_read(tmp_path: Path) -> None:
    ended = ran("poster_bombs.py", str(tmp_path))
    said = {line["name"]: line for line in map(json.loads, ended.stdout.splitlines())}
    assert list(said) == list(BOMBS), ended.stderr[-2000:]
    for name, line in said.items():
        assert (line["outcome"] == "read") == (name in READ), line
        assert line["outcome"] in ("read", "too-large", "unreadable"), line
        assert line["seconds"] < 2 and line["mb"] <= 200, line


@pytest.mark.parametrize("form", ["EPS", "PDF", "ICO", "ICNS", "PPM", "TGA", "PCX", "SGI", "DDS", "JPEG2000", "XBM"])
def test_other_formats_are_rejected(form: str) -> None:
    picture = DRAWN.convert("1") if form == "XBM" else DRAWN.resize((64, 64))
    with pytest.raises(UnreadablePoster, match="not a picture of a known format; use one of JPEG, PNG") as caught:
        read_poster(saved(picture, form), size=(48, 32))
    assert caught.value.reason == "not-an-image"


@pytest.mark.parametrize("data", [b"8BPS\0\1", b"<svg onload='alert(1)'/>", b"%!PS\nquit", b"\x01\0\0\0 EMF"])
def test_no_other_reader_of_pillows_is_even_loaded(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "poster.jpg"
    path.write_bytes(data + bytes(1000))
    code = (
        "import sys\nfrom onesheet.images import read_poster\n"
        "try:\n    read_poster(sys.argv[1], size=(48, 32))\nexcept Exception as error:\n    print(error.reason)\n"
        "print(*sorted(m for m in sys.modules if m.startswith('PIL.') and m.endswith('ImagePlugin')))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    reason, loaded = ended.stdout.splitlines()
    assert reason == "not-an-image"
    expected = {"AvifImagePlugin", "BmpImagePlugin", "GifImagePlugin", "JpegImagePlugin", "PngImagePlugin"}
    expected |= {"TiffImagePlugin", "WebPImagePlugin", "MpoImagePlugin"}
    assert {name.removeprefix("PIL.") for name in loaded.split()} <= expected


def test_profiles_texts_and_comments_change_no_pixel() -> None:
    plain = read_poster(saved(DRAWN, "PNG"), size=(48, 32))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for spoilt in (saved(DRAWN, "PNG", icc_profile=profile), saved(DRAWN, "TIFF", icc_profile=profile)):
        np.testing.assert_array_equal(read_poster(spoilt, size=(48, 32)), plain)
    data = saved(DRAWN, "PNG")
    for extra in (
        chunk(b"gAMA", b"\0\0\0\1"),
        chunk(b"tEXt", b"Title\0" + b"a" * 900_000),
        chunk(b"eXIf", b"II*\0junk"),
    ):
        np.testing.assert_array_equal(read_poster(data[:33] + extra + data[33:], size=(48, 32)), plain)


def test_a_file_may_have_so_many_bytes(tmp_path: Path) -> None:
    path = tmp_path / "sparse.png"
    path.write_bytes(saved(DRAWN, "PNG"))
    os.truncate(path, 5_000_000_000)
    with pytest.raises(
        UnreadablePoster, match="5,000,000,000 bytes, and a poster may have 64,000,000; save it"
    ) as caught:
        read_poster(path, size=(48, 32))
    assert caught.value.reason == "too-large"


def test_reading_ends() -> None:
    file = formats.Bounded(io.BytesIO(b"a"), "'a.png'")
    for _ in range(formats.MAX_READS):
        file.read(1)
    with pytest.raises(UnreadablePoster, match=r"cannot read 'a.png': its header or metadata never end"):
        file.read(1)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_file_is_the_same_picture_whether_it_is_read_at_once_or_not(tmp_path: Path, more: int) -> None:
    data = saved(DRAWN, "JPEG")
    path = tmp_path / "long.jpg"
    path.write_bytes(data + bytes(images._READ_AT_ONCE + more - len(data)))
    np.testing.assert_array_equal(read_poster(path, size=(48, 32)), read_poster(data, size=(48, 32)))


@pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="a file of Linux's")
def test_a_file_of_the_system_that_never_ends_is_not_read() -> None:
    with pytest.raises(UnreadablePoster):
        read_poster("/proc/self/pagemap", size=(48, 32))
