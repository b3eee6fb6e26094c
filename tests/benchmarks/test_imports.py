"""Every benchmark still fits the package; what they print is tried by the full check."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in sorted(ROOT.glob("benchmarks/**/*.py"))]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__init__")])
def test_all_that_a_benchmark_imports_of_ours_is_there(name: str) -> None:
    tree = ast.parse((ROOT / name.replace(".", "/")).with_suffix(".py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "reasonlens":
            module = import_module(str(node.module))
            for alias in node.names:
                assert hasattr(module, alias.name) or import_module(f"{node.module}.{alias.name}")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "reasonlens":
            assert hasattr(import_module("reasonlens"), node.attr), node.attr
