"""Write text with its labelled spans in colours, as HTML: a fragment for notebooks, or a page that opens offline.

Every span begins with its label in small letters, so that no colour has to be told from another, and labels share the
four colours of the palette in turn. Where spans overlap, the colour is that of the one that began last. A fragment runs
no script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from ._text import page_text
from .page import frame_table, render
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
N_LISTED = 12  # texts up to which each is in the contents of a page


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


def labelled_page(texts: Sequence[LabelledText], *, title: str) -> str:
    """Write a whole page: every text, label and name is escaped, and nothing is loaded.

    Args:
        texts: What is shown.
        title: Title and heading of the page.
    """
    number = _numbers(texts)
    shown = [{"name": text.name, "html": Markup(_shown_text(text, number))} for text in texts]
    style = Markup(STYLE + _rules())
    lead = "The label of a span stands before it, in small letters; labels share four colours in turn."
    results = {"title": title, "lead": lead, "sentence": _sentence(texts), "is_listed": len(texts) <= N_LISTED}
    return render("traces.html.jinja", results, {}, texts=shown, style_of_labels=style, table=_table(texts))


def labelled_fragment(texts: Sequence[LabelledText], *, note: str = "") -> str:
    """Write the coloured texts to stand inside another page; their colours show on any.

    Args:
        texts: What is shown.
        note: What stands under them.
    """
    counts = label_counts(texts)
    number = _numbers(texts)
    key = " ".join(
        f'<span class="rl-key l{number[label] % len(COLOURS)}">{page_text(label)} {count}</span>'
        for label, count in counts.items()
    )
    more = f'<p class="rl-soft">{page_text(note)}</p>' if note else ""
    shown = "\n".join(
        f'<div class="rl-id" dir="auto">{page_text(text.name)}</div>{_shown_text(text, number)}' for text in texts
    )
    return f'<div class="rl-labelled">\n<style>{STYLE}{_rules()}</style>\n<div>{key}</div>\n{shown}{more}\n</div>'


def _numbers(texts: Sequence[LabelledText]) -> dict[str, int]:
    """Number the labels, the most frequent first."""
    return {label: place for place, label in enumerate(label_counts(texts))}


def _rules() -> str:
    """Write the rules that colour the labels."""
    return "".join(
        f".rl-labelled .l{place} {{ background: {faint(colour, OPACITY)} }}\n" for place, colour in enumerate(COLOURS)
    )


def _sentence(texts: Sequence[LabelledText]) -> str:
    """Say how much is shown and labelled, and which label is the most frequent."""
    counts = label_counts(texts)
    shown = "1 trace is shown" if len(texts) == 1 else f"{len(texts)} traces are shown"
    if not counts:
        return f"{shown}; no span of {'it' if len(texts) == 1 else 'them'} is labelled."
    share = sum(_n_labelled(text) for text in texts) / max(1, sum(len(text.text) for text in texts))
    name, count = next(iter(counts.items()))
    spans = f"{sum(counts.values())} labelled spans of {len(counts)} labels" if len(counts) > 1 else f"{count} spans"
    return f"{shown}: {spans} cover {share:.0%} of the text; the most frequent label is {name} ({count} spans)."


def _table(texts: Sequence[LabelledText]) -> Markup:
    """Tabulate the labels: spans, the traces that have one, mean length."""
    counts = label_counts(texts)
    rows = []
    for label, count in counts.items():
        lengths = [end - start for text in texts for start, end, name in text.labels if name == label]
        n_traces = sum(any(name == label for _, _, name in text.labels) for text in texts)
        rows.append((label, count, n_traces, round(sum(lengths) / count)))
    columns = ["label", "spans", "traces with it", "characters a span"]
    return frame_table("labels", pd.DataFrame(rows, columns=columns)) if rows else Markup("")


def _n_labelled(text: LabelledText) -> int:
    """Count the characters that lie in a labelled span."""
    return sum(len(piece) for piece, _, label in pieces(text) if label is not None)


def _shown_text(text: LabelledText, number: dict[str, int]) -> str:
    body = "".join(
        "".join(f"<b>{page_text(label)}</b>" for label in beginning) + _shown(piece)
        if label is None
        else f'<span class="l{number[label] % len(COLOURS)}" title="{page_text(label)}">'
        + "".join(f"<b>{page_text(name)}</b>" for name in beginning)
        + f"{_shown(piece)}</span>"
        for piece, beginning, label in pieces(text)
    )
    prompt = f'<div class="rl-prompt rl-soft" dir="auto">{_shown(text.prompt)}</div>' if text.prompt else ""
    return f'{prompt}<div class="rl-text" dir="auto">{body}</div>'


def _shown(text: str) -> str:
    return page_text(text).replace("\r", "&#13;").replace("\0", "\N{REPLACEMENT CHARACTER}")
