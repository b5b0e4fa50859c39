"""The audit's search for near-duplicates: against brute force, how its time grows, and its memory.

python benchmarks/near_duplicates.py [DATA] [--hashes N] [--brute-rows N]

Hashes are made up: each band of 16 bits is taken from the hash of a poster of DATA drawn anew (so that bands are as
unevenly filled as real ones), or at random without DATA; one in twenty is a copy of another with 1 to 32 bits flipped.
Brute force compares the first `--brute-rows` with all that follow and is extrapolated to all pairs.
"""

import os
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from material import read
from peak import watch
from ratio import arguments, in_turn, load_now, quotients, report, row, seconds, spread

from onesheet.audit.measurements import measure_posters
from onesheet.audit.perceptual_hashes import RADIUS, Hashes, distances, near_pairs
from onesheet.progress import silent

TIMES_MORE = 10
BANDS = 16
LAPTOP_MB = 2000
SEARCH = (
    "import sys, numpy; from onesheet.audit.perceptual_hashes import near_pairs; near_pairs(numpy.load(sys.argv[1]))"
)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--hashes", type=int, default=100_000)
    parser.add_argument("--brute-rows", type=int, default=2000)
    given = parser.parse_args()
    load = load_now()
    real = real_hashes(given.data) if given.data else None
    few, many = (made_up(count, real) for count in (given.hashes, given.hashes * TIMES_MORE))
    part = min(given.brute_rows, len(few) - 1)
    share = sum(len(few) - 1 - row for row in range(part)) / (len(few) * (len(few) - 1) / 2)
    short, long, brute = in_turn(
        lambda: seconds(lambda: near_pairs(few)),
        lambda: seconds(lambda: near_pairs(many)),
        lambda: seconds(lambda: brute_force(few, part)) / share,
        repeats=given.repeats,
    )
    growth, speed = quotients(long, short), quotients(brute, short)
    with TemporaryDirectory() as folder:
        np.save(Path(folder) / "hashes.npy", many)
        peak = watch([sys.executable, "-c", SEARCH, f"{folder}/hashes.npy"], Path(os.devnull))
    what = f"near-duplicates of {len(few):,} hashes"
    against = f"brute force, extrapolated from {share:.1%} of the pairs: {spread(brute, 's')}"
    lines = [
        row(what, spread(short, "s"), against, speed, "faster", statistics.median(speed) > 1),
        row(
            f"{len(many):,} hashes",
            spread(long, "s"),
            f"{len(few):,} hashes: {spread(short, 's')}",
            growth,
            "≤ 13× the time",
            statistics.median(growth) <= 13,
        ),
        row(
            f"memory at {len(many):,} hashes",
            f"{peak.resident:,.0f} MB, the whole process",
            f"a laptop, {LAPTOP_MB:,} MB",
            [peak.resident / LAPTOP_MB],
            "≤ 1",
            peak.resident <= LAPTOP_MB,
        ),
    ]
    report(lines, repeats=given.repeats, packages=("numpy",), load=load, notes=completeness(few, part))


def real_hashes(data: Path) -> Hashes:
    measured = measure_posters(read(data).films, threads=None, progress=silent)
    return measured.hash[measured.seen]


def made_up(count: int, real: Hashes | None) -> Hashes:
    """So many hashes, uint64 N×4, one in twenty nearly another."""
    rng = np.random.default_rng(count)
    if real is None:
        hashes = rng.integers(0, 2**64, (count, 4), np.uint64)
    else:
        bands = real.view(np.uint16)
        hashes = bands[rng.integers(0, len(bands), (count, BANDS)), np.arange(BANDS)].view(np.uint64)
    copies = rng.choice(count, count // 20, replace=False)
    hashes[copies] = hashes[rng.integers(0, count, len(copies))]
    flipped = rng.random((len(copies), 256)).argsort(axis=1) < rng.integers(1, 33, (len(copies), 1))
    hashes[copies] ^= np.packbits(flipped, axis=1).view(np.uint64)
    return hashes


def brute_force(hashes: Hashes, rows: int) -> set[tuple[int, int]]:
    """Near pairs of the first rows with all that follow, every one compared."""
    found = set()
    for row_number in range(rows):
        near = np.flatnonzero(distances(hashes[row_number], hashes[row_number + 1 :]) <= RADIUS)
        found.update((row_number, row_number + 1 + int(other)) for other in near)
    return found


def completeness(hashes: Hashes, rows: int) -> str:
    """How many of the brute-force pairs the search names; of equal hashes it names the first only."""
    truth = brute_force(hashes, rows)
    pairs, _ = near_pairs(hashes)
    found = {(int(a), int(b)) for a, b in pairs.tolist()}
    named = len(truth & found)
    return f"Of {len(truth):,} pairs within {RADIUS} bits that brute force finds there, the search names {named:,}."


if __name__ == "__main__":
    main()
