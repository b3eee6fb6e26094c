"""The documentation site: every page is in its menu, its errors and figures are true, it builds without a warning."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

import reasonlens
from reasonlens.cli.app import app

from .floor_plan import ROOT

DOCS = ROOT / "docs"
BESIDE = {"changes.md", "contributing.md"}  # made of CHANGELOG.md and CONTRIBUTING.md by .ci/site_pages.py


def site() -> dict[str, Any]:
    """Read mkdocs.yml."""
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def pages(menu: list[Any]) -> list[str]:
    """List the pages of a menu, those of its parts included."""
    return [
        page
        for entry in menu
        for below in entry.values()
        for page in ([below] if isinstance(below, str) else pages(below))
    ]


def address(page: str) -> str:
    """Name the file that a page becomes: the README of a folder is its index."""
    return re.sub(r"(^|/)README\.md$", r"\1index.md", page).removesuffix(".md") + ".html"


def test_every_page_is_in_the_menu_once() -> None:
    listed = pages(site()["nav"])
    assert sorted(listed) == sorted({*(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")), *BESIDE})


def test_the_reference_has_every_public_name_once() -> None:
    reference = "\n".join(page.read_text(encoding="utf-8") for page in sorted((DOCS / "reference").glob("*.md")))
    listed = re.findall(r"^::: reasonlens\.(\w+)$", reference, flags=re.M)
    assert sorted(listed) == sorted(name for name in reasonlens.__all__ if not name.startswith("__"))


def test_every_page_of_the_reference_is_in_its_table() -> None:
    table = (DOCS / "reference.md").read_text(encoding="utf-8")
    pages_of_it = {f"reference/{page.name}" for page in (DOCS / "reference").glob("*.md")}
    assert set(re.findall(r"^\| \[[^\]]+\]\((reference/[\w-]+\.md)\)", table, flags=re.M)) == pages_of_it


def test_every_command_is_on_the_tour() -> None:
    tour = (DOCS / "tour.md").read_text(encoding="utf-8")
    calls = re.findall(r"^reasonlens (.*)$", tour, flags=re.M)
    in_prose = re.findall(r"`(?:reasonlens )?([^`\n]+)`", re.sub(r"^```.*?^```", "", tour, flags=re.S | re.M))
    commands = typer.main.get_command(app).commands
    shown = [*calls, *in_prose]
    assert [name for name in commands if not any(f"{text} ".startswith(f"{_written(name)} ") for text in shown)] == []


def _written(name: str) -> str:
    """Write the name of a command as a page does: `label-review` is called by `label review`."""
    return name.replace("label-review", "label review")


@pytest.mark.parametrize("name", ["index.md", "tour.md", "concepts.md", "published.md"])
def test_every_figure_of_a_page_that_sums_up_stands_on_a_page_that_it_links_to(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    linked = {path for path in re.findall(r"\]\((\w[\w-]*\.md)", text)} - {name}
    elsewhere = "\n".join((DOCS / path).read_text(encoding="utf-8") for path in sorted(linked))
    prose = re.sub(r"^ *```.*?^ *```|https?://\S+|arXiv [\d.]+", "", text, flags=re.S | re.M)
    figures = re.findall(r"[-+]?\d*\.\d+(?: \[[^\]\n]+\])?", prose.replace("Python 3.11", ""))
    assert figures
    assert [figure for figure in figures if not re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d)", elsewhere)] == []


def test_every_error_on_the_page_of_errors_is_what_its_commands_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unlabelled.jsonl").write_text('{"id": "a", "prompt": "x", "text": "y z.", "spans": []}\n')
    (tmp_path / "damaged.jsonl").write_text('{"prompt": "x"\n')
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    cases = re.findall(r"^```bash\n(.*?)^```\n\n```text\n(.*?)^```", page, flags=re.S | re.M)
    assert len(cases) >= 10
    for commands, message in cases:
        for command in commands.splitlines():
            done = CliRunner().invoke(app, ["--quiet", *shlex.split(command)[1:]])
        assert done.exit_code == 2, f"{command}: {done.output} {done.exception!r}"
        assert message.strip() in done.stderr, f"{command}: {done.stderr}"


@pytest.mark.skipif(find_spec("mkdocstrings") is None, reason='needs pip install -c constraints.txt -e ".[docs]"')
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    subprocess.run([ROOT / ".ci" / "link"], check=True)
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}  # what its makers say of the future of their tools
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "WARNING" not in done.stderr
    built = {page: (tmp_path / address(page)).read_text(encoding="utf-8") for page in pages(site()["nav"])}
    for page, html in built.items():
        assert not re.findall(r'(?:src|rel="stylesheet" href)="https?:', html), f"{page} loads from elsewhere"
        prose = re.findall(r"<p>(.*?)</p>", re.sub(r"<pre>.*?</pre>", "", html, flags=re.S), flags=re.S)
        unread = [text for text in prose if re.search(r"^ *(\|.*\| *$|- |\d+\. |```)", text, flags=re.M)]
        assert unread == [], f"{page}: a table or list is shown as its source"
    assert (tmp_path / "search" / "search_index.js").is_file()  # pages that are read from a disk can be searched
    names = {f"reasonlens.{name}" for name in reasonlens.__all__ if not name.startswith("__")}
    reference = "\n".join(html for page, html in built.items() if page.startswith("reference/"))
    assert names <= set(re.findall(r'id="([\w.]+)"', reference))
    assert "<p>Args:" not in reference
