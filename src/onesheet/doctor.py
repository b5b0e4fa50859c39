"""examine: what is installed, what will be used, and what is missing."""

from __future__ import annotations

import platform
import re
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Any

import onesheet
from onesheet.data.readers.unpacking import cache_folder
from onesheet.errors import DISTRIBUTION, OnesheetError
from onesheet.threads import thread_count

CONTRIBUTING = ("dev", "docs")  # extras for those who work on onesheet itself
_NAME = re.compile(r"[\w.-]+")
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w.-]+)["']""")


@dataclass(frozen=True, slots=True)
class Extra:
    """One extra of onesheet.

    Attributes:
        name: as in `pip install 'onesheet-genres[NAME]'`; "" is the core.
        packages: package -> its version, None where it is not installed.
    """

    name: str
    packages: dict[str, str | None]

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages that are not installed."""
        return tuple(name for name, found in self.packages.items() if found is None)

    @property
    def cure(self) -> str:
        """The command that installs what is missing; "" where nothing is."""
        package = f"'{DISTRIBUTION}[{self.name}]'" if self.name else DISTRIBUTION
        return f"pip install {package}" if self.missing else ""


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was found.

    Attributes:
        versions: "onesheet" and "python" -> version.
        system: the operating system and the processor.
        core: the packages without which nothing works.
        extras: the others, by extra.
        threads: posters decoded and scored at the same time, and torch's threads in training.
        predicts_on: the device that predicts.
        trains_on: the device that trains and its arithmetic, or why none does; "" without measurement or
            torch.
        torch_seconds: what importing torch took; None where it was not measured.
        model: the bundled model.
        genres: how many genres it knows; 0 where it does not load.
        model_seconds: what loading it and answering once took.
        cache: the folder of posters that are no files of their own; it need not be there.
        problem: what keeps the core from working; "" where it works.
    """

    versions: dict[str, str]
    system: str
    core: Extra
    extras: tuple[Extra, ...]
    threads: int
    predicts_on: str
    trains_on: str
    torch_seconds: float | None
    model: str
    genres: int
    model_seconds: float
    cache: str
    problem: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the attributes; each extra as {"packages", "missing", "cure"}."""
        extras = {extra.name: _plain(extra) for extra in self.extras}
        return asdict(self) | {"core": _plain(self.core), "extras": extras}


def examine(*, device: bool = False) -> Checkup:
    """Look at this installation. The bundled model answers once; nothing is written.

    Args:
        device: also ask torch what it would train on, which takes the seconds that importing it takes.
    """
    core, *extras = _extras()
    begun = time.perf_counter()
    genres, problem = _answer() if not core.missing else (0, f"not installed: {', '.join(core.missing)}; {core.cure}")
    model_seconds = time.perf_counter() - begun
    trains_on, torch_seconds = _training_device() if device and _version("torch") else ("", None)
    return Checkup(
        versions={"onesheet": onesheet.__version__, "python": platform.python_version()},
        system=f"{platform.system()} {platform.release()} on {platform.machine()}",
        core=core,
        extras=tuple(extra for extra in extras if extra.name not in CONTRIBUTING),
        threads=thread_count(None),
        predicts_on="processor",
        trains_on=trains_on,
        torch_seconds=torch_seconds,
        model=str(Path(__file__).with_name("predict") / "default.onnx"),
        genres=genres,
        model_seconds=round(model_seconds, 2),
        cache=str(cache_folder()),
        problem=problem,
    )


def _extras() -> list[Extra]:
    """The core and every extra, as the package's own metadata name them."""
    names = ("", *(metadata(DISTRIBUTION).get_all("Provides-Extra") or ()))
    packages: dict[str, dict[str, str | None]] = {name: {} for name in names}
    for requirement in requires(DISTRIBUTION) or ():
        extra, package = _EXTRA.search(requirement), _NAME.match(requirement)
        if package:
            packages[extra[1] if extra else ""][package[0]] = _version(package[0])
    return [Extra(name, packages[name]) for name in names]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _answer() -> tuple[int, str]:
    """The genres that the bundled model knows, and what keeps it from answering."""
    try:
        import numpy as np

        from onesheet.predict import load

        predictor = load(threads=1)
        predictor.score(np.zeros((1, *predictor.card.size, 3), np.uint8))
    except (OnesheetError, ImportError) as error:
        return 0, str(error)
    return len(predictor.genres), ""


def _training_device() -> tuple[str, float]:
    """What torch trains on, in words, and the seconds that importing it took."""
    begun = time.perf_counter()
    try:
        from onesheet.training import device as machine

        device = machine.device()
        text = f"{'processor' if device.type == 'cpu' else device}, {machine.arithmetic('auto')}"
    except (ImportError, OSError) as error:  # a library of the system is missing or of another kind
        text = f"nothing: torch does not load ({error})"
    return text, round(time.perf_counter() - begun, 1)


def _plain(extra: Extra) -> dict[str, Any]:
    return {"packages": extra.packages, "missing": list(extra.missing), "cure": extra.cure}
