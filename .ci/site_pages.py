"""Fit the pages to the site: they are written as GitHub reads them, and MkDocs differs in lists, anchors and links.

Used by mkdocs.yml. CHANGELOG.md and CONTRIBUTING.md stand beside docs/ and become pages of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pymdownx.slugs import slugify

ROOT = Path(__file__).parents[1]
BESIDE = {"changes.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
MARKER = re.compile(r"^( *)(?:[-*+]|\d+[.)])( +)(?=\S)")
INDENT = 4


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name anchors as GitHub does."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify(case="lower")
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand beside docs/, with links that lead to pages."""
    for name, source in BESIDE.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        for page, file in BESIDE.items():
            text = text.replace(f"]({file})", f"]({page})")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Indent what belongs to an item of a list by four blanks a level, and part lists from the line before."""
    return "\n".join(_indented(markdown.split("\n")))


def _indented(lines: list[str]) -> Iterator[str]:
    items: list[int] = []  # the column at which the text of each open item begins
    fence, before = "", ""
    for line in lines:
        column = len(line) - len(line.lstrip(" "))
        marker = None if fence else MARKER.match(line)
        if line.strip() and not fence:
            lazy = bool(before.strip()) and not marker  # a line that goes on with a paragraph
            while items and column < items[-1] and not lazy:
                items.pop()
        depth = INDENT * len(items)
        margin = items[-1] if items else 0
        text = line[min(margin, column) :]
        if marker and not items and before.strip() and not MARKER.match(before):
            yield ""
        yield " " * depth + text if text.strip() else ""
        if marker:
            items.append(len(marker.group(0)))
        if opened := re.match(r" *(```+|~~~+)", line):
            fence = "" if fence and opened.group(1).startswith(fence) else fence or opened.group(1)
        before = line
