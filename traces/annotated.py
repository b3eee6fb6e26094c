"""Parse the annotated form of published traces: `["label"] text ["end-section"]`, written by a language model.

(arXiv 2506.18167.) Tags are removed and every section becomes a span at its own position, so a sentence that occurs
twice has two spans. Annotators forget end tags: a section also ends at the next label or at the end of the text. They
forget quotes, too: `[deduction] text [end-section]`. What stands in brackets without quotes is a tag only if it is a
known label, since reasoning holds brackets of its own. Text outside sections stays in the text without a label.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from .markers import BEHAVIOURS
from .trace import Span

TAG = re.compile(r"""\[\s*(?P<quote>["“”'‘’]?)(?P<name>[A-Za-z][\w -]{0,60}?)(?P<closing>["“”'‘’]?)\s*\]""")
END = "end-section"


def parse_annotated(annotated: str, labels: Collection[str] | None = None) -> tuple[str, list[Span]]:
    """Remove the tags from an annotated text, and find the spans of its sections.

    Spans leave out white space at both ends, empty sections are dropped, and spaces around a removed tag become one.

    Args:
        annotated: The text with its tags.
        labels: The tags that are labels, with quotes or without; others stay in the text, as is needed if it holds code
            such as `["a"]`. None means every tag in quotes, and without quotes the published labels and those that
            stand in quotes elsewhere in the text.

    Returns:
        The text without its tags, and the spans.
    """
    text = ""
    spans: list[Span] = []
    label: str | None = None
    section_start = position = 0
    tags = _tags(annotated, labels)
    for tag in [*tags, None]:
        piece = annotated[position : tag.start() if tag else None]
        text += piece.lstrip(" ") if not text or text[-1].isspace() else piece
        if label is not None and text[section_start:].strip():
            start = len(text) - len(text[section_start:].lstrip())
            spans.append(Span(start, len(text.rstrip()), label))
        if tag:
            label = None if tag["name"] == END else tag["name"]
            section_start, position = len(text), tag.end()
    return text.rstrip(), spans


def has_end_tag(annotated: str) -> bool:
    """Check whether a text was annotated: whether a section ends somewhere in it."""
    return any(tag["name"] == END for tag in TAG.finditer(annotated))


def _tags(annotated: str, labels: Collection[str] | None) -> list[re.Match[str]]:
    tags = list(TAG.finditer(annotated))
    if labels is not None:
        return [tag for tag in tags if tag["name"] in {*labels, END}]
    known = {*BEHAVIOURS, END, *(tag["name"] for tag in tags if _is_quoted(tag))}
    return [tag for tag in tags if _is_quoted(tag) or tag["name"] in known]


def _is_quoted(tag: re.Match[str]) -> bool:
    return bool(tag["quote"] and tag["closing"])
