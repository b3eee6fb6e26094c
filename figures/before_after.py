"""Draw probes and directions by layer before and after something is left out, beside leaving out as much at random."""

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
    faint,
    styled,
)

COLUMNS = {
    "behaviour": str,
    "measure": str,
    "series": str,
    "layer": float,
    "value": float,
    "low": float,
    "high": float,
}

# Names of the series, as the legend shows them.
BEFORE, AFTER, RANDOM = "all spans", "stable spans", "as many random spans"
STYLES = {RANDOM: (CONTROL, "dot"), BEFORE: (SECOND, "dash"), AFTER: (SIGNAL, "solid")}
OTHER = (INK, "dashdot")


def before_after_curves(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw a column for each behaviour and a row for each measure: each series by layer with its band.

    Args:
        table: `behaviour` (its column), `measure` (its row), `series` (a line, as the legend names it), `layer`,
            `value` with `low` to `high` (an interval, or the range of the random draws). NaN where nothing is known.
        title: Title of the figure.
        caption: What stands under it.
    """
    behaviours, measures = in_order(table["behaviour"]), in_order(table["measure"])
    figure = make_subplots(
        rows=len(measures),
        cols=len(behaviours),
        shared_xaxes=True,
        shared_yaxes="rows",
        horizontal_spacing=0.2 / (len(behaviours) + 3),
        vertical_spacing=0.1,
        column_titles=behaviours,
    )
    seen: set[str] = set()
    for row, measure in enumerate(measures, start=1):
        for column, behaviour in enumerate(behaviours, start=1):
            panel = table[(table["measure"] == measure) & (table["behaviour"] == behaviour)]
            for series in in_order(panel["series"]):
                colour, dash = STYLES.get(series, OTHER)
                own = panel[(panel["series"] == series) & panel["value"].notna()].sort_values("layer")
                if own.empty:
                    continue
                for trace in _line(own, series, colour, dash, shown=series not in seen):
                    figure.add_trace(trace, row=row, col=column)
                seen.add(series)
        figure.update_yaxes(title=measure, row=row, col=1)
    figure.update_xaxes(title="layer", row=len(measures))
    figure.update_annotations(font_size=12)
    figure = styled(figure, title, caption, 170 + 170 * len(measures))
    return figure.update_layout(legend={"orientation": "h", "y": -0.2, "x": 0}, margin={"t": 120, "b": 90})


def _line(rows: pd.DataFrame, series: str, colour: str, dash: str, *, shown: bool) -> list[go.Scatter]:
    """Draw the line of a series and the band around it."""
    layers = rows["layer"].tolist()
    band = go.Scatter(
        x=[*layers, *layers[::-1]],
        y=[*rows["high"].tolist(), *rows["low"].tolist()[::-1]],
        fill="toself",
        fillcolor=faint(colour),
        line={"width": 0, "color": INK},
        hoverinfo="skip",
        legendgroup=series,
        showlegend=False,
    )
    line = go.Scatter(
        x=layers,
        y=rows["value"].tolist(),
        name=series,
        legendgroup=series,
        showlegend=shown,
        mode="lines+markers" if len(layers) < 3 else "lines",
        line={"color": colour, "width": 2, "dash": dash},
        hovertemplate="layer %{x}: %{y:.3f}<extra>" + series + "</extra>",
    )
    return [band, line]
