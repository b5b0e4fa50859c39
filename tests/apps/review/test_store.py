from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from onesheet.apps.review import DecisionStore
from onesheet.errors import ReviewError, StaleDecision


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "decisions.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[DecisionStore]:
    opened = DecisionStore(path)
    yield opened
    opened.close()


def test_a_decision_stands_until_it_is_undone(store: DecisionStore) -> None:
    first = store.decide("a", "accept", genres=("Drama",), version=0)
    second = store.decide("a", "correct", genres=("Comedy", "Horror"), version=first.id)
    other = store.decide("b", "skip", version=0)
    assert store.standing() == {"a": second, "b": other}
    undone = store.undo(second.id)
    assert store.standing() == {"a": first, "b": other}
    store.undo(first.id)
    assert store.standing() == {"b": other} and store.versions()["a"] == undone.id + 1
    history = store.history(last=10)
    assert [(row.film, row.action, row.undoes) for row in reversed(history)] == [
        ("a", "accept", None), ("a", "correct", None), ("b", "skip", None), ("a", "undo", 2), ("a", "undo", 1),
    ]  # fmt: skip
    assert [row.id for row in store.history(last=2)] == [5, 4]


def test_only_what_stands_is_undone(store: DecisionStore) -> None:
    first = store.decide("a", "accept", genres=("Drama",), version=0)
    second = store.decide("a", "skip", version=first.id)
    for decision in (first.id, 99):
        with pytest.raises(StaleDecision, match=rf"decision {decision} is not current"):
            store.undo(decision)
    undone = store.undo(second.id)
    for decision in (second.id, undone.id):
        with pytest.raises(StaleDecision):
            store.undo(decision)
    assert len(store.history(last=9)) == 3


def test_two_tabs_do_not_overwrite_each_other(store: DecisionStore, path: Path) -> None:
    other = DecisionStore(path)
    made = store.decide("a", "accept", genres=("Drama",), version=0)
    with pytest.raises(StaleDecision, match=r"'a' was decided elsewhere meanwhile; look at it again \(version 1\)"):
        other.decide("a", "skip", version=0)
    assert other.standing() == {"a": made}
    other.close()


def test_of_many_at_once_one_wins(store: DecisionStore, path: Path) -> None:
    stores = [store, DecisionStore(path)]

    def decide(number: int) -> bool:
        with suppress(StaleDecision):
            stores[number % 2].decide("a", "skip", version=0)
            return True
        return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(decide, range(24))) == 1
    assert len(store.history(last=99)) == 1
    stores[1].close()


def test_history_is_never_changed(store: DecisionStore, path: Path) -> None:
    store.decide("a", "skip", version=0)
    for statement in ("UPDATE history SET film = 'b'", "DELETE FROM history"):
        with sqlite3.connect(path) as database, pytest.raises(sqlite3.IntegrityError, match="never changed"):
            database.execute(statement)
    assert [row.film for row in store.history(last=9)] == ["a"]


def test_a_killed_writer_loses_nothing_it_has_decided(path: Path) -> None:
    code = (
        "import sys\n"
        "from onesheet.apps.review import DecisionStore\n"
        "store, version = DecisionStore(sys.argv[1]), 0\n"
        "while True:\n"
        "    version = store.decide('film', 'correct', genres=('Drama',), version=version).id\n"
        "    print(version, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    told = [process.stdout.readline() for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    told += process.stdout.readlines()
    process.wait()
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store = DecisionStore(path)
    kept = [row.id for row in store.history(last=100_000)]
    assert {int(line) for line in told if line.endswith("\n")} <= set(kept) and len(kept) >= 20
    assert store.decide("film", "skip", version=kept[0]).id == kept[0] + 1  # and it goes on
    store.close()


@pytest.mark.parametrize("data", [b"film,genres\n" * 200, None])
def test_what_is_no_decisions_file_is_left_alone(data: bytes | None, path: Path) -> None:
    if data is None:
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE mine (x)")
        data = path.read_bytes()
    path.write_bytes(data)
    with pytest.raises(ReviewError, match="--decisions"):
        DecisionStore(path)
    assert path.read_bytes() == data


def test_a_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match=r"unable to open database file; name another file with --decisions"):
        DecisionStore(tmp_path / "nowhere" / "decisions.sqlite")
