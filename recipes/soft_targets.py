"""Train a teacher on the training films and write its soft targets; started again, it resumes.

python recipes/soft_targets.py lite2 --store STORE --data DATA --minutes 120
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import onesheet
from films import Films, load_films
from networks import NETWORKS, build, cache_lower, load_8_bits, save_8_bits, upper_classifier
from training import fit_batch_norm, macro_scores, mix_targets, score, train

HERE = Path(__file__).parent
TARGETS = HERE / "soft_targets"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("teacher", choices=("bundled", *NETWORKS))
    parser.add_argument("--store", type=Path, required=True, help="folder of packed posters and checkpoints")
    parser.add_argument("--data", type=Path, help="folder of chu2017, imdb and more; needed once, to pack")
    parser.add_argument("--backbones", type=Path, help="folder of mobilenet_v2_1.0_224 and xception")
    parser.add_argument("--minutes", type=float, default=120, help="training time, over all runs (default: 120)")
    parser.add_argument("--weights", type=Path, help="start from these weights in 8 bits, not from ImageNet's")
    parser.add_argument("--threads", type=int, default=1, help="default: 1")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    films = load_films(args.store, args.data)
    if args.teacher == "bundled":
        logits = _bundled(films, args.threads)
    else:
        network = build(args.teacher, len(films.genres), args.backbones)
        if args.teacher == "xception":  # whole it is too slow on a CPU
            fit_batch_norm(network, films.posters, films.rows("train"))
            maps, step = cache_lower(network.backbone, films.posters, args.store / "xception-maps")
            films = replace(films, posters=maps)
            network = upper_classifier(network.backbone, step, len(films.genres))
        if args.weights:
            load_8_bits(network, args.weights)
        targets = mix_targets(films, read_soft_targets(films, ["bundled"]))
        train(
            network,
            films,
            targets,
            folder=args.store / args.teacher,
            minutes=args.minutes,
            head_first=args.weights is None,
        )
        save_8_bits(network, HERE / "weights" / f"{args.teacher}.safetensors")
        logits = score(network, films.posters, np.flatnonzero(films.split != "test"))
    known = np.flatnonzero(films.split != "test")
    for split in ("train", "validation"):
        rows = films.rows(split)
        print(args.teacher, split, macro_scores(logits[np.searchsorted(known, rows)], films, rows))
    write_soft_targets(args.teacher, films, logits[np.searchsorted(known, films.rows("train"))])


def write_soft_targets(teacher: str, films: Films, logits: NDArray[np.float32]) -> None:
    """Write logits of the training films, float16 N×G, and their ids, one a line in the same order."""
    TARGETS.mkdir(exist_ok=True)
    order, listed = TARGETS / "films.txt", "\n".join(_ids(films)) + "\n"
    if order.exists() and order.read_text(encoding="utf-8") != listed:
        raise SystemExit(f"{order} lists other films than these: delete {TARGETS.name}/ to write all teachers again")
    order.write_text(listed, encoding="utf-8")
    np.save(TARGETS / f"{teacher}.npy", logits.astype(np.float16))


def read_soft_targets(films: Films, teachers: list[str]) -> NDArray[np.float32]:
    """Mean probabilities of teachers for the training films, N×G, matched by film id."""
    order = {film: row for row, film in enumerate((TARGETS / "films.txt").read_text(encoding="utf-8").split())}
    missing = [film for film in _ids(films) if film not in order]
    if missing:
        raise SystemExit(f"{len(missing)} training films have no soft targets, {missing[0]} for one: write them again")
    rows = [order[film] for film in _ids(films)]
    logits = [np.load(TARGETS / f"{teacher}.npy")[rows].astype(np.float32) for teacher in teachers]
    return np.mean([1 / (1 + np.exp(-values)) for values in logits], 0)


def _ids(films: Films) -> list[str]:
    return [films.ids[row] for row in films.rows("train")]


def _bundled(films: Films, threads: int) -> NDArray[np.float32]:
    rows = np.flatnonzero(films.split != "test")
    answers = onesheet.load(threads=threads).score_posters(films.posters, rows)
    return np.concatenate([scores.logits for scores in answers])


if __name__ == "__main__":
    main()
