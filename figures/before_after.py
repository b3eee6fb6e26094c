"""Draw probes and directions by layer before and after something is left out, beside leaving out as much at random."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from ._panels import line_with_band
from .palette import (
    CONTROL,
    INK,
    SECOND,
    SIGNAL,
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
    in_legend: set[str] = set()
    for row, measure in enumerate(measures, start=1):
        for column, behaviour in enumerate(behaviours, start=1):
            panel = table[(table["measure"] == measure) & (table["behaviour"] == behaviour)]
            for series in in_order(panel["series"]):
                colour, dash = STYLES.get(series, OTHER)
                own = panel[(panel["series"] == series) & panel["value"].notna()].sort_values("layer")
                if own.empty:
                    continue
                mode = "lines+markers" if len(own) < 3 else "lines"
                for trace in line_with_band(own, series, colour, dash, shown=series not in in_legend, mode=mode):
                    figure.add_trace(trace, row=row, col=column)
                in_legend.add(series)
        figure.update_yaxes(title=measure, row=row, col=1)
    figure.update_xaxes(title="layer", row=len(measures))
    if (n_layers := table["layer"].nunique()) <= 12:
        figure.update_xaxes(dtick=1 if n_layers <= 6 else 2)
    figure.update_annotations(font_size=12)
    figure = styled(figure, title, caption, 170 + 170 * len(measures))
    return figure.update_layout(legend={"orientation": "h", "y": -0.2, "x": 0}, margin={"t": 120, "b": 90})
