from __future__ import annotations

from pathlib import Path

import pytest

from onesheet import threads
from onesheet.errors import ConfigError
from onesheet.threads import thread_count


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),
        ("250000 100000\n", 3),
        ("9900000 100000\n", 8),
        ("max 100000\n", 8),
    ],
)
def test_a_container_s_limit_counts_where_it_is_below_the_processors(
    limit: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "cpu.max").write_text(limit)
    (tmp_path / "cgroup").write_text("4:memory:/x\n0::/a/b\n")
    monkeypatch.setattr(threads, "CGROUPS", tmp_path)
    monkeypatch.setattr(threads, "SELF_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert thread_count(None) == expected
    assert thread_count(5) == 5


def test_without_control_groups_it_is_the_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "SELF_CGROUP", tmp_path / "none")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert thread_count(None) == 3
    with pytest.raises(ConfigError, match="at least 1; got 0"):
        thread_count(0)
