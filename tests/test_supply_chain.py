"""The audit and the bill of materials."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def audit() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("audit", str(SCRIPTS / "audit"))
    spec = importlib.util.spec_from_loader("audit", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_what_is_not_as_locked_is_found(audit: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pins = {"numpy": "0.1", "no-such-package": "1", "pytest": version("pytest")}
    monkeypatch.setattr(audit, "locked", lambda: pins)
    wrong = audit.findings()
    assert any(line.startswith("numpy is ") and "locked at 0.1" in line for line in wrong)
    assert any(line.startswith("no-such-package 1 is locked and not installed") for line in wrong)
    assert not any(line.startswith("pytest") for line in wrong)
    assert audit.main() == 1


@pytest.mark.parametrize("named", ["AGPL-3.0-only", "GNU General Public License v3", "GPL-2.0", "", "Proprietary"])
def test_licences_that_forbid_or_say_nothing_are_found(
    named: str, audit: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "locked", lambda: {"pytest": version("pytest")})
    monkeypatch.setattr(audit, "licence", lambda found: named)
    assert any(f"pytest has the licence {named or 'unknown'!r}" in line for line in audit.findings())


def test_every_package_that_is_locked_has_a_licence_that_permits(audit: ModuleType) -> None:
    assert not [line for line in audit.findings() if "has the licence" in line]


def test_a_service_that_cannot_be_reached_is_said(
    audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "pip-audit"
    monkeypatch.setattr(audit, "PIP_AUDIT", script)
    assert audit.vulnerabilities()[1].startswith("pip-audit is not here")
    script.write_text("#!/bin/sh\necho ConnectionError >&2\nexit 1\n", encoding="utf-8")
    script.chmod(0o755)
    known, why_not = audit.vulnerabilities()
    assert not known and why_not.startswith("the vulnerability service cannot be reached")
    bad = {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1"}]}
    said = {"dependencies": [bad, {"name": "b", "skip_reason": "?"}]}
    script.write_text(f"#!/bin/sh\necho '{json.dumps(said)}'\nexit 1\n", encoding="utf-8")
    known, why_not = audit.vulnerabilities()
    assert known == ["a 1: PYSEC-1"] and why_not == "the vulnerability service knows nothing of 1 of 2 packages"


def test_the_bill_of_materials_is_whole_and_always_the_same() -> None:
    first, second = (
        subprocess.run([sys.executable, SCRIPTS / "sbom"], capture_output=True, text=True, check=True).stdout
        for _ in "ab"
    )
    assert first == second
    bill = json.loads(first)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    components = {entry["name"]: entry for entry in bill["components"]}
    for name in ("numpy", "onnxruntime", "torch", "jinja2", "markupsafe", "fastapi", "ray", "aiohttp"):
        assert components[name]["version"] == version(name) and components[name]["purl"].startswith(f"pkg:pypi/{name}@")
    assert not {"pytest", "ruff", "mypy", "hypothesis"} & set(components)
    refs = {entry["bom-ref"] for entry in (*bill["components"], bill["metadata"]["component"])}
    assert {edge["ref"] for edge in bill["dependencies"]} == refs
    assert {one for edge in bill["dependencies"] for one in edge["dependsOn"]} <= refs
