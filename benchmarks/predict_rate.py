"""predict a folder, decoding included, against what its two halves allow: 1 / (1/a + 1/b).

python benchmarks/predict_rate.py POSTERS [--model FILE] [--posters N]

a: ONNX Runtime alone on posters already in memory, as many a call as predict takes, the better of its own threads and
one call a core; b: the decode loop alone; each on all cores.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from material import decode_all
from numpy.typing import NDArray
from ratio import arguments, at_least, in_turn, load_now, report, row, seconds, spread

from onesheet.images import read_poster
from onesheet.predict import DEFAULT_MODEL, Predictor, find_posters, load
from onesheet.predict.predictor import BATCH
from onesheet.threads import thread_count

HELD = 256  # posters in memory


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("folder", metavar="POSTERS")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--posters", type=int, default=400)
    given = parser.parse_args()
    load_before = load_now()
    predictor = load(given.model)
    posters = find_posters([given.folder])[: given.posters]
    batches = in_memory(predictor, posters)
    one_thread, own_threads = session(given.model, 1), session(given.model, None)
    whole, single, own, decode = in_turn(
        lambda: len(posters) / seconds(lambda: list(predictor.predict_many(posters))),
        lambda: len(posters) / seconds(lambda: score_all(one_thread, batches, thread_count(None))),
        lambda: len(posters) / seconds(lambda: score_all(own_threads, batches, 1)),
        lambda: (
            len(posters)
            / seconds(
                lambda: decode_all(posters, size=predictor.card.size, resize=predictor.card.resize, at_once=BATCH)
            )
        ),
        repeats=given.repeats,
    )
    graph = [max(rates) for rates in zip(single, own, strict=True)]
    limit = [1 / (1 / a + 1 / b) for a, b in zip(graph, decode, strict=True)]
    ratio = [mine / most for mine, most in zip(whole, limit, strict=True)]
    line = row(
        f"predict, {len(posters):,} posters, decoding included, {predictor.card.precision}",
        spread(whole, "posters/s"),
        f"1/(1/a + 1/b) = {spread(limit, 'posters/s')}; a {spread(graph)}, b {spread(decode)}",
        ratio,
        "≥ 0.9",
        at_least(ratio, 0.9),
    )
    report([line], repeats=given.repeats, packages=("onnxruntime", "pillow", "numpy"), load=load_before)


def in_memory(predictor: Predictor, posters: Sequence[str]) -> list[NDArray[np.uint8]]:
    """As many batches as the posters make, of the first ones decoded, over and over."""
    size, resize = predictor.card.size, predictor.card.resize
    pixels = np.stack([read_poster(poster, size=size, resize=resize) for poster in posters[:HELD]])
    rows = np.arange(len(posters)) % len(pixels)
    held: dict[tuple[int, ...], NDArray[np.uint8]] = {}
    chunks = [tuple(rows[start : start + BATCH].tolist()) for start in range(0, len(rows), BATCH)]
    return [held.setdefault(chunk, pixels[list(chunk)]) for chunk in chunks]


def session(model: Path, threads: int | None) -> Callable[[NDArray[np.uint8]], object]:
    """A session with so many threads a call, or with ONNX Runtime's own choice."""
    options = onnxruntime.SessionOptions()
    options.enable_mem_reuse = False  # faster without, as for a Predictor
    if threads:
        options.intra_op_num_threads = threads
    opened = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda batch: opened.run(None, {"posters": batch})


def score_all(score: Callable[[NDArray[np.uint8]], object], batches: Sequence[NDArray[np.uint8]], threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(score, batches):
            pass


if __name__ == "__main__":
    main()
