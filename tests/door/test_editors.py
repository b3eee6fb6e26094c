"""Editors and type checkers in a clone find the packages, once `.ci/link` has laid them out as they are installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from .floor_plan import ROOT

pytestmark = pytest.mark.skipif(find_spec("basedpyright") is None, reason='needs pip install -e ".[check]"')

CODE = """
import reasonlens
import reasonlens.analysis
from reasonlens.probes import sweep

reveal_type(reasonlens.locate)
reveal_type(reasonlens.analysis.locate)
reveal_type(sweep)
reveal_type(reasonlens.locat)
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what an editor reads of a clone, and nothing that an earlier `.ci/link` left."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    shutil.copytree(ROOT / "src", folder / "src")
    for init in ROOT.glob("*/__init__.py"):
        shutil.copytree(init.parent, folder / init.parent.name, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    (folder / "script.py").write_text(CODE)
    return folder


def checked(folder: Path) -> tuple[list[str], list[str]]:
    """Run pyright on the script: the types that it reveals, and its errors."""
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "script.py"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    messages: dict[str, list[str]] = {"information": [], "error": [], "warning": []}
    for diagnostic in json.loads(done.stdout)["generalDiagnostics"]:
        messages[diagnostic["severity"]].append(diagnostic["message"])
    return messages["information"], messages["error"]


def test_packages_and_lazy_names_are_resolved_once_the_links_are_laid(clone: Path) -> None:
    subprocess.run([clone / ".ci" / "link"], check=True)
    revealed, errors = checked(clone)
    assert errors == ['"locat" is not a known attribute of module "reasonlens"']
    facade, module, sweep, _ = revealed
    assert facade.startswith('Type of "reasonlens.locate" is "(model: str | Path')
    assert module.startswith('Type of "reasonlens.analysis.locate" is "(model: str | Path')
    assert sweep.startswith('Type of "sweep" is "(activations: Activations')


def test_without_the_links_nothing_is_resolved(clone: Path) -> None:
    shutil.rmtree(clone / ".typings", ignore_errors=True)
    _, errors = checked(clone)
    assert 'Import "reasonlens.probes" could not be resolved' in errors


def test_links_are_laid_anew_where_folders_come_and_go(clone: Path) -> None:
    subprocess.run([clone / ".ci" / "link"], check=True)
    (clone / "probes").rename(clone / "probing")
    subprocess.run([clone / ".ci" / "link"], check=True)
    names = {link.name for link in (clone / ".typings" / "reasonlens").iterdir()}
    (clone / "probing").rename(clone / "probes")
    assert "probing" in names and not names & {"probes", "tests", "benchmarks", "__pycache__"}
    assert {"__init__.py", "__init__.pyi", "py.typed", "cli", "stats", "pairs"} <= names
