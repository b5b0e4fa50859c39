from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F

from onesheet.models import build_network
from onesheet.training.augment import (
    build_augmentation,
    cutmix,
    random_blur,
    random_colour,
    random_crop,
    random_resized_crop,
    resample_by_grid,
    resample_bytes,
)

Resample = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, tuple[int, int]], torch.Tensor]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def posters(n: int = 8, height: int = 24, width: int = 16) -> torch.Tensor:
    return torch.rand(n, 3, height, width, generator=generator(9))


def in_bytes(n: int = 8, height: int = 24, width: int = 16) -> torch.Tensor:
    """As a store holds them: channels last."""
    return (posters(n, height, width) * 255).byte().contiguous(memory_format=torch.channels_last)


def smooth(n: int) -> torch.Tensor:
    """Posters of 96×64 whose neighbouring pixels are 12 levels apart at most."""
    coarse = torch.rand(n, 3, 3, 2, generator=generator(5)) * 255
    return F.interpolate(coarse, (96, 64), mode="bicubic").clamp(0, 255).round().byte()


def ramp(n: int) -> torch.Tensor:
    """Posters of 80×80 whose rows are 3 levels apart in red and green, and whose columns are in blue."""
    down, across = (
        (torch.arange(80) * 3).byte().view(80, 1).expand(80, 80),
        (torch.arange(80) * 3).byte().expand(80, 80),
    )
    return torch.stack((down, down, across)).expand(n, -1, -1, -1)


