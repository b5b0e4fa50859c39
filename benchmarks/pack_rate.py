"""pack on all cores against a bare loop of the same decoder and resize that keeps nothing.

python benchmarks/pack_rate.py DATA OUT [--posters N]

OUT: a folder on the disk that a store would be written to; the stores are deleted again.
"""

import shutil
from pathlib import Path

from material import SIZE, decode_all, one_part, read
from ratio import arguments, at_least, in_turn, load_now, quotients, report, row, seconds, spread

from onesheet.packed import pack

SLAB = 16


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--posters", type=int, help="so many of DATA's posters; default: all")
    given = parser.parse_args()
    load = load_now()
    parts = one_part(read(given.data, posters=given.posters))
    posters = [film.poster for film in parts.catalogue.films]
    folder = given.out / "packed-by-pack-rate"

    def ours() -> float:
        shutil.rmtree(folder, ignore_errors=True)
        return len(posters) / seconds(lambda: pack(parts, folder, size=SIZE))

    def bare() -> float:
        return len(posters) / seconds(lambda: decode_all(posters, size=SIZE, at_once=SLAB))

    try:
        mine, loop = in_turn(ours, bare, repeats=given.repeats)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    ratio = quotients(mine, loop)
    line = row(
        f"pack, {len(posters):,} posters, all cores",
        spread(mine, "posters/s"),
        f"bare loop of the same decoder: {spread(loop, 'posters/s')}",
        ratio,
        "≥ 0.85",
        at_least(ratio, 0.85),
    )
    report([line], repeats=given.repeats, packages=("numpy", "pillow"), load=load)


if __name__ == "__main__":
    main()
