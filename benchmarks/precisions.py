"""A smaller precision against float32: posters/s of predicting, and what it costs in mAP on DATA's test set.

python benchmarks/precisions.py DATA BACKBONE OUT [--precision int8] [--posters N]
python benchmarks/precisions.py DATA BACKBONE OUT --run RUN

Both files are exported from one run: RUN, or a head trained on BACKBONE now. RUN brings its own posters, DATA is then
not read. Decoding is not part of the rates.
"""

from pathlib import Path

import numpy as np
from material import pack_parts
from ratio import arguments, at_least, in_turn, load_now, processor_facts, quotients, report, row, seconds, spread

from onesheet.evaluation import average_precision
from onesheet.exporting import export
from onesheet.packed import Packed
from onesheet.pipeline.recipe import PRECISIONS
from onesheet.predict import Predictor, load, score_split
from onesheet.training import Run, TrainConfig, fit, open_run

LARGEST_CHANGE = 0.005
HELPS = ("avx512_vnni", "avx_vnni", "amx_int8", "avx512_bf16", "amx_bf16")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("backbone", help="folder of a pretrained backbone")
    parser.add_argument("out", type=Path)
    parser.add_argument("--precision", choices=[name for name in PRECISIONS if name != "fp32"], default="int8")
    parser.add_argument("--run", metavar="RUN", help="a finished run to export instead")
    parser.add_argument("--posters", type=int, help="so many of DATA's posters; default: all")
    given = parser.parse_args()
    load_before = load_now()
    run = open_run(given.run) if given.run else head(given.data, given.backbone, given.out, given.posters)
    packed = run.packed()
    models = {}
    for precision in ("fp32", given.precision):
        path = given.out / f"{precision}.onnx"
        export(run, path, precision=precision)
        models[precision] = load(path)
    small, full = (models[name] for name in (given.precision, "fp32"))
    rows = packed.rows("test")
    posters = np.asarray(packed.posters[rows])
    mine, other = in_turn(lambda: rate(small, posters), lambda: rate(full, posters), repeats=given.repeats)
    ratio, change = quotients(mine, other), average(small, packed) - average(full, packed)
    line = row(
        f"{given.precision} predict, {len(rows):,} posters in memory; mAP {change:+.4f}",
        spread(mine, "posters/s"),
        f"float32: {spread(other, 'posters/s')}",
        ratio,
        f"≥ 1.5× where the processor supports it, mAP within {LARGEST_CHANGE}",
        at_least(ratio, 1.5) and abs(change) <= LARGEST_CHANGE,
    )
    helps = [name for name in HELPS if name in " ".join(processor_facts("flags")).split()]
    notes = f"The processor has {', '.join(helps) or 'no instructions for it'}."
    report([line], repeats=given.repeats, packages=("onnxruntime", "numpy"), load=load_before, notes=notes)


def head(data: Path, backbone: str, out: Path, posters: int | None) -> Run:
    """A head on the frozen backbone; the one of an earlier call where there is one."""
    packed = pack_parts(data, out / "packed", posters=posters)
    config = TrainConfig(model=f"hf:{backbone}", tune="head")
    return fit(config, packed, folder=out / "head", resume=(out / "head" / "run.json").exists())


def rate(predictor: Predictor, posters: np.ndarray) -> float:
    rows = np.arange(len(posters))
    return len(posters) / seconds(lambda: list(predictor.score_posters(posters, rows)))


def average(predictor: Predictor, packed: Packed) -> float:
    """Macro average precision on the test set, genres without films left out."""
    scores = score_split(predictor, packed, "test").probabilities
    return float(np.nanmean(average_precision(packed.labels[packed.rows("test")], scores)))


if __name__ == "__main__":
    main()
