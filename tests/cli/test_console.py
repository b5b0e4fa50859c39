from __future__ import annotations

from types import SimpleNamespace

import pytest

from onesheet.cli import console
from onesheet.cli.console import Console


def test_without_a_terminal_a_line_now_and_then_says_how_long_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    with Console() as shown:
        for clock.seconds, done in ((1.0, 100), (11.0, 200), (21.0, 300), (26.0, 350), (41.0, 500), (99.0, 1000)):
            shown.progress("posters", done, 1000, "3 unreadable")
    assert capsys.readouterr().err.splitlines() == [  # what was done before the first look is no measure of the pace
        "  posters: 300 of 1,000, 70 s left  3 unreadable",
        "  posters: 500 of 1,000, 50 s left  3 unreadable",
    ]


def test_where_nothing_was_done_nobody_knows_how_long_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    with Console() as shown:
        for clock.seconds in (0.0, 20.0):
            shown.progress("shards", 2, 7)
    assert capsys.readouterr().err == "  shards: 2 of 7\n"
