"""What a user installs: the packages that exist, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .floor_plan import ROOT, packages


def test_the_wheel_holds_reasonlens_only_with_its_data(tmp_path: Path) -> None:
    source = tmp_path / "source"  # a copy, so that what an earlier build left behind cannot get in
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "runs", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, source]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert tops == {"reasonlens", next(top for top in tops if top.endswith(".dist-info"))}
    data = {"reasonlens/py.typed", "reasonlens/__init__.pyi", "reasonlens/traces/bundled.jsonl"}
    data |= {f"reasonlens/figures/pages/{page.name}" for page in (ROOT / "figures" / "pages").iterdir()}
    weights = ROOT / "organisms" / "weights"
    data |= {
        f"reasonlens/organisms/{path.relative_to(weights.parent)}" for path in weights.rglob("*") if path.is_file()
    }
    code = {
        "/".join([*package.split("."), file.name])
        for package, folder in packages().items()
        for file in folder.glob("*.py")
    }
    assert {name for name in names if not name.split("/")[0].endswith(".dist-info")} == code | data


def test_every_public_name_can_be_imported() -> None:
    import reasonlens

    for name in reasonlens.__all__:
        assert getattr(reasonlens, name) is not None
    with pytest.raises(AttributeError, match="No reasonlens attribute locat"):
        _ = reasonlens.locat