@pytest.fixture(params=[resample_bytes, resample_by_grid])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Crops as on a CPU, then as on a GPU."""
    monkeypatch.setattr("onesheet.training.augment.resample_bytes", request.param)


def test_the_same_generator_state_gives_the_same_batch() -> None:
    crop = partial(random_resized_crop, size=(24, 16), area=(0.6, 1.0))
    for augment, batch in ((crop, in_bytes()), (random_colour, posters()), (random_blur, posters())):
        assert torch.equal(augment(batch, generator(1)), augment(batch, generator(1)))
        assert not torch.equal(augment(batch, generator(1)), augment(batch, generator(2)))


@pytest.mark.usefixtures("either_way")
def test_the_whole_poster_comes_back_as_it_is_or_mirrored() -> None:
    batch = in_bytes(16)
    out = random_resized_crop(batch, generator(), size=(24, 16), area=(1.0, 1.0), stretch=1.0)
    same = [(a - b / 255).abs().max() < 1e-5 for a, b in zip(out, batch, strict=True)]
    flip = [(a - b.flip(-1) / 255).abs().max() < 1e-5 for a, b in zip(out, batch, strict=True)]
    assert all(s or m for s, m in zip(same, flip, strict=True))
    assert any(same) and any(flip)


@pytest.mark.parametrize(("device", "expected"), [("cpu", "resample_bytes"), ("meta", "resample_by_grid")])
def test_bytes_are_resampled_on_a_cpu_alone(device: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name in ("resample_bytes", "resample_by_grid"):
        monkeypatch.setattr(f"onesheet.training.augment.{name}", lambda *_, name=name: asked.append(name))
    random_resized_crop(in_bytes().to(device), generator(), size=(24, 16), area=(0.6, 1.0))
    assert asked == [expected]


@pytest.mark.usefixtures("either_way")
def test_crops_come_at_the_size_asked_for() -> None:
    small = random_resized_crop(ramp(4), generator(), size=(40, 16), area=(1.0, 1.0), stretch=1.0)
    assert small.shape == (4, 3, 40, 16) and small.dtype == torch.float32
    expected = (torch.arange(40) * 6 + 1.5)[None, None, :, None] / 255
    assert ((small[:, :2] - expected).abs()[:, :, 1:-1] < 0.51 / 255).all()  # rounded, where bytes are resampled


@pytest.mark.usefixtures("either_way")
def test_crops_are_parts_of_the_shape_share_and_place_asked_for() -> None:
    crops = random_resized_crop(ramp(400), generator(), size=(80, 80), area=(0.5, 1), stretch=1.5)
    edges = torch.stack((crops[:, 0, [0, -1], 40], crops[:, 2, 40][:, [0, -1]].sort().values), 1) * 85  # pixels
    sides = edges.diff(dim=2)[..., 0] + 1  # a pixel that is enlarged begins before its middle
    height, width = sides.T
    assert ((sides > 44) & (sides < 82)).all()
    share, ratio = height * width / 6400, (height / width).log() / np.log(1.5)
    assert 0.46 < share.min() < 0.55 and share.max() > 0.85
    assert ratio.min() < -0.8 and ratio.max() > 0.8 and ratio.abs().max() < 1.06
    free = (sides < 70).all(1)
    places = ((edges.mean(2) - 39.5) / (80 - sides) * 2)[free]  # of the middles, -1..1 as far as the side allows
    assert free.sum() > 80 and (places.abs() < 1.15).all()
    assert (places.amin(0) < -0.9).all() and (places.amax(0) > 0.9).all()
    assert abs(float(torch.corrcoef(places.T)[0, 1])) < 0.3


@pytest.mark.usefixtures("either_way")
def test_crops_stay_inside_the_poster() -> None:
    rows = random_resized_crop(ramp(64), generator(), size=(80, 32), area=(0.6, 1.0), stretch=1.5)[:, 0, :, 16]
    assert (rows.diff()[:, 1:-1] > 0).all()  # no border repeated, but for the last half pixel


@pytest.mark.parametrize("resample", [resample_bytes, resample_by_grid])
def test_of_the_smallest_parts_and_posters_a_pixel_is_seen(resample: Resample) -> None:
    nothing, flipped = torch.zeros(2, 2), torch.tensor([False, True])
    for batch in (in_bytes(2), in_bytes(2, 1, 1)):
        parts = resample(batch, nothing + 1e-6, nothing, flipped, (5, 4))
        assert parts.shape == (2, 3, 5, 4) and torch.allclose(parts, parts[..., :1, :1], atol=1e-5)
    corners = torch.tensor([[-1.0, -1], [1, 1]]) * 1.0001  # as rounding may leave them
    seen = resample_bytes(in_bytes(2), nothing + 1e-6, corners, flipped, (1, 1))[..., 0, 0]
    assert torch.equal(seen * 255, torch.stack((in_bytes(2)[0, :, 0, 0], in_bytes(2)[1, :, -1, -1])).float())


def test_parts_are_resampled_as_pillow_does() -> None:
    batch, size = in_bytes(4, 48, 32), (30, 40)  # smaller one way, larger the other
    boxes = [(0, 0, 48, 32), (8, 4, 40, 20), (10, 0, 24, 31), (47, 31, 48, 32)]  # top, left, bottom, right
    edges = torch.tensor(boxes).view(4, 2, 2) / torch.tensor([48, 32])
    flipped = torch.tensor([False, True, True, False])
    parts = resample_bytes(batch, edges[:, 1] - edges[:, 0], edges.sum(1) - 1, flipped, size)
    for part, poster, (top, left, bottom, right), flip in zip(parts, batch, boxes, flipped, strict=True):
        picture = Image.fromarray(poster.permute(1, 2, 0).numpy()).crop((left, top, right, bottom))
        expected = np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR)).astype(float)
        seen = part.permute(1, 2, 0).numpy() * 255
        assert np.abs(seen - (expected[:, ::-1] if flip else expected)).max() < 1.01


def test_a_grid_shows_the_parts_that_bytes_show() -> None:
    batch, n, size = smooth(40), 40, (96, 64)
    pixels = (torch.tensor(size) * torch.empty(n, 2).uniform_(0.5, 1, generator=generator())).round()
    starts = ((torch.tensor(size) - pixels) * torch.rand(n, 2, generator=generator(1))).round()
    sides, offsets = pixels / torch.tensor(size), (2 * starts + pixels) / torch.tensor(size) - 1
    flipped = torch.arange(n) % 2 == 0
    seen, expected = (way(batch, sides, offsets, flipped, size) for way in (resample_by_grid, resample_bytes))
    assert (seen - expected).abs().max() * 255 < 4  # at a part's edges a grid sees the pixels outside
    assert (seen - expected).abs().mean() * 255 < 0.5


def test_colour_keeps_the_range_and_changes_every_poster() -> None:
    out = random_colour(posters(), generator())
    assert out.min() >= 0 and out.max() <= 1
    assert ((out - posters()).abs().amax((1, 2, 3)) > 0.01).all()


def test_some_posters_lose_all_colour() -> None:
    out = random_colour(posters(400), generator(), grey_chance=0.25)
    grey = (out.amax(1) - out.amin(1)).amax((1, 2)) < 1e-6
    assert 60 < grey.sum() < 140


def test_blur_is_the_gaussian_of_scipy() -> None:
    batch = posters(400)
    out = random_blur(batch, generator(), chance=0.25, radius=(1.5, 1.5))
    changed = torch.nonzero((out - batch).abs().amax((1, 2, 3)) > 0)[:, 0].tolist()
    assert 60 < len(changed) < 140
    for row in changed[:5]:
        expected = gaussian_filter(batch[row].numpy(), (0, 1.5, 1.5), mode="nearest", radius=4)
        assert np.abs(out[row].numpy() - expected).max() < 1e-5
    assert torch.equal(random_blur(batch, generator(), chance=0), batch)


def test_every_poster_is_blurred_by_a_radius_of_its_own() -> None:
    batch = posters(1).expand(6, -1, -1, -1)
    out = random_blur(batch, generator(), chance=1, radius=(0.5, 2))
    plain, radii = batch[0].numpy(), np.linspace(0.5, 2, 301)
    blurred = np.stack([gaussian_filter(plain, (0, radius, radius), mode="nearest", radius=5) for radius in radii])
    gaps = [np.abs(blurred - one.numpy()).max((1, 2, 3)) for one in out]
    assert all(gap.min() < 0.01 for gap in gaps)
    assert np.ptp([radii[gap.argmin()] for gap in gaps]) > 0.5


def test_colour_is_saturation_then_contrast_then_brightness() -> None:
    out = random_colour(posters(), generator(), grey_chance=0)
    factors = torch.empty(3, 8, 1, 1, 1).uniform_(0.8, 1.2, generator=generator())
    grey = posters().mean(1, keepdim=True)
    coloured = torch.lerp(grey, posters(), factors[2])
    expected = torch.lerp(grey.mean((2, 3), keepdim=True), coloured, factors[1]) * factors[0]
    assert torch.allclose(out, expected.clamp(0, 1), atol=1e-6)


def test_random_crop_is_a_patch_of_the_poster() -> None:
    batch = posters(12)
    for patch, poster in zip(random_crop(batch, generator(), size=(20, 12)), batch, strict=True):
        windows = poster.unfold(1, 20, 1).unfold(2, 12, 1)
        found = [
            torch.equal(candidate, windows[:, top, left])
            for candidate in (patch, patch.flip(-1))
            for top in range(5)
            for left in range(5)
        ]
        assert any(found)


def test_mixing_mixes_labels_by_the_share_of_the_picture() -> None:
    batch = torch.zeros(10, 3, 20, 20)
    batch[5:] = 1
    labels = torch.zeros(10, 2)
    labels[:5, 0] = labels[5:, 1] = 1
    mixed, soft = cutmix(batch, labels, generator(3))
    assert torch.allclose(soft.sum(1), torch.ones(10))
    assert torch.allclose(mixed.mean((1, 2, 3)), soft[:, 1], atol=1e-6)


def test_a_network_that_takes_crops_gets_crops_of_its_size() -> None:
    alexnet = build_network("alexnet", genres=2, size=(80, 80))
    stored = np.random.default_rng(0).integers(0, 256, (6, 80, 80, 3), dtype=np.uint8)
    augment = build_augmentation(alexnet, stored, np.arange(6), crop_area=0.6, seed=0)
    patches = augment(in_bytes(3, 80, 80), generator(), (80, 80))
    assert patches.shape == (3, 3, *alexnet.input_size) and patches.dtype == torch.float32
    assert 0.4 < patches.mean() < 0.6 and patches.std() > 0.2
