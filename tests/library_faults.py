"""Rounds in which writing NFO files goes wrong: kills, another program that writes, a full disk, a read-only disk.

As a script it makes many rounds and reports what they showed: `python tests/library_faults.py --rounds 1000`. After a
round every byte must still be there: what a file had before the round in its place or in a backup that undo takes back,
and what another program wrote in its place or in a file that ends in `.kept`. As root, a full and a read-only disk are
real file systems in memory; otherwise those rounds are left out and counted.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from onesheet.apps.library.backups import BACKUPS, apply_changes, undo_write
from onesheet.apps.library.changes import Change
from onesheet.data.film_library.films import LibraryFilm
from onesheet.errors import LibraryError, OnesheetError

KINDS = ("kill", "writer", "kill and writer", "full disk", "read-only disk")
FILM = LibraryFilm("A", "A", None, None, None, Path("A.nfo"))


class Player(threading.Thread):
    """Another program, which adds to NFO files at random moments, in place or by renaming."""

    def __init__(self, paths: list[Path], chance: random.Random) -> None:
        super().__init__(daemon=True)
        self._paths, self._chance = paths, chance
        self.ended = threading.Event()
        self.saved: dict[Path, bytes] = {}

    def run(self) -> None:
        number = 0
        while not self.ended.wait(self._chance.uniform(0, 0.003)):
            path = self._chance.choice(self._paths)
            with suppress(FileNotFoundError):
                number += 1
                data = path.read_bytes() + f"<!-- player {number} -->\n".encode()
                if self._chance.random() < 0.5:
                    path.write_bytes(data)
                else:
                    new = path.with_name(f"{path.name}.new")
                    new.write_bytes(data)
                    new.replace(path)
                self.saved[path] = data


def work(root: Path, plan: list[Change], *, undo: bool) -> None:
    """Write or undo; what cannot be done is no fault."""
    with suppress(OnesheetError, OSError):
        if undo:
            undo_write(root)
        else:
            list(apply_changes(root, plan))


def forked(root: Path, plan: list[Change], *, undo: bool, after: float | None) -> None:
    """Work in a fork, which may be killed after a time."""
    child = os.fork()
    if not child:
        work(root, plan, undo=undo)
        os._exit(0)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def round_of(kind: str, seed: int, base: Path) -> None:
    """One round.

    Raises:
        AssertionError: bytes were lost.
    """
    chance, root = random.Random(seed), base / f"round-{seed}"
    root.mkdir()
    size = chance.choice([32, 40, 64])  # KiB of a disk that gets full
    if "disk" in kind:
        mount = [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            f"size={size}k" if kind == "full disk" else "size=4m",
            "tmpfs",
            str(root),
        ]
        subprocess.run(mount, check=True)
    try:
        _faulty(kind, chance, root)
    finally:
        if "disk" in kind:
            subprocess.run(["umount", str(root)], check=True)
        shutil.rmtree(root)


def _faulty(kind: str, chance: random.Random, root: Path) -> None:
    before: dict[Path, bytes] = {}
    for number in range(chance.randint(2, 5)):
        path = root / f"{number}.nfo"
        before[path] = f"<movie>{number}{'x' * chance.randint(0, 3000)}</movie>\n".encode()
        path.write_bytes(before[path])
    after = {path: data.replace(b"</movie>", b"<genre>War</genre></movie>") for path, data in before.items()}
    plan = [Change(FILM, path, before[path], after[path], "utf-8") for path in before]
    undo = chance.random() < 0.5
    if undo:
        work(root, plan, undo=False)
    if kind == "read-only disk":
        subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True)
    if kind == "full disk":
        filled = root / "filled"
        with suppress(OSError), filled.open("wb") as file:
            file.write(bytes(chance.randint(0, 60_000)))
    player = Player(list(before), chance)
    if "writer" in kind:
        player.start()
    forked(root, plan, undo=undo, after=chance.uniform(0, 0.05) if "kill" in kind else None)
    if "writer" in kind:
        player.ended.set()
        player.join()
    if kind == "read-only disk":
        subprocess.run(["mount", "-o", "remount,rw", str(root)], check=True)
    (root / "filled").unlink(missing_ok=True)
    _check(root, before, after, player.saved)
    if not player.saved and kind != "full disk":  # where undo may want more room than there is
        assert {path: path.read_bytes() for path in before} == before, "undo has not restored all"


def _check(root: Path, before: dict[Path, bytes], after: dict[Path, bytes], saved: dict[Path, bytes]) -> None:
    """Nothing is lost, neither before nor after another undo."""
    with suppress(LibraryError):  # nothing to undo
        undo_write(root)
    backups = {path.read_bytes() for path in (root / BACKUPS).rglob("*") if path.suffix in (".backup", ".kept")}
    for path, old in before.items():
        now = path.read_bytes()
        if path in saved:
            assert now == saved[path] or saved[path] in backups, f"{path.name}: another program's bytes are lost"
        else:
            assert now in (old, after[path]), f"{path.name} is neither old nor new: {now[-80:]!r}"
        assert now.startswith(old[: -len(b"</movie>\n")]) or old in backups, f"{path.name}: the old bytes are lost"


def main() -> int:
    """Make the rounds and print a line for each kind."""
    parser = argparse.ArgumentParser(description="Write NFO files while something goes wrong.")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    arguments = parser.parse_args()
    made, failed, left_out = Counter[str](), 0, 0
    with tempfile.TemporaryDirectory(prefix="onesheet-faults-") as base:
        for seed in range(arguments.seed, arguments.seed + arguments.rounds):
            kind = KINDS[seed % len(KINDS)]
            if "disk" in kind and os.geteuid():
                left_out += 1
                continue
            try:
                round_of(kind, seed, Path(base))
                made[kind] += 1
            except AssertionError as error:
                failed += 1
                print(f"{kind}: round {seed} failed: {error}", flush=True)
    for kind, count in made.items():
        print(f"{kind}: {count} rounds without a lost byte")
    if left_out:
        print(f"left out: {left_out} rounds with a disk of their own, which only root may mount")
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
