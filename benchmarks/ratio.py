"""Two ways of doing one thing, measured in turn in one run on one machine, and printed in one Markdown row."""

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import processor, python_version
from typing import NamedTuple

from onesheet.threads import thread_count

TOLD = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "PYTHONPATH")
HEADING = "| what | ours | against | ratio, median (range) | target | reached |\n|---|---|---|---|---|---|"


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="rounds that count; fewer than 5 only try the script")
    return parser


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turn(*measures: Callable[[], float], repeats: int, warm: bool = True) -> list[list[float]]:
    """Measure A B A B …; a first round warms caches and does not count. Returns each measure's numbers."""
    if repeats < 1:
        sys.exit(f"--repeats must be 1 or more; got {repeats}")
    found: list[list[float]] = [[] for _ in measures]
    for number in range(1 - warm, repeats + 1):
        for numbers, measure in zip(found, measures, strict=True):
            number = measure()
            if number:
                numbers.append(number)
        print(f"round {number} of {repeats}", file=sys.stderr, flush=True)
    return found


def quotients(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """One ratio a round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def spread(numbers: Sequence[float], unit: str = "") -> str:
    """Median and range: "1,790 (1,702–1,811) posters/s"."""
    median, low, high = (_short(value) for value in (statistics.median(numbers), min(numbers), max(numbers)))
    return f"{median} ({low}–{high}){unit and ' ' + unit}"


def row(what: str, ours: str, against: str, ratio: Sequence[float] | None, target: str, reached: bool | str) -> str:
    """One row; `reached` may say more than yes or no; no ratio where there is nothing to compare with."""
    verdict = reached if isinstance(reached, str) else "yes" if reached else "no"
    return f"| {what} | {ours} | {against} | {spread(ratio) if ratio else '–'} | {target} | {verdict} |"


def at_least(ratio: Sequence[float], target: float) -> bool:
    """Whether the median reaches the target."""
    return statistics.median(ratio) >= target


class Load(NamedTuple):
    """What the machine has done up to a moment, in seconds of one core, and the moment.

    Attributes:
        moment: seconds of a clock.
        busy: all processes together.
        own: this process and those that it has waited for.
        stolen: what the host of a virtual machine gave to others.
    """

    moment: float
    busy: float
    own: float
    stolen: float


def load_now() -> Load:
    """To be taken before a benchmark; `machine` says what went on beside it from then on."""
    own = sum(os.times()[:4])
    path = Path("/proc/stat")
    if not path.exists():
        return Load(time.perf_counter(), math.nan, own, math.nan)
    ticks = [int(word) / os.sysconf("SC_CLK_TCK") for word in path.read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _, _, interrupts, soft, stolen = ticks
    return Load(time.perf_counter(), user + nice + system + interrupts + soft, own, stolen)


def report(rows: Iterable[str], *, repeats: int, packages: Sequence[str], load: Load, notes: str = "") -> None:
    """Print the rows, the machine they were measured on, and what else is to be verdict."""
    print(HEADING, *rows, "", machine(repeats=repeats, packages=packages, load=load), sep="\n")
    if notes:
        print(f"\n{notes}")


def machine(*, repeats: int, packages: Sequence[str], load: Load) -> str:
    """Date, processor, cores that this process may use, what else had the machine's since `load`, library versions."""
    versions = [f"Python {python_version()}", *(f"{name} {_version(name)}" for name in packages)]
    now = load_now()
    whole = (now.moment - load.moment) * (os.cpu_count() or 1)
    others = max(0.0, now.busy - load.busy - (now.own - load.own)) / whole
    host = (now.stolen - load.stolen) / whole
    beside = f"{others:.1%} of the machine's time taken by other processes, {host:.1%} by the host"
    where = f"{processor_name()}, {thread_count(None)} cores, {beside}"
    return f"{datetime.now(UTC).date().isoformat()}, {where}; {', '.join(versions)}; {repeats} repeats"


def plain_environment() -> dict[str, str]:
    """For a process to compare with: without what onesheet tells OpenMP and `make bench` tells Python."""
    return {name: value for name, value in os.environ.items() if name not in TOLD}


def processor_name() -> str:
    return next(iter(processor_facts("model name")), processor() or "unknown processor")


def processor_facts(key: str) -> list[str]:
    """What /proc/cpuinfo says of the first core under a key, [] where there is no such file or key."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return [line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key][:1]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
