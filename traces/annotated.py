"""Parse the annotated form of published traces: `["label"] text ["end-section"]`, written by a language model.

(arXiv 2506.18167.) Tags are removed and every section becomes a span at its own position, so a sentence that occurs
twice has two spans. Annotators forget end tags: a section also ends at the next label or at the end of the text. Text
outside sections stays in the text without a label.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from .trace import Span

TAG = re.compile(r'\[\s*["“]([A-Za-z][\w -]{0,60}?)["”]\s*\]')
END = "end-section"


def parse_annotated(annotated: str, labels: Collection[str] | None = None) -> tuple[str, list[Span]]:
    """Remove the tags from an annotated text, and find the spans of its sections.

    Spans leave out white space at both ends, empty sections are dropped, and spaces around a removed tag become one.

    Args:
        annotated: The text with its tags.
        labels: The tags that are labels; others stay in the text, as is needed if it holds code such as `["a"]`. None
            means every tag.

    Returns:
        The text without its tags, and the spans.
    """
    text = ""
    spans: list[Span] = []
    label: str | None = None
    section_start = position = 0
    tags = [tag for tag in TAG.finditer(annotated) if labels is None or tag.group(1) in {*labels, END}]
    for tag in [*tags, None]:
        piece = annotated[position : tag.start() if tag else None]
        text += piece.lstrip(" ") if not text or text[-1].isspace() else piece
        if label is not None and text[section_start:].strip():
            start = len(text) - len(text[section_start:].lstrip())
            spans.append(Span(start, len(text.rstrip()), label))
        if tag:
            label = None if tag.group(1) == END else tag.group(1)
            section_start, position = len(text), tag.end()
    return text.rstrip(), spans
