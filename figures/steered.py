"""A steered response as HTML: a fragment for notebooks and reports, or a page that opens offline. No script runs.

A token on a colour was steered, or taken over, and became another one than the base's; one with a dotted line under it
was steered and stayed. Colours stand for behaviours.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from .page import offline_page
from .palette import (
    CONTROL,
    FOURTH,
    SECOND,
    SIGNAL,
    THIRD,
    faint,
)

if TYPE_CHECKING:
    from ..pairs.hybrid.steered_trace import SteeredTrace

COLOURS = (SIGNAL, SECOND, THIRD, FOURTH, "#B8860B", "#7A5CC9", "#2A9DA5", "#B03A48")
TAKEN_OVER = CONTROL

_MARKS = "".join(
    f".rl-steered .k{number} {{ --mark: {colour}; --faint: {faint(colour, 0.3)}; }}\n"
    for number, colour in enumerate((*COLOURS, TAKEN_OVER))
)
STYLE = f"""
.rl-steered .rl-text {{ white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.8;
  font-family: ui-monospace, monospace; font-size: 14px; }}
.rl-steered .rl-changed {{ background: var(--faint); border-bottom: 2px solid var(--mark); border-radius: 2px; }}
.rl-steered .rl-stayed {{ border-bottom: 2px dotted var(--mark); }}
.rl-steered .rl-soft {{ opacity: .75; font-size: .88em; margin: 0 0 .4rem; }}
.rl-steered .rl-key {{ margin-right: 1rem; white-space: nowrap; }}
{_MARKS}"""
PAGE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.2rem; white-space: pre-wrap; }
"""


def steered_page(trace: SteeredTrace) -> str:
    """A whole page. What models wrote is escaped; nothing is loaded."""
    return offline_page("A steered response", PAGE, f"<h1>{escape(trace.question)}</h1>\n{steered_fragment(trace)}")


def steered_fragment(trace: SteeredTrace) -> str:
    """The coloured response with its legend, to stand inside another page."""
    record = trace.record
    head = f"{escape(trace.arm)} ({'right' if trace.is_right else 'wrong'})"
    if record.n_gated:
        head += f", {record.n_gated} of {record.n_tokens} tokens gated, {record.n_changed} changed"
    return (
        f'<div class="rl-steered"><style>{STYLE}</style><p class="rl-soft">{head}</p>'
        f'<div class="rl-text">{steered_tokens(trace)}</div>{legend(trace)}</div>'
    )


def steered_tokens(trace: SteeredTrace) -> str:
    """The tokens alone; STYLE must be on the page, and something around them of class rl-steered."""
    return "".join(_token(trace, place) for place in range(trace.record.n_tokens))


def legend(trace: SteeredTrace) -> str:
    """What the colours of this response mean; "" where nothing is coloured."""
    record = trace.record
    shown = sorted({number for number in record.behaviour if number >= 0})
    keys = [
        f'<span class="rl-key"><span class="{_mark(number)} rl-changed">&nbsp;&nbsp;</span> '
        f"{escape(trace.behaviours[number] if number < len(trace.behaviours) else str(number))}</span>"
        for number in shown
    ]
    if any(_is_marked(trace, place) and record.behaviour[place] < 0 for place in range(record.n_tokens)):
        keys.append(
            f'<span class="rl-key"><span class="{_mark(-1)} rl-changed">&nbsp;&nbsp;</span> another token than the '
            "base's</span>"
        )
    return f'<p class="rl-soft">{"".join(keys)}</p>' if keys else ""


def _token(trace: SteeredTrace, place: int) -> str:
    text = escape(trace.pieces[place])
    if not _is_marked(trace, place):
        return text
    record = trace.record
    changed = record.tokens[place] != record.base[place]
    done = f"{trace.behaviour(place)}, strength {record.strength[place]:.3g}; " if record.behaviour[place] >= 0 else ""
    led = record.thinking_logprob[place]
    title = (
        f"{done}base: {trace.base[place]!r}, thinking: {trace.thinking[place]!r}; log probability of what was said: "
        f"base {record.base_logprob[place]:.2f}" + ("" if led is None else f", thinking {led:.2f}")
    )
    kind = "rl-changed" if changed else "rl-stayed"
    return f'<span class="{_mark(record.behaviour[place])} {kind}" title="{escape(title)}">{text or "&nbsp;"}</span>'


def _is_marked(trace: SteeredTrace, place: int) -> bool:
    """Steered, or another token than the base's: of tokens taken over everywhere, only those that differ."""
    record = trace.record
    return record.gated[place] and (record.behaviour[place] >= 0 or record.tokens[place] != record.base[place])


def _mark(behaviour: int) -> str:
    return f"k{len(COLOURS)}" if behaviour < 0 else f"k{behaviour % len(COLOURS)}"
