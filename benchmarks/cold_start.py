"""The first prediction from a shell, wall time, against a script that imports Keras, loads a model and predicts.

python benchmarks/cold_start.py POSTER OUT --keras PYTHON [--model FILE]

Every call is a new process. The files are in the disk cache by then: a first call after the machine's start is
slower, for both.
"""

import statistics
import subprocess
import sys
from pathlib import Path

from ratio import arguments, at_least, in_turn, load_now, plain_environment, quotients, report, row, seconds, spread

from onesheet.predict import DEFAULT_MODEL

KERAS = Path(__file__).with_name("keras_reference.py")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("poster")
    parser.add_argument("out", type=Path)
    parser.add_argument("--keras", required=True, metavar="PYTHON")
    parser.add_argument("--model", default=str(DEFAULT_MODEL))
    given = parser.parse_args()
    load = load_now()
    given.out.mkdir(parents=True, exist_ok=True)
    keras_model = str(given.out / "reference.keras")
    call([given.keras, str(KERAS), "save", keras_model])
    command = str(Path(sys.executable).with_name("onesheet"))
    mine, theirs = in_turn(
        lambda: seconds(lambda: call([command, "predict", given.poster, "--model", given.model])),
        lambda: seconds(lambda: call([given.keras, str(KERAS), "predict", keras_model, given.poster])),
        repeats=given.repeats,
    )
    ratio = quotients(theirs, mine)
    line = row(
        "first prediction from a shell",
        spread(mine, "s"),
        f"Keras script: {spread(theirs, 's')}",
        ratio,
        "≥ 8×, and ≤ 1.0 s",
        at_least(ratio, 8) and statistics.median(mine) <= 1,
    )
    report([line], repeats=given.repeats, packages=("onnxruntime", "numpy"), load=load)


def call(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=plain_environment())


if __name__ == "__main__":
    main()
