"""Gap recovered by every arm, with intervals: what a hybrid does, beside everything that could have done it instead."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .palette import (
    CONTROL,
    INK,
    SECOND,
    SIGNAL,
    THIRD,
    styled,
)

if TYPE_CHECKING:
    from ..pairs.hybrid.measure import ArmResult

COLOURS = {
    "hybrid": SIGNAL,
    "probe-gated": SIGNAL,
    "network-strength": SIGNAL,
    "oracle": THIRD,
    "forcing": THIRD,
    "base-step-by-step": SECOND,
}
ENDS = ("base", "thinking")  # 0 and 1 by definition


def gap_bars(pairs: Mapping[str, Mapping[str, ArmResult]]) -> go.Figure:
    """A panel for each pair: a bar for each arm with its 95% interval, unclipped; the share of tokens beside it."""
    names = list(dict.fromkeys(arm for arms in pairs.values() for arm in arms if arm not in ENDS))[::-1]
    figure = make_subplots(
        rows=1,
        cols=len(pairs),
        shared_yaxes=True,
        horizontal_spacing=0.03,
        column_titles=[_title(name, arms) for name, arms in pairs.items()],
    )
    for column, arms in enumerate(pairs.values(), start=1):
        shown = [name for name in names if name in arms and not math.isnan(arms[name].gap)]
        results = [arms[name] for name in shown]
        if not results:
            figure.add_annotation(text="no gap to recover", x=0.5, y=len(names) / 2, row=1, col=column, showarrow=False)
        figure.add_trace(
            go.Bar(
                x=[each.gap for each in results],
                y=shown,
                orientation="h",
                marker={"color": [COLOURS.get(name, CONTROL) for name in shown]},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [each.gap_high - each.gap for each in results],
                    "arrayminus": [each.gap - each.gap_low for each in results],
                    "color": INK,
                    "thickness": 1.5,
                },
                customdata=[f"{each.steered:.1%}" for each in results],
                hovertemplate="%{y}: %{x:.3f}, %{customdata} of tokens steered<extra></extra>",
                showlegend=False,
            ),
            row=1,
            col=column,
        )
        figure.add_trace(
            go.Scatter(
                x=[max(each.gap_high, 0) for each in results],
                y=shown,
                mode="text",
                text=[f" {each.steered:.1%}" for each in results],
                textposition="middle right",
                textfont={"color": INK, "size": 11},
                cliponaxis=False,
                hoverinfo="skip",
                showlegend=False,
            ),
            row=1,
            col=column,
        )
        if results:
            low = min(0.0, *(each.gap_low for each in results))
            high = max(1.0, *(each.gap_high for each in results))
            room = high - low
            figure.update_xaxes(range=[low - 0.05 * room, high + 0.2 * room], row=1, col=column)
        for place, colour in ((0, INK), (1, INK)):
            figure.add_vline(place, row=1, col=column, line={"color": colour, "width": 1, "dash": "dot"})
    figure.update_yaxes(categoryorder="array", categoryarray=names)
    figure.update_xaxes(title="gap recovered")
    figure.update_annotations(font_size=12)
    n = max(result.n for arms in pairs.values() for result in arms.values())
    text = f"n = {n} questions a pair, 95% intervals over them, unclipped; 0: base, 1: thinking model; "
    text += "beside each bar: share of tokens steered"
    figure = styled(figure, "How much of the gap each arm recovers", text, 210 + 30 * len(names))
    figure.update_layout(margin={"t": 130, "l": 130})
    return figure


def _title(name: str, arms: Mapping[str, ArmResult]) -> str:
    return f"{name}<br>base {arms['base'].accuracy:.2f}, thinking {arms['thinking'].accuracy:.2f}"
