"""Draw the gap recovered by every arm: what a hybrid does, beside everything that could have done it instead."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .palette import (
    CONTROL,
    INK,
    SECOND,
    SIGNAL,
    THIRD,
    styled,
)

COLUMNS = {
    "pair": str,
    "arm": str,
    "role": str,
    "accuracy": float,
    "gap": float,
    "gap_low": float,
    "gap_high": float,
    "steered": float,
}

# What an arm is there for -> its colour.
END = "end"  # the base and the thinking model: 0 and 1 by definition, drawn as lines
COLOURS = {"hybrid": SIGNAL, "variant": SIGNAL, "ceiling": THIRD, "prompt": SECOND}  # others: CONTROL


def gap_bars(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw a panel for each pair: a bar for each arm with its interval, unclipped; the share of tokens beside it.

    Args:
        table: One row for each pair and arm: `pair` (its panel), `arm`, `role` ("hybrid", "variant", "ceiling",
            "prompt" or another, for the colour; "end" for the base and the thinking model, whose accuracies stand in
            the panel's title and whose bars are the lines at 0 and 1), `accuracy`, `gap` (share of the gap recovered;
            NaN: no bar) with its interval `gap_low` to `gap_high`, `steered` (share of the tokens).
        title: Title of the figure.
        caption: What stands under it.
    """
    pairs = in_order(table["pair"])
    arms = table[table["role"] != END]
    names = in_order(arms["arm"])[::-1]
    figure = make_subplots(
        rows=1,
        cols=len(pairs),
        shared_yaxes=True,
        horizontal_spacing=0.03,
        column_titles=[_title(pair, table[table["pair"] == pair]) for pair in pairs],
    )
    for column, pair in enumerate(pairs, start=1):
        panel = arms[(arms["pair"] == pair) & arms["gap"].notna()]
        panel = panel.sort_values("arm", key=lambda arm: arm.map(names.index), kind="stable")
        if panel.empty:
            figure.add_annotation(text="no gap to recover", x=0.5, y=len(names) / 2, row=1, col=column, showarrow=False)
        for trace in _bars(panel):
            figure.add_trace(trace, row=1, col=column)
        if not panel.empty:
            low, high = min(0.0, panel["gap_low"].min()), max(1.0, panel["gap_high"].max())
            room = high - low
            figure.update_xaxes(range=[low - 0.05 * room, high + 0.2 * room], row=1, col=column)
        for end in (0, 1):
            figure.add_vline(end, row=1, col=column, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_yaxes(categoryorder="array", categoryarray=names)
    figure.update_xaxes(title="gap recovered")
    figure.update_annotations(font_size=12)
    figure = styled(figure, title, caption, 210 + 30 * len(names))
    figure.update_layout(margin={"t": 130, "l": 130})
    return figure


def _bars(panel: pd.DataFrame) -> list[go.Bar | go.Scatter]:
    shares = [f"{share:.1%}" for share in panel["steered"]]
    bars = go.Bar(
        x=panel["gap"].tolist(),
        y=panel["arm"].tolist(),
        orientation="h",
        marker={"color": [COLOURS.get(role, CONTROL) for role in panel["role"]]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (panel["gap_high"] - panel["gap"]).tolist(),
            "arrayminus": (panel["gap"] - panel["gap_low"]).tolist(),
            "color": INK,
            "thickness": 1.5,
        },
        customdata=shares,
        hovertemplate="%{y}: %{x:.3f}, %{customdata} of tokens steered<extra></extra>",
        showlegend=False,
    )
    beside = go.Scatter(
        x=panel["gap_high"].clip(lower=0).tolist(),
        y=panel["arm"].tolist(),
        mode="text",
        text=[f" {share}" for share in shares],
        textposition="middle right",
        textfont={"color": INK, "size": 11},
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
    )
    return [bars, beside]


def _title(pair: str, rows: pd.DataFrame) -> str:
    ends = rows[rows["role"] == END]
    accuracies = (f"{arm} {accuracy:.2f}" for arm, accuracy in zip(ends["arm"], ends["accuracy"], strict=True))
    return f"{pair}<br>{', '.join(accuracies)}"
