"""The folders at the root: imports run one way and in no circle, and no name hides another."""

from __future__ import annotations

import graphlib
import importlib
import inspect
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from .floor_plan import MAY_IMPORT, ROOT, import_graph, modules, packages


@pytest.mark.parametrize("top", sorted(MAY_IMPORT))
def test_no_import_runs_against_the_arrows(top: str) -> None:
    assert against_the_arrows(import_graph(modules()), top) == []


def against_the_arrows(graph: dict[str, set[str]], top: str) -> list[str]:
    """List the imports of a folder at the root that lead to a folder above it."""
    return [
        f"{module} imports {target}"
        for module, targets in graph.items()
        for target in sorted(targets)
        if module.split(".")[1:2] == [top]
        and (target.split(".")[1:2] or ["the door"])[0] not in {top, *MAY_IMPORT[top]}
    ]


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles(import_graph(modules())) == []


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Find circles of imports: one after the other, each cut at its last edge before the next is looked for."""
    graph, found = {module: set(targets) for module, targets in graph.items()}, []
    while True:
        try:
            graphlib.TopologicalSorter(graph).prepare()
            return found
        except graphlib.CycleError as error:
            circle: list[str] = error.args[1]
            found.append(circle)
            graph[circle[1]].discard(circle[0])  # graphlib names each node before the one that needs it


def test_imports_against_the_arrows_and_circles_are_noticed_wherever_they_are_written(tmp_path: Path) -> None:
    contents = {
        "reasonlens.models": "",
        "reasonlens.models.top": "import reasonlens.vectors.steer",
        "reasonlens.models.inside": "def load():\n    from .typed import handle",
        "reasonlens.models.typed": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import inside",
        "reasonlens.models.door": "from reasonlens import locate",
        "reasonlens.vectors": "from .steer import steer",
        "reasonlens.vectors.steer": "from ..models import top",
        "reasonlens": "",
    }
    files = {}
    for module, content in contents.items():
        path = tmp_path.joinpath(*module.split("."))
        files[module] = path / "__init__.py" if module.count(".") < 2 else path.with_suffix(".py")
        files[module].parent.mkdir(parents=True, exist_ok=True)
        files[module].write_text(content)
    graph = import_graph(files)
    assert against_the_arrows(graph, "models") == [
        "reasonlens.models.top imports reasonlens.vectors.steer",
        "reasonlens.models.door imports reasonlens",
    ]
    assert against_the_arrows(graph, "vectors") == []
    assert {frozenset(circle) for circle in circles(graph)} == {
        frozenset({"reasonlens.models.top", "reasonlens.vectors.steer"}),
        frozenset({"reasonlens.models.inside", "reasonlens.models.typed"}),
    }


@pytest.mark.parametrize("package", sorted(packages()))
def test_no_name_that_a_package_exports_hides_a_module_of_it(package: str) -> None:
    # `import reasonlens.analysis.locate as module` would give the function where `analysis` exports one named `locate`.
    importlib.import_module(package)
    for name in {module for module in modules() if module.rpartition(".")[0] == package}:
        if not name.endswith("__main__"):
            importlib.import_module(name)
            seen = getattr(sys.modules[package], name.rpartition(".")[2])
            assert seen is sys.modules[name], f"{package} exports {seen!r}, which hides the module {name}"


def test_a_module_with_an_underscore_can_be_imported_under_another_name() -> None:
    import reasonlens.analysis._locate as module

    assert inspect.ismodule(module) and module.locate is importlib.import_module("reasonlens.analysis").locate


def root_folders() -> set[str]:
    """Name the folders at the root that a notebook there could import."""
    return {init.parent.name for init in ROOT.glob("*/__init__.py")}


@pytest.mark.parametrize("name", sorted(root_folders()))
def test_no_folder_at_the_root_bears_the_name_of_something_else_that_is_imported(name: str) -> None:
    assert name not in sys.stdlib_module_names
    others = set(packages_distributions().get(name, [])) - {"reasonlens"}
    assert not others, f"{name} is what {others} installs"


def test_no_documented_command_writes_into_a_folder_of_the_house() -> None:
    written = {}
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")]:
        for target in outputs(page.read_text(encoding="utf-8")):
            written.setdefault(target, []).append(page.name)
    assert "runs" in written
    assert {target: pages for target, pages in written.items() if (ROOT / target).is_dir()}.keys() <= {"runs"}


def outputs(text: str) -> set[str]:
    """Find the first folder of every path that a page gives as `--out PATH` or `out="PATH"`."""
    return {path.split("/")[0] for path in re.findall(r"""(?:--out[ =]|\bout=["'])([\w.-]+)""", text)}


def test_outputs_are_found_in_commands_and_in_python() -> None:
    assert outputs("reasonlens collect --out stats --keep moments; collect(model, out='runs/a')") == {"stats", "runs"}
