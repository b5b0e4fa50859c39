"""Adaptation against its source and against an ImageNet head, and what it takes.

python benchmarks/adapt.py quality DATA [--backbone FOLDER] [--splits 20] [--out FOLDER]
python benchmarks/adapt.py time DATA [--films 1000] [--repeats 3] [--out FOLDER]
python benchmarks/adapt.py scale [--films 100000] [--out FOLDER]

quality: the `test` splits of DATA (chu2017/ and imdb/; the bundled model has not learnt from them) are one collection.
    In each split 400 films train and 369 test: the source untouched, its heads adapted, the same with all genre names
    hidden, and with --backbone today's ImageNet head (MobileNetV2, `--tune head`, 60 of the 400 films validating).
time: from a table of so many films to model file and report, against `predict` on the same posters; own memory.
scale: heads for so many films whose features are cached; drawn at random, as time does not depend on what they are.
"""

import argparse
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from ratio import processor_name

from onesheet.adaptation import SourceFeatures, fit_heads, source_features
from onesheet.data import Catalogue, read_catalogue, write_catalogue
from onesheet.evaluation import average_precision, roc_auc
from onesheet.genres import GenreSet
from onesheet.packed import Packed, Split, pack, read_split
from onesheet.predict import Predictor, load, score_split

SOURCES = ("chu2017", "imdb")
TRAIN, VALIDATE, TEST = 400, 60, 369
LEAST_FILMS = 20  # of the 400, as --min-films
WIDTH = 5232  # of the bundled model's embedding
PREDICT = """
import sys, onesheet
for one in onesheet.load().predict_many(open(sys.argv[1], encoding="utf-8").read().split("\\n")):
    pass
"""
ADAPT = """
import sys, onesheet
onesheet.adapt(sys.argv[1], out=sys.argv[2])
"""
HEADS = """
import sys, numpy as np
from onesheet.adaptation import fit_heads
names = ("features", "logits", "labels")
features, logits, labels = (np.load(f"{sys.argv[1]}/{name}.npy", mmap_mode="r") for name in names)
fit_heads(features, np.array(logits), np.array(labels), columns=[*range(12), *[None] * 12])
"""
MEASURE = """
import resource
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("quality", "time", "scale"))
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--backbone", help="folder of an ImageNet network; without it that row is left out")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--films", type=int)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/adapt"))
    given = parser.parse_args()
    print(f"{processor_name()}, numpy {version('numpy')}, onnxruntime {version('onnxruntime')}")
    if given.what == "quality":
        quality(given.data, given.out, splits=given.splits, backbone=given.backbone)
    elif given.what == "time":
        timing(given.data, given.out, films=given.films or 1000, repeats=given.repeats)
    else:
        scale(given.out, films=given.films or 100_000)


def unseen(data: Path) -> Catalogue:
    """The test films of both collections."""
    catalogue = read_catalogue(*(data / name for name in SOURCES), min_films=1)
    assigned = read_split(catalogue, *(data / name / "split.csv" for name in SOURCES))
    films = tuple(catalogue.films[row] for row in assigned.rows("test"))
    return Catalogue(films, catalogue.genres)


def quality(data: Path, out: Path, *, splits: int, backbone: str | None) -> None:
    source = load()
    catalogue = unseen(data)
    packed = pack(Split.whole(catalogue), out / "packed", size=source.card.size, resize=source.card.resize)
    features = source_features(source, packed)
    rows: dict[str, list[tuple[float, float]]] = {}
    for number in range(splits):
        films = np.random.default_rng(number).permutation(len(packed))[: TRAIN + TEST]
        train, test = np.sort(films[:TRAIN]), films[TRAIN:]
        names = _genres(packed, train, source)
        answers = _adapted(source, features, packed, train, test, names)
        if backbone:
            answers["ImageNet head"] = _imagenet(packed, train, test, names, backbone, out / "imagenet")
        truth = packed.labels[np.ix_(test, [packed.genres.column(name) for name in names])]
        for name, logits in answers.items():
            metrics = float(np.nanmean(roc_auc(truth, logits))), float(np.nanmean(average_precision(truth, logits)))
            rows.setdefault(name, []).append(metrics)
        print(
            number, len(names), {name: [round(one, 4) for one in found[-1]] for name, found in rows.items()}, flush=True
        )
    print(
        f"\n{len(packed):,} posters, {splits} splits\n\n"
        "| heads | ROC-AUC, macro | mAP, macro | ROC-AUC less the source's |"
    )
    print("|---|---|---|---|")
    for name, found in rows.items():
        auc, precision = np.mean(found, axis=0)
        less = np.subtract(found, rows["source, untouched"])[:, 0]
        print(f"| {name} | {auc:.4f} | {precision:.4f} | {less.mean():+.4f} (sd {less.std():.4f}) |")


def _genres(packed: Packed, train: NDArray[np.int64], source: Predictor) -> list[str]:
    films = packed.labels[train].sum(0)
    return [
        name
        for name, count in zip(packed.genres.names, films, strict=True)
        if count >= LEAST_FILMS and name in source.genres
    ]


def _adapted(
    source: Predictor,
    features: SourceFeatures,
    packed: Packed,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    names: list[str],
) -> dict[str, NDArray[np.floating]]:
    labels = packed.labels[:, [packed.genres.column(name) for name in names]]
    columns = [source.genres.column(name) for name in names]
    calibration = source.card.scale_and_bias
    found: dict[str, NDArray[np.floating]] = {"source, untouched": features.logits[test][:, columns]}
    for name, known in (("adapted, genres known", columns), ("adapted, all names hidden", [None] * len(columns))):
        heads = fit_heads(
            features.embedding, features.logits, labels, columns=known, calibration=calibration, rows=train
        )
        found[name] = heads.logits(features.embedding[test], features.logits[test])
    return found


def _imagenet(
    packed: Packed, train: NDArray[np.int64], test: NDArray[np.int64], names: list[str], backbone: str, folder: Path
) -> NDArray[np.floating]:
    """Logits of the head that `onesheet train --model hf:… --tune head` trains."""
    from onesheet.exporting import export
    from onesheet.training import TrainConfig, fit

    shutil.rmtree(folder, ignore_errors=True)
    films = [packed.films[row] for row in (*train.tolist(), *test.tolist())]
    films = [replace(film, genres=tuple(name for name in film.genres if name in names)) for film in films]
    catalogue = Catalogue(tuple(films), GenreSet(sorted(names)))
    splits = np.repeat(["train", "validation", "test"], [TRAIN - VALIDATE, VALIDATE, TEST])
    store = pack(Split(catalogue, splits), folder / "packed")
    run = fit(TrainConfig(model=f"hf:{backbone}", tune="head"), store, folder=folder / "run")
    export(run, folder / "genres.onnx")
    return score_split(load(folder / "genres.onnx"), store, "test").logits


def timing(data: Path, out: Path, *, films: int, repeats: int) -> None:
    """Each turn in processes of their own: `predict` of all posters, then table to model file and report."""
    catalogue = unseen(data)
    chosen = np.random.default_rng(0).permutation(len(catalogue))[:films].tolist()
    out.mkdir(parents=True, exist_ok=True)
    write_catalogue(Catalogue(tuple(catalogue.films[row] for row in chosen), catalogue.genres), out / "films.csv")
    (out / "posters.txt").write_text("\n".join(catalogue.films[row].poster for row in chosen), encoding="utf-8")
    rounds = []
    for _ in range(repeats):
        shutil.rmtree(out / "run", ignore_errors=True)
        predicting = _run_apart(PREDICT, out / "posters.txt")
        adapting = _run_apart(ADAPT, out / "films.csv", out / "run")
        rounds.append((*predicting, *adapting))
        print(
            "predict {:.1f} s, {:.1f} of CPU, {:.0f} MB; adapt {:.1f} s, {:.1f} of CPU, {:.0f} MB".format(*rounds[-1])
        )
    beyond = [adapting - predicting for predicting, _, _, adapting, _, _ in rounds]
    print(
        f"| {films:,} films, table to model file and report, beyond `predict` | {median(beyond):.1f} s "
        f"({min(beyond):.1f}–{max(beyond):.1f}), {median(one[4] - one[1] for one in rounds):.1f} s of CPU | "
        f"{median(one[5] for one in rounds):.0f} MB |"
    )


def _run_apart(code: str, *arguments: Path) -> tuple[float, float, float]:
    """Seconds, seconds of CPU, and peak memory in MB of a Python process."""
    begun = time.perf_counter()
    command = [sys.executable, "-c", code + MEASURE, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    cpu, memory = map(float, done.stdout.split()[-2:])
    return time.perf_counter() - begun, cpu, memory


def scale(out: Path, *, films: int) -> None:
    """Heads for many films, whose features are on disk."""
    genres, generator = 24, np.random.default_rng(0)
    out.mkdir(parents=True, exist_ok=True)
    embedding = np.lib.format.open_memmap(out / "features.npy", mode="w+", dtype=np.float16, shape=(films, WIDTH))
    logits = np.empty((films, genres), np.float32)
    directions = generator.standard_normal((400, WIDTH)).astype(np.float32) / np.arange(1, 401)[:, None] ** 0.5
    answer = generator.standard_normal((WIDTH, genres)).astype(np.float32) / WIDTH**0.5
    for start in range(0, films, 5000):
        count = min(5000, films - start)
        values = generator.standard_normal((count, 400), np.float32) @ directions
        values += 0.5 * generator.standard_normal((count, WIDTH), np.float32)
        embedding[start : start + count], logits[start : start + count] = values, values @ answer - 2
    embedding.flush()
    np.save(out / "logits.npy", logits)
    np.save(out / "labels.npy", logits + 2 * generator.standard_normal((films, genres)).astype(np.float32) > 0.5)
    seconds, cpu, memory = _run_apart(HEADS, out)
    print(
        f"| {films:,} films, features cached, heads of {genres} genres | {seconds:.0f} s, {cpu:.0f} s of CPU | "
        f"{memory:.0f} MB |"
    )


if __name__ == "__main__":
    main()
