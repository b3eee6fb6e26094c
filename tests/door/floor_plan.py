"""Read the packages as they stand on disk: which folders there are, and which file imports which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

# From the ground up: a folder imports from those before it. `organisms` stands beside the line.
GROUND = ("stats", "rundir", "figures")
LINE = ("models", "traces", "generation", "activations", "probes", "vectors", "analysis", "pairs")
MAY_IMPORT = {folder: set[str]() for folder in GROUND}
MAY_IMPORT |= {folder: {*GROUND, *LINE[:place]} for place, folder in enumerate(LINE)}
MAY_IMPORT["organisms"] = {*GROUND, "models", "traces", "generation"}
for folder in ("analysis", "pairs"):
    MAY_IMPORT[folder] = {*MAY_IMPORT[folder], "organisms"}


def packages() -> dict[str, Path]:
    """Map the dotted name of every package to its folder, found by its __init__.py."""
    roots = {"reasonlens": ROOT / "src" / "reasonlens"} | {f"reasonlens.{top}": ROOT / top for top in MAY_IMPORT}
    return {
        ".".join([name, *init.parent.relative_to(root).parts]): init.parent
        for name, root in roots.items()
        for init in root.rglob("__init__.py")
    }


def modules() -> dict[str, Path]:
    """Map the dotted name of every module to its file; a package goes by its own name."""
    return {
        package if file.stem == "__init__" else f"{package}.{file.stem}": file
        for package, folder in packages().items()
        for file in sorted(folder.glob("*.py"))
    }


def import_graph(files: dict[str, Path]) -> dict[str, set[str]]:
    """Map every module to the modules of `files` that it imports, be it at the top, in a function or for type checkers.

    Args:
        files: Dotted name of each module -> its file.

    Returns:
        The edges. `from package import name` leads to the module `package.name` if there is one, else to `package`.
        That importing a module first runs the `__init__.py` of the packages around it makes no edge.
    """
    graph = {}
    for module, file in files.items():
        targets = {
            f"{base}.{name}" if f"{base}.{name}" in files else base
            for base, name in imports(file, module if file.stem == "__init__" else module.rpartition(".")[0])
        }
        graph[module] = {target for target in targets if target in files and target != module}
    return graph


def imports(file: Path, package: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for each import of a file, relative ones resolved; the name is "" for `import module`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*around, *([node.module] if node.module else [])])
            yield from ((base, alias.name) for alias in node.names)
