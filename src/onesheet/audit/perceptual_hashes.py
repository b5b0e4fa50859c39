"""Perceptual hashes of posters, and the search for near-duplicates among them.

The hash is the DCT hash ("pHash", Zauner 2010) with 256 bits: the 16×16 lowest frequencies of a 64×64 grey
thumbnail, each above their median or not. Measured on 25,467 real posters (324 million pairs): re-encoding,
resizing and changes of tone move a poster by 0..24 bits, cutting 1 or 2 % off each edge by 10..50, a border of 2 %
by 20..56; unrelated posters differ by 60 bits and more but for a handful of pairs with little in them.

The search is multi-index hashing (Norouzi, Punjani & Fleet 2012): the 256 bits are laid out twice, by columns and by
diagonals of the transform, as 32 bytes; four times the bytes are made words of four; and only hashes that agree in
three bytes of a word are compared. Of two hashes that differ in at most 15 bits one of the eight words has at most one
byte that differs, so they always meet; of real pairs that differ in 16..32 bits 100 % were found, in 33..40 bits 98 %.
usearch's graph of neighbours (HNSW) misses 0.4% of such pairs and takes 65 times as long (benchmarks/NOTES.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]

THUMBNAIL = 64
RADIUS = 40
GUARANTEED_RADIUS = 15
BUCKET_CAP = 1024

_SIDE = 16
_BYTES = 32
_BITS = np.arange(_SIDE * _SIDE)
_LAYOUTS = (_BITS.reshape(_SIDE, _SIDE).T.ravel(), _BITS * (_SIDE + 1) % len(_BITS))  # by columns, by diagonals
_WORDS = (1, 3, 5, 7)  # words of four bytes, so many apart: odd, so that every second byte of a word is even
_BLOCK_BITS = 14  # about so many hashes, as a power of two, are compared at a time: they stay in the processor's cache
_BYTE, _HALF = np.uint64(8), np.uint64(32)  # bits
_ONES = np.ones(4, np.int64)
_ODD = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], np.uint64)
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_DCT = np.cos(np.pi * np.arange(_SIDE)[:, None] * (2 * np.arange(THUMBNAIL) + 1) / (2 * THUMBNAIL), dtype=np.float32)


def grey(thumbnail: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luma of an RGB picture: uint8 H×W×3 -> float32 H×W, 0..255."""
    return thumbnail.astype(np.float32) @ _LUMA


def perceptual_hash(luma: NDArray[np.float32]) -> Hashes:
    """The 256-bit hash of a poster.

    Args:
        luma: float32 64×64, the poster's antialiased grey thumbnail.

    Returns:
        uint64 of shape 4; compare two by the number of bits that differ.

    Example:
        >>> ramp = np.arange(64 * 64, dtype=np.float32).reshape(64, 64)
        >>> a, b = perceptual_hash(ramp), perceptual_hash(ramp[::-1])
        >>> int(np.bitwise_count(a ^ a).sum()), int(np.bitwise_count(a ^ b).sum()) > 15
        (0, True)
    """
    frequencies = (_DCT @ luma @ _DCT.T).ravel()
    return np.packbits(frequencies > np.median(frequencies)).view(np.uint64)


def near_pairs(hashes: Hashes, *, radius: int = RADIUS) -> tuple[Indices, NDArray[np.int64]]:
    """All pairs of hashes that share three bytes of a word and differ in at most `radius` bits.

    Complete up to `GUARANTEED_RADIUS`, nearly so up to `RADIUS`. Time and memory grow nearly as N
    (benchmarks/near_duplicates.py: to 1,000,000). Equal hashes are searched for once: each comes paired with the first
    of its kind, and further pairs name that first. Of more than `BUCKET_CAP` different hashes that share three bytes (a
    degenerate catalogue) each is compared with the next `BUCKET_CAP` only.

    Args:
        hashes: uint64 N×4.
        radius: bits that may differ, 0..256.

    Returns:
        pairs int64 P×2, first < second, sorted; and their distances, int64 P.

    Example:
        >>> hashes = np.zeros((3, 4), np.uint64)
        >>> hashes[1] = 0b111
        >>> hashes[2] = 2**64 - 1
        >>> pairs, distances = near_pairs(hashes)
        >>> pairs.tolist(), distances.tolist()
        ([[0, 1]], [12])
    """
    first = _first_of_its_kind(hashes)
    rows = np.flatnonzero(first == np.arange(len(hashes)))
    equal = np.flatnonzero(first != np.arange(len(hashes)))
    found = first[equal] * len(hashes) + equal  # a pair as one number
    for order in _LAYOUTS:
        laid = _laid_out(hashes[rows], order)
        for place, others in _KEYS.items():
            # Pairs repeat from key to key: keep them unique as they come. Sorting is faster than np.unique.
            found = np.sort(np.concatenate((found, *_sharing(laid, rows, place, others, radius, len(hashes)))))
            found = found[np.flatnonzero(np.diff(found, prepend=-1))]
    pairs = np.column_stack(np.divmod(found, max(1, len(hashes))))
    return pairs, distances(hashes[pairs[:, 0]], hashes[pairs[:, 1]])


