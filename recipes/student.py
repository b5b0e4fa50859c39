"""Distil one student from the committed soft targets and the labels; started again, it resumes.

python recipes/student.py --data DATA --store STORE --backbones BACKBONES --minutes 600
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from films import load_films
from networks import NETWORKS, build, load_8_bits, load_model_file, save_8_bits
from soft_targets import TARGETS, read_soft_targets
from training import LEARNING_RATE, NORM_POSTERS, macro_scores, mix_targets, score, train


def main() -> None:
    """Run the command line."""
    teachers = sorted(path.stem for path in TARGETS.glob("*.npy"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, required=True, help="folder of packed posters and checkpoints")
    parser.add_argument("--data", type=Path, help="folder of chu2017, imdb and more; needed once, to pack")
    parser.add_argument("--network", choices=NETWORKS, default="mobilenet")
    parser.add_argument("--backbones", type=Path, help="folder of mobilenet_v2_1.0_224 and xception")
    parser.add_argument("--teachers", nargs="+", default=teachers, help=f"default: {' '.join(teachers)}")
    parser.add_argument("--minutes", type=float, default=600, help="training time, over all runs (default: 600)")
    parser.add_argument("--weights", type=Path, help="start from these weights in 8 bits, or from a model file")
    parser.add_argument("--learning-rate", type=float, default=LEARNING_RATE, help=f"default: {LEARNING_RATE}")
    parser.add_argument("--threads", type=int, default=1, help="default: 1")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    films = load_films(args.store, args.data)
    network = build(args.network, len(films.genres), args.backbones)
    if args.weights and args.weights.suffix == ".onnx":
        load_model_file(network, args.weights, films.posters[films.rows("train")[:: len(films.ids) // NORM_POSTERS]])
    elif args.weights:
        load_8_bits(network, args.weights)
    targets = mix_targets(films, read_soft_targets(films, args.teachers))
    folder = args.store / f"student-{args.network}"
    options = {"head_first": args.weights is None, "learning_rate": args.learning_rate}
    train(network, films, targets, folder=folder, minutes=args.minutes, **options)
    save_8_bits(network, Path(__file__).parent / "weights" / f"{folder.name}.safetensors")
    rows = films.rows("validation")
    print(macro_scores(score(network, films.posters, rows), films, rows))


if __name__ == "__main__":
    main()
