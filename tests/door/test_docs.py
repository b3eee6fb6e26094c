"""README and the pages of docs: links lead somewhere, commands and their options exist, and so does what code names."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import reasonlens
from reasonlens.cli.app import app
from reasonlens.cli.pipeline import STEPS

from .floor_plan import ROOT

PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md")), *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
names = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    """Find the fenced blocks of a language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", page.read_text(encoding="utf-8"), flags=re.S | re.M)


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_link_within_the_repository_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("#"):
            file, _, heading = target.partition("#")
            assert (page.parent / file).exists(), f"{page.name} links to {target}"
            assert not heading or heading in anchors((page.parent / file).read_text(encoding="utf-8")), target


def anchors(text: str) -> set[str]:
    """Name the headings of a page as links do."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_command_has_the_options_that_it_is_shown_with(page: Path) -> None:
    wrong = [problem for line in commands(page) for problem in unknown(line)]
    assert not wrong


def commands(page: Path) -> Iterator[str]:
    """Yield the calls of `reasonlens` in blocks of shell code."""
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            for call in re.split(r"&&|\||;", line.split(" #")[0]):
                if re.match(r"\s*(\.venv/bin/)?reasonlens ", call):
                    yield call.strip()


def unknown(call: str) -> list[str]:
    """List what a call names and the command line does not know."""
    command = typer.main.get_command(app)
    words = shlex.split(call)[1:]
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return [f"{call}: there is no command {words[0]}"]
        command = command.commands[words.pop(0)]
    known = {"--help", *(name for option in command.params for name in [*option.opts, *option.secondary_opts])}
    given = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    return [f"{call}: there is no option {option}" for option in sorted(given - known)]


def test_unknown_commands_and_options_are_noticed() -> None:
    assert unknown("reasonlens locate --layers 1:2 --help") == []
    call = "reasonlens steer sweep vectors.safetensors --layers=1,2 --no-such"
    assert unknown(call) == [f"{call}: there is no option --no-such"]
    assert unknown("reasonlens locat") == ["reasonlens locat: there is no command locat"]


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_dotted_name_is_there(page: Path) -> None:
    for name in set(re.findall(r"`(reasonlens(?:\.\w+)+)(?:\([^`]*)?`", page.read_text(encoding="utf-8"))):
        assert resolved(name) is not None, name


def resolved(name: str) -> object:
    """Import what a dotted name names."""
    for n_parts in range(name.count(".") + 1, 0, -1):
        module, rest = name.split(".")[:n_parts], name.split(".")[n_parts:]
        try:
            return attrgetter(".".join(rest))(import_module(".".join(module))) if rest else import_module(name)
        except ModuleNotFoundError:
            continue
    return None


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_public_name_in_code_is_there(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "reasonlens":
                assert hasattr(reasonlens, node.attr), f"{page.name}: reasonlens.{node.attr}"
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("reasonlens"):
                for alias in node.names:
                    namespace: dict[str, object] = {}
                    exec(f"from {node.module} import {alias.name}", namespace)
                    assert alias.name in namespace


def strange_keywords(code: str) -> list[str]:
    """List the arguments by which code calls public functions and classes, and which these do not have."""
    strange = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and re.fullmatch(r"reasonlens(\.\w+)+", ast.unparse(node.func)):
            parameters = inspect.signature(
                attrgetter(ast.unparse(node.func).removeprefix("reasonlens."))(reasonlens)
            ).parameters
            names = {keyword.arg for keyword in node.keywords} - {None}
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
                strange += [f"{ast.unparse(node.func)}({name}=)" for name in sorted(names - set(parameters))]
    return strange


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_argument_in_code_is_there(page: Path) -> None:
    assert [name for block in blocks(page, "python") for name in strange_keywords(block)] == []


@pytest.mark.parametrize("page", NOTEBOOKS, ids=[page.stem for page in NOTEBOOKS])
def test_every_argument_in_a_notebook_is_there(page: Path) -> None:
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert [name for block in code for name in strange_keywords(block)] == []


def test_an_argument_that_is_not_there_is_noticed() -> None:
    assert strange_keywords("reasonlens.ElicitSettings(n_test=1, n_texts=4)") == ["reasonlens.ElicitSettings(n_texts=)"]


def test_the_pipeline_names_commands_and_options_that_exist() -> None:
    assert len(STEPS) == 10
    for command, _ in STEPS:
        calls = [command] if " | " not in command else command.split(" | ")
        assert not [problem for call in calls for problem in unknown(f"reasonlens {call}")]
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 0 and all(command in done.stdout for command, _ in STEPS)
