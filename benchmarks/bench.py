"""Every benchmark of benchmarks/README.md in turn, into OUT/results.md.

python benchmarks/bench.py DATA BACKBONE OUT [--keras PYTHON] [--run RUN] [--repeats N] [--rows N]

Without --keras the lines against Keras are left out and listed. A line that fails does not stop the others; the
status is 1 then.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import torch
from material import jpegs, read
from ratio import HEADING, arguments


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("backbone")
    parser.add_argument("out", type=Path)
    parser.add_argument("--keras", metavar="PYTHON", help="interpreter of an environment with tensorflow and pillow")
    parser.add_argument("--run", metavar="RUN", help="a finished run, to compare precisions on")
    parser.add_argument("--rows", default="1000000", help="rows of the catalogue that memory is watched on")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    data, backbone, out = str(given.data), given.backbone, str(given.out)
    poster = jpegs(read(given.data))[0].poster
    keras = ["--keras", given.keras or ""]
    lines = [
        ["pack_rate.py", data, out],
        ["decoders.py", data],
        ["tuning.py", data, backbone, out],
        ["against_keras.py", "full", data, backbone, out, *keras],
        ["against_keras.py", "head", data, backbone, out, *keras],
        ["predict_rate.py", str(Path(poster).parent)],
        ["cold_start.py", poster, out, *keras],
        ["precisions.py", data, backbone, f"{out}/precisions", *(["--run", given.run] if given.run else [])],
        ["near_duplicates.py", data],
        ["bootstrap_draws.py"],
        ["memory.py", out, "--rows", given.rows, "--backbone", backbone],
        ["gpu.py", out],
    ]
    shutil.rmtree(given.out / "precisions", ignore_errors=True)  # else its head of an earlier day is taken
    rows, notes, failed = [], [], False
    for script, *options in lines:
        if "--keras" in options and not given.keras:
            notes.append(f"{script}: left out, no --keras")
            continue
        if script == "gpu.py" and not torch.cuda.is_available():
            notes.append(f"{script}: left out, no GPU that torch can use")
            continue
        print(f"{script} {' '.join(options)}", file=sys.stderr, flush=True)
        repeats = [] if script == "memory.py" else ["--repeats", str(given.repeats)]
        command = [sys.executable, str(Path(__file__).with_name(script)), *options, *repeats]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if answer.returncode:
            notes.append(f"{script}: no rows, status {answer.returncode}")
            failed = True
            continue
        found, _, rest = answer.stdout.removeprefix(f"{HEADING}\n").partition("\n\n")
        rows.append(found)
        notes.append(f"{script}: {rest.strip()}")
        write(given.out / "results.md", rows, notes)
    write(given.out / "results.md", rows, notes)
    print((given.out / "results.md").read_text(encoding="utf-8"))
    sys.exit(failed)


def write(path: Path, rows: list[str], notes: list[str]) -> None:
    path.write_text("\n".join([HEADING, *rows, "", *(f"{note}\n" for note in notes)]), encoding="utf-8")


if __name__ == "__main__":
    main()
