"""Write text with its labelled spans in colours, as HTML: a fragment for notebooks, or a page that opens offline.

Every span begins with its label in small letters, so that no colour has to be told from another, and labels share the
four colours of the palette in turn. Where spans overlap, the colour is that of the one that began last. No script runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ._text import page_text
from .page import offline_page
from .palette import FOURTH, SECOND, SIGNAL, THIRD, faint

COLOURS = (SIGNAL, SECOND, THIRD, FOURTH)
OPACITY = 0.3  # letters keep their contrast on a white and on a dark page

STYLE = """
.rl-labelled .rl-soft { opacity: .7; font-size: .88em; }
.rl-labelled .rl-id { font-weight: 600; margin: 1.4rem 0 .2rem; }
.rl-labelled .rl-prompt, .rl-labelled .rl-text { white-space: pre-wrap; overflow-wrap: anywhere;
  unicode-bidi: isolate; }
.rl-labelled .rl-text { line-height: 2; tab-size: 4; margin-top: .5rem; }
.rl-labelled .rl-text span, .rl-labelled .rl-key { border-radius: 2px; padding: .14em .1em; }
.rl-labelled .rl-text b, .rl-labelled .rl-key { font: 600 .72em/1 system-ui, sans-serif; margin: 0 .3em 0 .1em; }
.rl-labelled .rl-key { padding: .25em .5em; white-space: nowrap; line-height: 2.4; }
"""
PAGE = """
:root { color-scheme: light dark; --ink: #222; --soft: #666; --page: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --soft: #a0a0a0; --page: #16181c; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; }
.note { color: var(--soft); font-size: .92rem; }
"""


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledText:
    """One text with its labels; places are characters of `text`."""

    name: str
    prompt: str
    text: str
    labels: Sequence[tuple[int, int, str]]  # start, end, label

    def __repr__(self) -> str:
        return f"LabelledText({self.name!r:.80}, {len(self.text)} characters, {len(self.labels)} labels)"


def pieces(text: LabelledText) -> Iterator[tuple[str, list[str], str | None]]:
    """Cut a text wherever a labelled span begins or ends.

    Args:
        text: The text.

    Yields:
        A piece, the labels of the spans that begin with it, and the label that it is coloured by: that of the span
        around it that began last; None outside of all.
    """
    spans = sorted(text.labels, key=lambda span: (span[0], -span[1]))
    cuts = sorted({0, len(text.text), *(place for start, end, _ in spans for place in (start, end))})
    around: list[tuple[int, int, str]] = []
    place = 0
    for first, stop in zip(cuts, cuts[1:], strict=False):
        around = [span for span in around if span[1] > first]
        beginning: list[str] = []
        while place < len(spans) and spans[place][0] == first:
            around.append(spans[place])
            beginning.append(spans[place][2])
            place += 1
        yield text.text[first:stop], beginning, around[-1][2] if around else None


def label_counts(texts: Sequence[LabelledText]) -> dict[str, int]:
    """Count the spans of each label, the most frequent first."""
    return dict(Counter(label for text in texts for _, _, label in text.labels).most_common())


def labelled_page(texts: Sequence[LabelledText], *, title: str, caption: str) -> str:
    """Write a whole page: every text, label and name is escaped, nothing is loaded and no script may run.

    Args:
        texts: What is shown.
        title: Title and heading of the page.
        caption: What stands under the heading.
    """
    heading = f'<h1>{page_text(title)}</h1>\n<p class="note">{page_text(caption)}</p>\n'
    return offline_page(page_text(title), PAGE, heading + labelled_fragment(texts))


def labelled_fragment(texts: Sequence[LabelledText], *, note: str = "") -> str:
    """Write the coloured texts to stand inside another page; their colours show on any.

    Args:
        texts: What is shown.
        note: What stands under them.
    """
    counts = label_counts(texts)
    number = {label: place for place, label in enumerate(counts)}
    rules = "".join(
        f".rl-labelled .l{place} {{ background: {faint(colour, OPACITY)} }}\n" for place, colour in enumerate(COLOURS)
    )
    key = " ".join(
        f'<span class="rl-key l{number[label] % len(COLOURS)}">{page_text(label)} {count}</span>'
        for label, count in counts.items()
    )
    more = f'<p class="rl-soft">{page_text(note)}</p>' if note else ""
    shown = "\n".join(_text(text, number) for text in texts)
    return f'<div class="rl-labelled">\n<style>{STYLE}{rules}</style>\n<div>{key}</div>\n{shown}{more}\n</div>'


def _text(text: LabelledText, number: dict[str, int]) -> str:
    body = "".join(
        "".join(f"<b>{page_text(label)}</b>" for label in beginning) + _shown(piece)
        if label is None
        else f'<span class="l{number[label] % len(COLOURS)}" title="{page_text(label)}">'
        + "".join(f"<b>{page_text(name)}</b>" for name in beginning)
        + f"{_shown(piece)}</span>"
        for piece, beginning, label in pieces(text)
    )
    prompt = f'<div class="rl-prompt rl-soft" dir="auto">{_shown(text.prompt)}</div>' if text.prompt else ""
    name = f'<div class="rl-id" dir="auto">{page_text(text.name)}</div>'
    return f'{name}{prompt}<div class="rl-text" dir="auto">{body}</div>'


def _shown(text: str) -> str:
    return page_text(text).replace("\r", "&#13;").replace("\0", "\N{REPLACEMENT CHARACTER}")
