"""`onesheet doctor`: what is installed, what will be used, and what is missing."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from onesheet.cli.console import print_table

if TYPE_CHECKING:
    from onesheet.doctor import Checkup, Extra


def add_commands(commands: Any) -> None:
    """Add `doctor`."""
    parser = commands.add_parser(
        "doctor",
        help="what is installed, what will be used, and what is missing",
        description="What is installed, which device and threads will be used, whether the bundled model works, "
        "and what is missing. Exit 0 when predicting works.",
        allow_abbrev=False,
    )
    parser.add_argument("--device", action="store_true", help="ask torch what it trains on (takes some seconds)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Examine and print; 2 if predicting does not work."""
    from onesheet.doctor import examine

    checkup = examine(device=arguments.device)
    if arguments.json:
        print(json.dumps(checkup.to_dict(), indent=1))
    else:
        _print(checkup)
    return 2 if checkup.problem else 0


def _print(checkup: Checkup) -> None:
    print(f"onesheet {checkup.versions['onesheet']}, Python {checkup.versions['python']}, {checkup.system}")
    print(f"predicts on: {checkup.predicts_on}, {checkup.threads} threads")
    print(f"trains on:   {_training(checkup)}")
    print(f"model:       {checkup.model}")
    answers = f"knows {checkup.genres} genres; loaded and answered in {checkup.model_seconds:.1f} s"
    print(f"             {checkup.problem or answers}")
    print(f"cache:       {checkup.cache}")
    rows = [_row(extra) for extra in (checkup.core, *checkup.extras)]
    print_table("", ["extra", "", "installed", "missing"], rows, left=True)


def _row(extra: Extra) -> list[Any]:
    from rich.text import Text

    found = ", ".join(f"{name} {version}" for name, version in extra.packages.items() if version)
    if not extra.missing:
        return [extra.name or "(core)", Text("complete", style="green"), found, ""]
    state = Text("incomplete" if found else "absent", style="red" if not extra.name else "yellow")
    return [extra.name or "(core)", state, found, f"{', '.join(extra.missing)}: {extra.cure}"]


def _training(checkup: Checkup) -> str:
    if checkup.torch_seconds is not None:
        return f"{checkup.trains_on}; importing torch took {checkup.torch_seconds:.1f} s"
    train = next((extra for extra in checkup.extras if extra.name == "train"), None)
    if train and train.missing:
        return f"nothing: {', '.join(train.missing)} missing; run: {train.cure}"
    return "run: onesheet doctor --device (it imports torch)"
