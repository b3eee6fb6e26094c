"""Show a trace token by token, coloured by what is known of each: projections, probe scores, who decided, divergence.

1. A channel holds one value a token, of a measure, and where it has them of a behaviour and a layer; controls on the
   page choose among them. Labelled spans are bands under the words.
2. Values travel as 16-bit steps of the channel's own range (error at most 1 in 65,000 of it), so that a trace of 32,000
   tokens with many channels stays small.
3. The page holds the whole text; the tokens near the window alone are elements of their own (`pages/tokens.js`).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ._text import page_text
from .page import render

STEPS = 32_000  # on either side of the middle of a channel's range
MISSING = -32_768
N_NAMED = 4
FRAME = 640  # pixels: height in a notebook


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenChannel:
    """One value for each token of a trace; NaN where there is none."""

    measure: str  # as "projection on a direction", "probe score"; the first control chooses it
    values: Float[np.ndarray, " n_tokens"]  # of a channel with categories: their places in the list
    behaviour: str = ""  # of a direction or probe; "" for what has none
    layer: int | None = None  # 0-based block; None for what has none
    unit: str = ""
    centre: float | None = 0.0  # the value without a colour; None: colours begin at the least value
    categories: tuple[str, ...] = ()  # names of the values, for a channel that is no number

    def __repr__(self) -> str:
        where = "" if self.layer is None else f", layer {self.layer}"
        name = f"{self.measure!r:.60}, {self.behaviour!r:.60}{where}"
        return f"TokenChannel({name}, {len(self.values)} tokens; look: .values)"

    def to_dict(self) -> dict[str, Any]:
        """Convert to the plain values of a page: the range, and the values as 16-bit steps in base64."""
        values = np.asarray(self.values, dtype=np.float64)
        known = values[np.isfinite(values)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
        middle, half = (low + high) / 2, (high - low) / 2 or 1.0
        steps = np.full(len(values), MISSING, dtype="<i2")
        steps[np.isfinite(values)] = np.rint((known - middle) / half * STEPS).astype("<i2")
        centre = low if self.centre is None else self.centre
        return {
            "measure": self.measure,
            "behaviour": self.behaviour,
            "layer": self.layer,
            "unit": self.unit,
            "centre": centre,
            "signed": self.centre is not None,
            "reach": float(np.quantile(np.abs(known - centre), 0.98)) if known.size else 1.0,
            "categories": list(self.categories),
            "middle": middle,
            "step": half / STEPS,
            "packed": b64encode(steps.tobytes()).decode(),
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class ViewedTrace:
    """One trace: its tokens as text, its channels, its labelled spans, and further words on single tokens."""

    name: str
    prompt: str
    tokens: tuple[str, ...]  # the text of each, which joined are the text
    channels: tuple[TokenChannel, ...]
    bands: tuple[tuple[int, int, str], ...] = ()  # first token, token after the last, label
    notes: dict[int, str] = field(default_factory=dict)  # token -> what else is said when it is pointed at

    def __repr__(self) -> str:
        counts = f"{len(self.tokens)} tokens, {len(self.channels)} channels"
        return f"ViewedTrace({self.name!r:.80}, {counts}; look: .tokens, .channels)"

    def __post_init__(self) -> None:
        if wrong := [channel for channel in self.channels if len(channel.values) != len(self.tokens)]:
            raise ValueError(f"{wrong[0]!r} has another number of values than the trace has tokens, {len(self.tokens)}")


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenView:
    """Traces that show themselves token by token: in a notebook as they are, on a page by `to_html`."""

    traces: tuple[ViewedTrace, ...]
    title: str
    caption: str

    def to_html(self, path: str | Path | None = None) -> str:
        """Write a page of its own, which opens offline.

        Args:
            path: The file; None writes nothing.

        Returns:
            The page, HTML, all text in it escaped.
        """
        data = {
            "traces": [
                {
                    "name": trace.name,
                    "prompt": trace.prompt,
                    "tokens": list(trace.tokens),
                    "bands": [list(band) for band in trace.bands],
                    "notes": {str(place): note for place, note in trace.notes.items()},
                    "channels": [channel.to_dict() for channel in trace.channels],
                }
                for trace in self.traces
            ]
        }
        shown = [{"name": trace.name, "text": "".join(trace.tokens), "prompt": trace.prompt} for trace in self.traces]
        page = render(
            "tokens.html.jinja",
            {"title": self.title, "caption": self.caption, "traces": shown},
            {},
            data={"tokens": data},
            scripts=("tokens.js",),
        )
        if path is not None:
            Path(path).expanduser().write_text(page, "utf-8")
        return page

    def _repr_html_(self) -> str:
        """Show the page in a frame of its own, in which it can reach nothing of the notebook."""
        return (
            f'<iframe title="{page_text(self.title)}" sandbox="allow-scripts" srcdoc="{escape(self.to_html())}" '
            f'style="width: 100%; height: {FRAME}px; border: 1px solid #8888"></iframe>'
        )

    def __len__(self) -> int:
        return len(self.traces)

    def __repr__(self) -> str:
        n_tokens = sum(len(trace.tokens) for trace in self.traces)
        measures = list(dict.fromkeys(channel.measure for trace in self.traces for channel in trace.channels))
        more = ", …" if len(measures) > N_NAMED else ""
        named = ", ".join(measure[:60] for measure in measures[:N_NAMED])
        return f"TokenView({len(self.traces)} traces, {n_tokens} tokens: {named}{more}; look: .to_html('view.html'))"


def bands_of(
    stretches: Sequence[tuple[int, int]], labels: Sequence[tuple[int, int, str]]
) -> tuple[tuple[int, int, str], ...]:
    """Find the tokens of labelled spans.

    Args:
        stretches: First character and the one after the last of each token, in order.
        labels: The same of each span, with its label.

    Returns:
        First token, token after the last, and label, of each span that holds a token.
    """
    starts, ends = np.array(stretches, dtype=np.int64).reshape(-1, 2).T
    bands = []
    for start, end, label in labels:
        first, stop = int(np.searchsorted(ends, start, side="right")), int(np.searchsorted(starts, end, side="left"))
        if first < stop:
            bands.append((first, stop, label))
    return tuple(bands)
