"""What a user installs: the packages that exist, nothing else, and imports that follow the architecture."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# The floor plan, from the ground up: a folder imports from those before it. `organisms` stands beside the line.
GROUND = ("stats", "rundir", "figures")
LINE = ("models", "traces", "generation", "activations", "probes", "vectors", "analysis", "pairs")
MAY_IMPORT = {folder: set() for folder in GROUND}
MAY_IMPORT |= {folder: {*GROUND, *LINE[:place]} for place, folder in enumerate(LINE)}
MAY_IMPORT["organisms"] = {*GROUND, "models", "traces", "generation"}
for folder in ("analysis", "pairs"):
    MAY_IMPORT[folder] = {*MAY_IMPORT[folder], "organisms"}


def folders() -> dict[str, Path]:
    """Dotted name -> folder of every package of ours, found by its __init__.py."""
    found = {"reasonlens": ROOT / "src" / "reasonlens", "reasonlens.cli": ROOT / "src" / "reasonlens" / "cli"}
    for top in MAY_IMPORT:
        for init in (ROOT / top).rglob("__init__.py"):
            found[".".join(["reasonlens", *init.parent.relative_to(ROOT).parts])] = init.parent
    return found


@pytest.mark.parametrize("name", sorted(set(folders()) - {"reasonlens", "reasonlens.cli"}))
def test_no_import_runs_against_the_arrows(name: str) -> None:
    top = name.split(".")[1]
    for file in folders()[name].glob("*.py"):
        for imported in imports_of_ours(file, name):
            assert imported == top or imported in MAY_IMPORT[top], f"{file} imports {imported}"


def imports_of_ours(file: Path, package: str) -> set[str]:
    """The top folders of ours that a module imports, relative imports resolved."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            names = [".".join([*base, *([node.module] if node.module else [])])]
            if names == ["reasonlens"]:
                names = [f"reasonlens.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("reasonlens.")}
    return found


def test_the_check_of_imports_would_notice_a_wrong_one(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(
        "from ..analysis import locate\nimport reasonlens.vectors\nfrom .. import probes\n"
    )
    assert imports_of_ours(tmp_path / "wrong.py", "reasonlens.models") == {"analysis", "vectors", "probes"}


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
        for package, folder in folders().items()
        for file in folder.glob("*.py")
    }
    assert {name for name in names if not name.split("/")[0].endswith(".dist-info")} == code | data


def test_every_public_name_can_be_imported() -> None:
    import reasonlens

    for name in reasonlens.__all__:
        assert getattr(reasonlens, name) is not None
    with pytest.raises(AttributeError, match="No reasonlens attribute locat"):
        _ = reasonlens.locat
