"""Write a steered response as HTML: a fragment for notebooks and reports. No script runs.

A token on a colour was steered, or taken over, and became another one than the base's; one with a dotted line under it
was steered and stayed. Colours stand for behaviours.

All functions take one table, with one row a token: `token` (its text), `base_token` and `thinking_token` (what either
model alone would have written), `is_changed` (another token than the base's), `gated` (whether the gate was open),
`behaviour` (that it was steered towards; "" where it was not), `strength`, `base_logprob` and `thinking_logprob` (of
the token written, in nats; NaN where the thinking model did not run).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from ._text import page_text
from .palette import (
    CONTROL,
    FOURTH,
    SECOND,
    SIGNAL,
    THIRD,
    faint,
)

COLUMNS = (
    *("token", "base_token", "thinking_token", "is_changed", "gated", "behaviour", "strength"),
    *("base_logprob", "thinking_logprob"),
)
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


def steered_fragment(table: pd.DataFrame, behaviours: Sequence[str], *, caption: str) -> str:
    """Write the coloured response with its legend, to stand inside another page."""
    return (
        f'<div class="rl-steered"><style>{STYLE}</style><p class="rl-soft">{page_text(caption)}</p>'
        f'<div class="rl-text">{steered_tokens(table, behaviours)}</div>{legend(table, behaviours)}</div>'
    )


def steered_tokens(table: pd.DataFrame, behaviours: Sequence[str]) -> str:
    """Write the tokens alone; STYLE must be on the page, and something around them of class rl-steered."""
    rows = zip(*(table[name].tolist() for name in COLUMNS), strict=True)
    return "".join(_token(behaviours, *row) for row in rows)


def legend(table: pd.DataFrame, behaviours: Sequence[str]) -> str:
    """Write what the colours of this response mean; "" where nothing is coloured."""
    steered = set(table["behaviour"]) - {""}
    keys = [
        f'<span class="rl-key"><span class="{_mark(name, behaviours)} rl-changed">&nbsp;&nbsp;</span> '
        f"{page_text(name)}</span>"
        for name in behaviours
        if name in steered
    ]
    if (table["gated"] & table["is_changed"] & (table["behaviour"] == "")).any():
        keys.append(
            f'<span class="rl-key"><span class="{_mark("", behaviours)} rl-changed">&nbsp;&nbsp;</span> another token '
            "than the base's</span>"
        )
    return f'<p class="rl-soft">{"".join(keys)}</p>' if keys else ""


def _token(
    behaviours: Sequence[str],
    token: str,
    base: str,
    thinking: str,
    is_changed: bool,
    gated: bool,
    behaviour: str,
    strength: float,
    base_logprob: float,
    thinking_logprob: float | None,
) -> str:
    text = page_text(token)
    if not gated or not (behaviour or is_changed):  # of tokens taken over everywhere, only those that differ
        return text
    done = f"{behaviour}, strength {strength:.3g}; " if behaviour else ""
    is_known = thinking_logprob is not None and not math.isnan(thinking_logprob)
    title = (
        f"{done}base: {base!r}, thinking: {thinking!r}; log probability of what was said: base {base_logprob:.2f}"
        + (f", thinking {thinking_logprob:.2f}" if is_known else "")
    )
    kind = "rl-changed" if is_changed else "rl-stayed"
    return f'<span class="{_mark(behaviour, behaviours)} {kind}" title="{page_text(title)}">{text or "&nbsp;"}</span>'


def _mark(behaviour: str, behaviours: Sequence[str]) -> str:
    return f"k{behaviours.index(behaviour) % len(COLOURS)}" if behaviour else f"k{len(COLOURS)}"
