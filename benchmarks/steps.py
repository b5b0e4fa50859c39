"""Wall time and peak memory of each step, as a user runs them.

python benchmarks/steps.py DATA BACKBONE OUT [OPTION OF FIT…], as --tune head
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="folder with train.csv, Images/ and split.csv")
    parser.add_argument("backbone", help="folder of a pretrained backbone")
    parser.add_argument("out", type=Path)
    given, options = parser.parse_known_args()
    out = given.out
    out.mkdir(parents=True, exist_ok=True)
    posters = [given.data, "--min-films", "40", "--split", f"{given.data}/split.csv"]
    findings = ["--findings", f"{out}/audit/findings.csv"]
    fit = ["fit", f"{out}/packed", "--model", f"hf:{given.backbone}", *options, "--out", f"{out}/run"]
    steps = [
        ["audit", *posters[:3], "--out", f"{out}/audit"],
        ["split", *posters, *findings, "--out", f"{out}/split.csv"],
        ["pack", *posters, *findings, "--out", f"{out}/packed"],
        fit,
        ["export", f"{out}/run", "--out", f"{out}/genres.onnx"],
        ["evaluate", f"{out}/genres.onnx", f"{out}/packed", "--run", f"{out}/run", *findings, "--out", f"{out}/report"],
        ["predict", f"{given.data}/Images", "--model", f"{out}/genres.onnx", "--csv"],
    ]
    onesheet = str(Path(sys.executable).with_name("onesheet"))
    print("| step | wall seconds | CPU seconds | peak memory, MB |\n|---|---|---|---|")
    for step in steps:
        started = time.perf_counter()
        with (out / f"{step[0]}.log").open("wb") as log:
            process = subprocess.Popen([onesheet, *step], stdout=log, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
        if os.waitstatus_to_exitcode(status) > 1:
            sys.exit(f"{step[0]} failed; see {out / step[0]}.log")
        seconds = time.perf_counter() - started
        cpu = usage.ru_utime + usage.ru_stime
        print(f"| {step[0]} | {seconds:.1f} | {cpu:.1f} | {usage.ru_maxrss / 1024:.0f} |", flush=True)


if __name__ == "__main__":
    main()
