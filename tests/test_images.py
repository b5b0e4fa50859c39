"""The decoder: every format and mode, orientation, damage of every kind."""

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from onesheet.errors import ConfigError, OnesheetError, UnreadablePoster
from onesheet.formats import FORMATS
from onesheet.images import open_poster, poster_size, read_poster

SIZE = (48, 32)


def drawn(width=64, height=96):
    """Four coloured quarters: red, green / blue, yellow."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (200, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 200, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 200)
    pixels[height // 2 :, width // 2 :] = (200, 200, 0)
    return Image.fromarray(pixels)


def saved(picture, format="PNG", **options):
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def corners(pixels):
    return [pixels[y, x].astype(int) for y in (5, -6) for x in (4, -5)]


def assert_quarters(pixels, tolerance=3):
    wanted = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0)]
    np.testing.assert_allclose(corners(pixels), wanted, atol=tolerance)


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_from_file_and_bytes(tmp_path, format):
    data = saved(drawn(), format)
    path = tmp_path / "a poster\n'quoted' \"twice\" Ōkami 東.jpg"
    path.write_bytes(data)
    for source in (path, str(path), data):
        pixels = read_poster(source, size=SIZE)
        assert pixels.shape == (*SIZE, 3)
        assert pixels.dtype == np.uint8
        assert_quarters(pixels, tolerance=12)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(format, orientation):
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that the viewer undoes
    picture = drawn() if orientation == 1 else drawn().transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    poster = open_poster(saved(picture, format, exif=exif), at_least=SIZE)
    assert (poster.width, poster.height) == (64, 96)
    assert_quarters(poster.resized(SIZE), tolerance=12)


def test_compressed_tiff_is_turned_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(drawn().transpose(Image.Transpose.ROTATE_90), "TIFF", exif=exif, compression="tiff_lzw")
    poster = open_poster(data)
    assert (poster.width, poster.height) == (64, 96)
    assert_quarters(poster.resized(SIZE))


def test_broken_exif_is_no_reason_to_lose_a_poster():
    data = saved(drawn(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f junk", subsampling=0)
    assert_quarters(read_poster(data, size=SIZE), tolerance=8)


def test_cmyk_and_adobe_inversion():
    data = saved(drawn().convert("CMYK"), "JPEG", quality=95, subsampling=0)
    assert_quarters(read_poster(data, size=SIZE), tolerance=8)
    assert b"Adobe" in data  # Pillow writes the inverted kind


def test_transparency_is_laid_over_white():
    red = Image.new("RGBA", (40, 60), (255, 0, 0, 128))
    for data in (saved(red), saved(red, "WEBP", lossless=True)):
        np.testing.assert_allclose(read_poster(data, size=SIZE)[0, 0], (255, 127, 127), atol=2)
    assert read_poster(saved(Image.new("LA", (40, 60), (0, 0))), size=SIZE).min() == 255


def test_palette_with_and_without_transparency():
    palette = drawn().convert("P", palette=Image.Palette.ADAPTIVE)
    assert_quarters(read_poster(saved(palette), size=SIZE))
    assert_quarters(read_poster(saved(palette, "GIF"), size=SIZE))
    red = palette.getpixel((0, 0))
    pixels = read_poster(saved(palette, transparency=red), size=SIZE)
    assert corners(pixels)[0].tolist() == [255, 255, 255]
    assert corners(pixels)[1].tolist() == [0, 200, 0]


def test_colour_key_transparency_of_rgb_and_grey():
    data = saved(Image.new("RGB", (40, 60), (1, 2, 3)), transparency=(1, 2, 3))
    assert read_poster(data, size=SIZE).min() == 255
    data = saved(Image.new("L", (40, 60), 7), transparency=7)
    assert read_poster(data, size=SIZE).min() == 255


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(format):
    ramp = np.linspace(0, 65535, 60).astype(np.uint16)[:, None].repeat(40, 1)
    pixels = read_poster(saved(Image.fromarray(ramp), format), size=(60, 40))
    assert np.abs(pixels[:, 0, 0].astype(int) - (ramp[:, 0] >> 8)).max() <= 1
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_big_endian_thirty_two_bit_and_float():
    ramp = np.linspace(0, 65535, 60).astype(np.uint16)[:, None].repeat(40, 1)
    wanted = ramp[:, 0] >> 8
    cases = [
        Image.frombytes("I;16B", (40, 60), ramp.astype(">u2").tobytes()),
        Image.fromarray(ramp.astype(np.int32)),
        Image.fromarray(ramp.astype(np.int32) << 15),
        Image.fromarray((ramp / 65535).astype(np.float32)),
        Image.fromarray((ramp / 257).astype(np.float32)),
    ]
    for picture in cases:
        pixels = read_poster(saved(picture, "TIFF"), size=(60, 40))
        assert np.abs(pixels[:, 0, 0].astype(int) - wanted).max() <= 1, picture.mode


def test_one_bit_and_grey():
    assert read_poster(saved(Image.new("1", (40, 60), 1)), size=SIZE).min() == 255
    assert read_poster(saved(Image.new("L", (40, 60), 77), "JPEG"), size=SIZE)[3, 3].tolist() == [77] * 3


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_animation_gives_its_first_frame(format):
    data = saved(drawn(), format, save_all=True, append_images=[Image.new("RGB", (64, 96), "white")])
    assert_quarters(read_poster(data, size=SIZE), tolerance=12)


def test_resizing_is_pillows_antialiased_bilinear():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8))
    wanted = np.asarray(noise.resize((32, 48), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(read_poster(saved(noise), size=SIZE), wanted)


def test_draft_keeps_at_least_one_and_a_half_times_the_target():
    data = saved(drawn(640, 960), "JPEG", quality=95)
    for target, width in (((100, 70), 160), ((320, 213), 320), ((321, 213), 640), ((320, 214), 640)):
        poster = open_poster(data, at_least=target)
        assert (poster.width, poster.height, poster.picture.width) == (640, 960, width)
        full = open_poster(data).resized(target).astype(int)
        assert np.abs(poster.resized(target) - full).mean() < 2


def test_pad_keeps_the_shape_centred_on_black():
    white = saved(Image.new("RGB", (30, 30), "white"))
    pixels = read_poster(white, size=(48, 32), resize="pad")
    assert pixels[:8].max() == 0
    assert pixels[-8:].max() == 0
    assert pixels[8:-8].min() == 255
    pixels = read_poster(white, size=(20, 40), resize="pad")
    assert pixels[:, :10].max() == 0
    assert pixels[:, 10:30].min() == 255
    sliver = read_poster(saved(Image.new("RGB", (1, 500), "white")), size=(48, 32), resize="pad")
    assert sliver[:, 15].min() == 255


def test_options_out_of_range():
    with pytest.raises(ConfigError, match="unknown resize 'crop'; use stretch or pad"):
        read_poster(saved(drawn()), size=SIZE, resize="crop")
    with pytest.raises(ConfigError, match="at least 1 x 1"):
        read_poster(saved(drawn()), size=(0, 5))


# -- damage ---------------------------------------------------------------------------------------------------


def reason_of(source):
    with pytest.raises(UnreadablePoster) as caught:
        read_poster(source, size=SIZE)
    assert len(str(caught.value).splitlines()) == 1
    assert isinstance(caught.value, OnesheetError)
    return caught.value.reason


def test_bomb_costs_nothing():
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reason_of(bomb) == "too-large"
        header = struct.pack(">IIBBBBB", 10_000, 10_001, 8, 2, 0, 0, 0)  # Pillow would warn of this one
        assert reason_of(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels) == "too-large"


def test_what_is_no_picture(tmp_path):
    folder = tmp_path / "folder.jpg"
    folder.mkdir()
    text = tmp_path / "text\n.jpg"
    text.write_text("not a picture", encoding="utf-8")
    empty = tmp_path / "empty.jpg"
    empty.touch()
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    assert reason_of(folder) == "missing"
    assert reason_of(tmp_path / "nowhere.jpg") == "missing"
    assert reason_of(text / "below-a-file.jpg") == "missing"
    assert reason_of("nul\0.jpg") == "missing"
    assert reason_of(text) == "not-an-image"
    assert reason_of(empty) == "not-an-image"
    assert reason_of(pipe) == "not-an-image"
    assert reason_of(b"") == "not-an-image"
    assert reason_of(saved(drawn(), "PPM")) == "not-an-image"  # a format we do not take


def test_unreadable_permissions(tmp_path, monkeypatch):
    path = tmp_path / "private.jpg"
    path.write_bytes(saved(drawn()))
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything

        def reject(*_args, **_options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.open", reject)
    assert reason_of(path) == "unreadable"


@pytest.mark.parametrize("format", [*FORMATS, "progressive"])
def test_truncated(tmp_path, format):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 40, 3), np.uint8))
    data = saved(noise, "JPEG", progressive=True) if format == "progressive" else saved(noise, format)
    path = tmp_path / "cut.jpg"
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(data[: int(len(data) * share)])
        assert reason_of(path) == reason_of(path.read_bytes()) == "truncated"
        with pytest.raises(UnreadablePoster, match=r"cut\.jpg': it ends before the picture does; download or copy it"):
            open_poster(path)


@pytest.mark.parametrize(
    "error",
    [OSError, SyntaxError, ValueError, struct.error, EOFError, IndexError, TypeError, MemoryError, OverflowError],
)
def test_whatever_pillow_raises_is_one_error(monkeypatch, error):
    def broken(self):
        raise error("two\nlines")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", broken)
    assert reason_of(saved(drawn())) in ("unreadable", "truncated")


@settings(max_examples=150)
@given(
    format=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP"]),
    spoils=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_spoilt_bytes_give_pixels_or_the_one_error(format, spoils):
    data = bytearray(saved(drawn(20, 30), format))
    for place, value in spoils:
        data[place % len(data)] = value
    try:
        assert read_poster(bytes(data), size=SIZE).shape == (*SIZE, 3)
    except UnreadablePoster as error:
        assert error.reason in ("unreadable", "truncated", "not-an-image", "too-large")


def test_the_size_is_told_from_the_header_alone(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (30, 50)).save(path)
    path.write_bytes(path.read_bytes()[:60])
    assert poster_size(path) == (50, 30)
    path.write_bytes(b"no picture")
    for where, reason in ((path, "not-an-image"), (tmp_path / "none", "missing")):
        with pytest.raises(UnreadablePoster) as caught:
            poster_size(where)
        assert caught.value.reason == reason


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("zeros", [2, 100, 20_000])
def test_a_jpeg_that_ends_in_zeros_without_its_end_is_truncated(progressive: bool, zeros: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (200, 150, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", progressive=progressive)
    whole = file.getvalue()
    filled = tmp_path / "filled.jpg"
    filled.write_bytes(whole[: len(whole) * 2 // 3] + bytes(zeros))
    for source in (filled, filled.read_bytes()):
        with pytest.raises(UnreadablePoster, match="it ends in zeros before the picture does; download") as caught:
            open_poster(source)
        assert caught.value.reason == "truncated"
    for padded in (whole, whole + bytes(zeros)):
        assert open_poster(padded).width == 150
