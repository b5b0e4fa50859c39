"""Fine-tuning, or a head on a frozen backbone, against Keras on TensorFlow as the reference notebooks do it.

python benchmarks/against_keras.py full DATA BACKBONE OUT --keras PYTHON [--posters N]
python benchmarks/against_keras.py head DATA BACKBONE OUT --keras PYTHON [--posters N] [--keras-epochs N]

PYTHON: the interpreter of an environment with tensorflow and pillow. `full` compares posters/s of training; `head`
the whole time of 40 epochs from files to the last epoch, ours with packing, Keras' extrapolated from its first
epochs: the first, and the median of the others for the rest. Each has the machine to itself and chooses arithmetic
and threads as it does by default.
"""

import csv
import json
import shutil
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from material import SIZE, jpegs, read, to_tune
from ratio import arguments, at_least, in_turn, load_now, plain_environment, quotients, report, row, seconds, spread
from tuning import VALIDATION, pipeline_rate, tuned

from onesheet.data import Catalogue
from onesheet.packed import Split, pack
from onesheet.training import TrainConfig, fit
from onesheet.training.device import arithmetic

EPOCHS = 40
KERAS = Path(__file__).with_name("keras_reference.py")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("tune", choices=("full", "head"))
    parser.add_argument("data", type=Path)
    parser.add_argument("backbone", help="folder of a pretrained MobileNetV2")
    parser.add_argument("out", type=Path)
    parser.add_argument("--keras", required=True, metavar="PYTHON")
    parser.add_argument("--posters", type=int, default=1280, help="posters to train on")
    parser.add_argument("--keras-epochs", type=int, default=3, help="epochs that Keras runs, 2 or more")
    given = parser.parse_args()
    load = load_now()
    given.out.mkdir(parents=True, exist_ok=True)
    catalogue = read(given.data)
    catalogue = Catalogue(tuple(jpegs(catalogue)), catalogue.genres)
    validation = VALIDATION if given.tune == "full" else max(VALIDATION, given.posters // 5)
    parts = to_tune(catalogue, train=given.posters, validation=validation)
    table = given.out / "keras.csv"
    write_table(table, parts, with_validation=given.tune == "head")

    def keras() -> dict[str, Any]:
        command = [given.keras, str(KERAS), "train", str(table), given.tune, "--epochs", str(given.keras_epochs)]
        answer = subprocess.run(command, capture_output=True, text=True, env=plain_environment())
        if answer.returncode:
            sys.exit(answer.stderr)
        return dict(json.loads(answer.stdout.splitlines()[-1]))

    measure = rates if given.tune == "full" else whole_times
    line, versions = measure(parts, given.backbone, given.out, keras, given.repeats)
    report([line], repeats=given.repeats, packages=("torch", "lightning"), load=load, notes=versions)


def write_table(path: Path, parts: Split, *, with_validation: bool) -> None:
    labels = parts.catalogue.labels.astype(int).tolist()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for film, part, own in zip(parts.catalogue.films, parts.splits.tolist(), labels, strict=True):
            if with_validation or part == "train":
                writer.writerow((str(Path(film.poster).resolve()), part, "".join(map(str, own))))


def rates(parts: Split, backbone: str, out: Path, keras: Any, repeats: int) -> tuple[str, str]:
    """Posters/s of training steps."""
    packed = pack(parts, out / f"packed-{len(parts.catalogue)}", size=SIZE)
    config, outputs = replace(tuned(f"hf:{backbone}"), levels=False), []

    def theirs() -> float:
        outputs.append(keras())
        return outputs[-1]["train"] / statistics.median(outputs[-1]["epoch_seconds"][1:])

    mine, other = in_turn(lambda: pipeline_rate(config, packed, out / "run-against-keras"), theirs, repeats=repeats)
    ratio = quotients(mine, other)
    line = row(
        f"fine-tuning MobileNetV2 with the usual head, {arithmetic('auto')}",
        spread(mine, "posters/s"),
        f"Keras, float32: {spread(other, 'posters/s')}",
        ratio,
        "≥ 1.5×",
        at_least(ratio, 1.5),
    )
    return line, versions_of(outputs[-1])


def whole_times(parts: Split, backbone: str, out: Path, keras: Any, repeats: int) -> tuple[str, str]:
    """Seconds from files to the last epoch's weights."""
    config, outputs = TrainConfig(model=f"hf:{backbone}", tune="head", levels=False, epochs=EPOCHS), []
    folder = out / "head-against-keras"

    def run() -> None:
        packed = pack(parts, folder / "packed", size=SIZE)
        fit(config, packed, folder=folder / "run")

    def ours() -> float:
        shutil.rmtree(folder, ignore_errors=True)  # with the features that the store keeps
        return seconds(run)

    def theirs() -> float:
        outputs.append(keras())
        first, *later = outputs[-1]["epoch_seconds"]
        return first + (EPOCHS - 1) * statistics.median(later)

    try:
        mine, other = in_turn(ours, theirs, repeats=repeats)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    ratio = quotients(other, mine)
    line = row(
        f"frozen backbone, {EPOCHS} epochs, {len(parts.catalogue):,} posters, whole time",
        spread(mine, "s"),
        f"Keras, extrapolated from {len(outputs[-1]['epoch_seconds'])} epochs: {spread(other, 's')}",
        ratio,
        "≥ 20×",
        at_least(ratio, 20),
    )
    return line, versions_of(outputs[-1])


def versions_of(outputs: dict[str, Any]) -> str:
    return f"TensorFlow {outputs['tensorflow']}, Keras {outputs['keras']}."


if __name__ == "__main__":
    main()
