"""The hash is stable, and the search finds what brute force finds."""

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from onesheet.audit import perceptual_hashes as hashing
from onesheet.audit.perceptual_hashes import (
    GUARANTEED_RADIUS,
    RADIUS,
    distances,
    grey,
    near_pairs,
    perceptual_hash,
)
from onesheet.data.components import connected


def random_hashes(rng, count):
    return rng.integers(0, 2**64, (count, 4), dtype=np.uint64)


def flipped(rng, row, bits):
    """The hash with exactly that many bits changed."""
    places = np.unpackbits(row.view(np.uint8))
    places[rng.choice(256, bits, replace=False)] ^= 1
    return np.packbits(places).view(np.uint64)


def brute_force(hashes, radius):
    return {
        (i, j)
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if int(np.bitwise_count(hashes[i] ^ hashes[j]).sum()) <= radius
    }


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), plants=st.lists(st.integers(0, GUARANTEED_RADIUS), max_size=12))
def test_search_equals_brute_force_within_the_guaranteed_radius(seed, plants):
    rng = np.random.default_rng(seed)
    base = random_hashes(rng, 60)
    planted = [flipped(rng, base[rng.integers(0, 60)], bits) for bits in plants]
    hashes = np.concatenate((base, np.array(planted, np.uint64).reshape(-1, 4)))
    rng.shuffle(hashes)
    pairs, bits = near_pairs(hashes, radius=GUARANTEED_RADIUS)
    wanted = brute_force(hashes, GUARANTEED_RADIUS)
    if len(np.unique(hashes, axis=0)) == len(hashes):  # equal hashes are paired with their first alone
        assert {tuple(pair) for pair in pairs.tolist()} == wanted
    assert connected(len(hashes), pairs.tolist()) == connected(len(hashes), sorted(wanted))
    np.testing.assert_array_equal(bits, np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]).sum(axis=1))


@given(
    seed=st.integers(0, 2**32),
    places=st.sets(st.integers(0, 31), min_size=GUARANTEED_RADIUS, max_size=GUARANTEED_RADIUS),
)
def test_search_finds_the_guaranteed_radius_where_every_turned_bit_spoils_another_byte(seed, places):
    rng = np.random.default_rng(seed)
    hashes = random_hashes(rng, 2)
    hashes[1] = hashes[0]
    hashes[1:].view(np.uint8)[0, sorted(places)] ^= 1 << rng.integers(0, 8, len(places), np.uint8)
    assert near_pairs(hashes)[0].tolist() == [[0, 1]]


def test_every_key_of_three_bytes_is_searched_once():
    keys = [frozenset((place, *others)) for place, pairs in hashing._KEYS.items() for others in pairs]
    assert len(set(keys)) == len(keys) == 4 * 8 * 4


def test_search_in_blocks_finds_the_same(monkeypatch):
    rng = np.random.default_rng(5)
    hashes = random_hashes(rng, 3000)
    hashes[1500:] = [flipped(rng, row, 20) for row in hashes[:1500]]
    whole = near_pairs(hashes)[0]
    monkeypatch.setattr(hashing, "_BLOCK_BITS", 4)
    np.testing.assert_array_equal(near_pairs(hashes)[0], whole)
    assert len(whole) == 1500


def test_search_finds_most_beyond_the_guarantee_and_nothing_beyond_the_radius():
    rng = np.random.default_rng(0)
    base = random_hashes(rng, 600)
    near = np.array([flipped(rng, row, 30) for row in base[:300]])
    far = np.array([flipped(rng, row, RADIUS + 1) for row in base[300:]])
    pairs, bits = near_pairs(np.concatenate((base, near, far)))
    assert bits.max() <= RADIUS
    assert len(pairs) > 0.95 * 300
    assert all(second - first == 600 and second < 900 for first, second in pairs.tolist())


def test_equal_hashes_cost_nothing_and_are_paired_with_the_first():
    hashes = np.repeat(random_hashes(np.random.default_rng(1), 1), 50_000, axis=0)
    pairs, bits = near_pairs(hashes)
    assert pairs[:, 0].max() == 0
    assert len(pairs) == 49_999
    assert bits.max() == 0


def test_a_degenerate_bucket_is_capped(monkeypatch):
    monkeypatch.setattr(hashing, "BUCKET_CAP", 8)
    rng = np.random.default_rng(2)
    hashes = random_hashes(rng, 20_000)
    hashes[:, 0] &= np.uint64(0xFFFF_FFFF_FFFF)  # one band the same in all
    hashes = np.concatenate((hashes, [flipped(rng, hashes[7], 3)]))
    pairs, _ = near_pairs(hashes)
    assert [7, 20_000] in pairs.tolist()  # found in other bands


def test_search_grows_near_linearly():
    hashes = random_hashes(np.random.default_rng(3), 80_000)
    seconds = []
    for count in (20_000, 80_000):
        started = time.process_time()
        near_pairs(hashes[:count])
        seconds.append(time.process_time() - started)
    assert seconds[1] < 9 * seconds[0] + 0.5  # quadratic would be 16


def test_no_hashes():
    pairs, bits = near_pairs(np.empty((0, 4), np.uint64))
    assert pairs.shape == (0, 2)
    assert bits.shape == (0,)


def test_hash_survives_resizing_and_tone_but_tells_posters_apart():
    rng = np.random.default_rng(4)

    def hashed(picture):
        return perceptual_hash(grey(np.asarray(picture.resize((64, 64), Image.Resampling.BILINEAR))))

    def bits(a, b):
        return int(np.bitwise_count(a ^ b).sum())

    scenes = [
        Image.fromarray(rng.integers(0, 256, (12, 8, 3), np.uint8)).resize((200, 300), Image.Resampling.BICUBIC)
        for _ in range(20)
    ]
    for scene in scenes:
        assert bits(hashed(scene), hashed(scene.resize((120, 180), Image.Resampling.LANCZOS))) <= 12
        assert bits(hashed(scene), hashed(scene.point(lambda value: value * 0.7 + 20))) <= 12
    distances = [bits(hashed(a), hashed(b)) for i, a in enumerate(scenes) for b in scenes[:i]]
    assert min(distances) > RADIUS


def test_distances_are_counted_one_to_one_and_one_to_many():
    hashes = random_hashes(np.random.default_rng(4), 50)
    for words in (2, 4):
        some = hashes[:, :words]
        expected = [sum(int(word).bit_count() for word in row ^ some[0]) for row in some]
        assert distances(some[0], some).tolist() == distances(np.tile(some[0], (50, 1)), some).tolist() == expected
