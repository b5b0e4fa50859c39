from __future__ import annotations

from functools import partial

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from onesheet.models import build_network
from onesheet.training.augment import (
    build_augmentation,
    cutmix,
    mixup,
    random_blur,
    random_colour,
    random_crop,
    random_resized_crop,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def posters(n: int = 8, height: int = 24, width: int = 16) -> torch.Tensor:
    return torch.rand(n, 3, height, width, generator=generator(9))


def test_the_same_generator_state_gives_the_same_batch() -> None:
    for augment in (partial(random_resized_crop, size=(24, 16), area=(0.6, 1.0)), random_colour, random_blur):
        assert torch.equal(augment(posters(), generator(1)), augment(posters(), generator(1)))
        assert not torch.equal(augment(posters(), generator(1)), augment(posters(), generator(2)))


def test_the_whole_poster_comes_back_as_it_is_or_mirrored() -> None:
    batch = posters(16)
    out = random_resized_crop(batch, generator(), size=(24, 16), area=(1.0, 1.0), stretch=1.0)
    same = [(a - b).abs().max() < 1e-5 for a, b in zip(out, batch, strict=True)]
    mirrored = [(a - b.flip(-1)).abs().max() < 1e-5 for a, b in zip(out, batch, strict=True)]
    assert all(s or m for s, m in zip(same, mirrored, strict=True))
    assert any(same) and any(mirrored)


def test_crops_come_at_the_size_asked_for() -> None:
    ramp = torch.linspace(0, 1, 48).view(1, 1, 48, 1).expand(4, 3, 48, 32)
    small = random_resized_crop(ramp, generator(), size=(24, 16), area=(1.0, 1.0), stretch=1.0)
    assert small.shape == (4, 3, 24, 16)
    assert torch.allclose(small, ramp.unflatten(2, (24, 2)).mean(3)[..., ::2], atol=1e-6)


def test_crops_stay_inside_the_poster() -> None:
    ramp = torch.linspace(0, 1, 48).view(1, 1, 48, 1).expand(64, 3, 48, 32)
    rows = random_resized_crop(ramp, generator(), size=(48, 32), area=(0.6, 0.6), stretch=1.0)[:, 0, :, 16]
    assert (rows.diff() > 0).all()  # no border repeated: every row lies inside
    assert rows[:, 0].std() > 0.02  # and the place varies


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
    for mix in (cutmix, mixup):
        mixed, soft = mix(batch, labels, generator(3))
        assert torch.allclose(soft.sum(1), torch.ones(10))
        assert torch.allclose(mixed.mean((1, 2, 3)), soft[:, 1], atol=1e-6)


def test_a_network_that_takes_crops_gets_crops_of_its_size() -> None:
    alexnet = build_network("alexnet", genres=2, size=(80, 80))
    stored = np.random.default_rng(0).integers(0, 256, (6, 80, 80, 3), dtype=np.uint8)
    augment = build_augmentation(alexnet, stored, np.arange(6), crop_area=0.6, seed=0)
    assert augment(posters(3, 80, 80), generator(), (80, 80)).shape == (3, 3, *alexnet.input_size)
