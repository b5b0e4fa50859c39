"""Steps killed at random moments and started again: nothing lost, nothing doubled, no half file taken for whole.

As a script it makes many trials and says what they showed: `python tests/kills.py --trials 200`. A trial kills a step
up to three times: just before its k-th operation on files (in the middle of it, where that writes pixels) or, after the
first time, at a random moment too. After each kill it looks at what is there; in the end it lets the step finish and
compares with a step that was never killed. Steps are forks of one process that has imported everything.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

os.environ["OMP_NUM_THREADS"] = "1"  # forks of a process with more of them would hang

from forks import forked
from kill_steps import MOST_KILLS, STEPS, Step

# Of a hundred trials; an export takes as long as ten packs.
SHARES = {"pack": 30, "review": 30, "batch": 24, "fit": 10, "fit-backbone": 2, "export": 4}


@dataclass
class Tally:
    """What the trials of a step showed."""

    trials: int = 0
    kills: int = 0
    late: int = 0
    places: frozenset[int] = frozenset()
    operations: int = 0


@contextmanager
def prepared(name: str) -> Iterator[tuple[Step, Path, Tally, float]]:
    """A step, where it was done undisturbed, its operations on files, and its seconds."""
    with (
        tempfile.TemporaryDirectory(prefix="onesheet-kills-") as made,
        patch.dict(os.environ, TMPDIR=made),  # what killed steps leave goes with it
        patch.object(tempfile, "tempdir", made),
    ):
        base = Path(made)
        step, reference = STEPS[name](base), base / "reference"
        step.prepare()
        reference.mkdir()
        step.begin(reference, random.Random(0))
        began = time.monotonic()
        _, operations = forked(lambda counted: step.work(reference, counted))
        yield step, reference, Tally(operations=operations), time.monotonic() - began


def attempt(step: Step, reference: Path, tally: Tally, seconds: float, *, seed: int) -> None:
    """One trial.

    Raises:
        AssertionError: something was lost, doubled, or taken for whole.
    """
    chance, folder = random.Random(seed), step.base / f"trial-{seed}"
    folder.mkdir()
    step.begin(folder, chance)
    for kill in range(chance.randint(1, MOST_KILLS)):
        if not kill or chance.random() < 0.5:
            die_at = chance.randint(1, tally.operations)
            killed, _ = forked(lambda counted: step.work(folder, counted), die_at=die_at)
            tally.places |= {die_at} if killed else set()
        else:
            killed, _ = forked(lambda counted: step.work(folder, counted), after=chance.uniform(0, seconds))
        tally.kills += killed
        tally.late += not killed
        forked(lambda _: step.look(folder, reference))
    forked(lambda counted: step.work(folder, counted))
    forked(lambda _: step.compare(folder, reference))
    tally.trials += 1
    shutil.rmtree(folder)


def main() -> int:
    """Make the trials and print a line for each step."""
    parser = argparse.ArgumentParser(description="Kill steps at random moments.")
    parser.add_argument("--trials", type=int, default=200, help="in all, shared among the steps")
    parser.add_argument("--step", choices=STEPS, help="this one alone")
    parser.add_argument("--seed", type=int, default=0, help="of the first trial")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    sys.dont_write_bytecode = True  # else the first fork makes operations on files that no other does
    failed = 0
    for name in [arguments.step] if arguments.step else STEPS:
        trials = arguments.trials if arguments.step else -(-arguments.trials * SHARES[name] // 100)
        with prepared(name) as (step, reference, tally, seconds):
            for seed in range(arguments.seed, arguments.seed + trials):
                try:
                    attempt(step, reference, tally, seconds, seed=seed)
                except AssertionError as error:
                    failed += 1
                    print(f"{name}: trial {seed} failed: {error}", flush=True)
        print(
            f"{name}: {tally.trials} of {trials} trials right; {tally.kills} kills, at {len(tally.places)} of "
            f"{tally.operations} operations on files and at random times ({tally.late} came after the end)",
            flush=True,
        )
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