def distances(a: Hashes, b: Hashes) -> NDArray[np.int64]:
    """Bits that differ between hashes N×W (or one of W) and N×W, W up to 4 words of 64 bits -> int64 N."""
    differing: NDArray[np.int64] = np.bitwise_count(a ^ b) @ _ONES[: b.shape[1]]  # four times as fast as a sum
    return differing


def _keys() -> dict[int, list[tuple[int, int]]]:
    """The keys, three bytes of a word each: an even byte -> the others of every key that it begins."""
    keys: dict[int, list[tuple[int, int]]] = {place: [] for place in range(0, _BYTES, 2)}
    for apart in _WORDS:
        for a, b, c, d in (np.arange(_BYTES) * apart % _BYTES).reshape(-1, 4).tolist():
            keys[a] += [(b, c), (b, d)]
            keys[c] += [(d, a), (d, b)]
    return keys


_KEYS = _keys()


def _first_of_its_kind(hashes: Hashes) -> Indices:
    """For each hash the index of the first that equals it, int64 N."""
    _, first, kind = np.unique(hashes @ _ODD, return_index=True, return_inverse=True)
    first = first[kind]
    really = (hashes.take(first, axis=0) == hashes).all(axis=1)  # and not only mixed to the same number
    return np.where(really, first, np.arange(len(hashes)))


def _laid_out(hashes: Hashes, order: Indices) -> Hashes:
    """The same bits in another order: distances stay."""
    laid = np.empty_like(hashes)
    for start in range(0, len(hashes), 1 << _BLOCK_BITS):
        part = slice(start, start + (1 << _BLOCK_BITS))
        bits = np.unpackbits(hashes[part].view(np.uint8), axis=1)
        laid[part] = np.packbits(bits.take(order, axis=1), axis=1).view(np.uint64)
    return laid


def _sharing(
    hashes: Hashes, names: Indices, place: int, others: list[tuple[int, int]], radius: int, count: int
) -> Iterator[Indices]:
    """Near pairs, each as lower name × `count` + higher name, that share the byte at `place` and one of two `others`.

    Block by block: hashes whose byte begins with the same bits.
    """
    kinds = max(0, min(8, (len(hashes) - 1).bit_length() - _BLOCK_BITS))
    block_of = hashes.view(np.uint8)[:, place] >> (8 - kinds) if kinds else np.zeros(len(hashes), np.uint8)
    ends = np.cumsum(np.bincount(block_of, minlength=1 << kinds))
    for block in np.split(np.argsort(block_of, kind="stable"), ends[:-1]):
        held, here = hashes.take(block, axis=0), names.take(block)
        bytes_of = held.view(np.uint8)
        first = bytes_of[:, place].astype(np.uint64)
        keys = ((first << _BYTE | bytes_of[:, one]) << _BYTE | bytes_of[:, other] for one, other in others)
        halves = np.ascontiguousarray(held[:, :2])  # enough of the bits to tell nearly all that are not near
        for a, b in _many_at_once(pairs for key in keys for pairs in _within_buckets(key)):
            for bits in (halves, held):
                near = np.flatnonzero(distances(bits.take(a, axis=0), bits.take(b, axis=0)) <= radius)
                a, b = a.take(near), b.take(near)
            left, right = here.take(a), here.take(b)
            yield np.minimum(left, right) * count + np.maximum(left, right)


def _many_at_once(pairs: Iterable[tuple[Indices, Indices]]) -> Iterator[tuple[Indices, Indices]]:
    """The same pairs in larger arrays, for each of which NumPy is called a few times."""
    held: list[tuple[Indices, Indices]] = []
    waiting = 0
    for pair in pairs:
        held.append(pair)
        waiting += len(pair[0])
        if waiting >= 1 << _BLOCK_BITS:
            yield _joined(held)
            held, waiting = [], 0
    if held:
        yield _joined(held)


def _joined(pairs: list[tuple[Indices, Indices]]) -> tuple[Indices, Indices]:
    lower, higher = zip(*pairs, strict=True)
    return np.concatenate(lower), np.concatenate(higher)


def _within_buckets(keys: NDArray[np.unsignedinteger[Any]]) -> Iterator[tuple[Indices, Indices]]:
    """Pairs with one key: sorted by it, each with the next, the next but one, … of its bucket."""
    both = np.sort(keys << _HALF | np.arange(len(keys), dtype=np.uint64))  # much faster than argsort
    keys, rows = both >> _HALF, (both & 0xFFFF_FFFF).astype(np.int64)
    here = np.flatnonzero(keys[1:] == keys[:-1])
    for step in range(1, BUCKET_CAP + 1):
        if not len(here):
            break
        yield rows.take(here), rows.take(here + step)
        here = here[: np.searchsorted(here, len(keys) - step - 1)]
        here = here[keys.take(here) == keys.take(here + step + 1)]
