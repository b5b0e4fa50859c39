"""axe-core, which finds what keeps people from using a page, in a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import pytest

NPM = shutil.which("npm")
RUN = """async () => (await axe.run(document)).violations.map(
  ({ id, impact, nodes }) => [impact, id, nodes[0].html.slice(0, 120), nodes[0].failureSummary])"""


def serious(page: Any) -> list[Any]:
    """What a page that has the script is found to do seriously or critically wrong."""
    return [one for one in page.evaluate(RUN) if one[0] in ("serious", "critical")]


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, from npm."""
    if not NPM and "CI" not in os.environ:
        pytest.skip("no npm here; apt-get install npm")
    folder = tmp_path_factory.mktemp("axe")
    assert NPM, "no npm here; apt-get install npm"
    installed = subprocess.run(
        [NPM, "install", "--prefix", str(folder), "axe-core@4", "--no-audit", "--no-fund"],
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode:
        stop = pytest.fail if "CI" in os.environ else pytest.skip
        stop(f"npm cannot install axe-core: {installed.stderr.strip().splitlines()[-1]}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
