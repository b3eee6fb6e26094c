"""Draw a figure by layer with its interval, and the bands in which nulls and controls lie; a panel for each subject."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ._grid import in_order
from ._panels import line_with_band, panels
from .palette import CONTROL, FOURTH, INK, SECOND, SIGNAL, THIRD, styled

COLUMNS = {"behaviour": str, "series": str, "layer": float, "value": float, "low": float, "high": float}

# Names of the series, as the legend shows them.
BETWEEN, OWN = "between the models", "own probe"
RANDOM, SHUFFLED, BASELINE = "random directions", "shuffled labels", "strongest baseline, no model"
PERMUTED, WITHIN = "spans permuted", "spans permuted within problems"
STYLES = {
    BETWEEN: (SIGNAL, "solid"),
    OWN: (SECOND, "dash"),
    SHUFFLED: (CONTROL, "dash"),
    RANDOM: (CONTROL, "dot"),
    BASELINE: (THIRD, "dashdot"),
    PERMUTED: (CONTROL, "dot"),
    WITHIN: (FOURTH, "dash"),
}
OTHER = (INK, "dashdot")


def null_curves(table: pd.DataFrame, *, title: str, caption: str, axis: str) -> go.Figure:
    """Draw one panel for each behaviour or pair: each series by layer with its band.

    Args:
        table: `behaviour` (its panel), `series` (a line, as the legend names it), `layer`, `value` with `low` to `high`
            (an interval, or where a null lies). NaN where nothing is known.
        title: Title of the figure.
        caption: What stands under it.
        axis: What the values are, with their unit.
    """
    laid_out = panels(table, lambda name, _: name, gap=0.24)
    figure, n_rows = laid_out.figure, laid_out.n_rows
    in_legend: set[str] = set()
    for row, column, panel in laid_out:
        for series in in_order(panel["series"]):
            own = panel[(panel["series"] == series) & panel["value"].notna()].sort_values("layer")
            if own.empty:
                continue
            colour, dash = STYLES.get(series, OTHER)
            mode = "lines+markers" if len(own) < 3 else "lines"
            for trace in line_with_band(own, series, colour, dash, shown=series not in in_legend, mode=mode):
                figure.add_trace(trace, row=row, col=column)
            in_legend.add(series)
    figure.update_yaxes(title=axis, col=1)
    figure.update_xaxes(title="layer of the base", row=n_rows)
    if table["layer"].nunique() <= 12:
        figure.update_xaxes(dtick=1 if table["layer"].nunique() <= 6 else 2)
    height = 230 * n_rows  # of the panels alone
    figure = styled(figure, title, caption, 210 + height)
    return figure.update_layout(
        legend={"orientation": "h", "y": -50 / height, "yanchor": "top", "x": 0}, margin={"t": 120, "b": 90}
    )
