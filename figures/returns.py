"""Draw shares of boundaries and continuations that show a behaviour again, beside what comes by chance."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .palette import CONTROL, INK, SIGNAL, styled

COLUMNS = {
    "behaviour": str,
    "measure": str,
    "series": str,
    "value": float,
    "low": float,
    "high": float,
    "n": float,
}

# Names of the series, as the legend shows them.
OWN, CHANCE = "at its own boundaries", "at those of others (chance)"
STYLES = {CHANCE: (CONTROL, "diamond"), OWN: (SIGNAL, "circle")}
OTHER = (INK, "square")


def return_rates(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw a row for each behaviour, a panel for each measure: the share and its interval beside that by chance.

    Args:
        table: `behaviour` (its row), `measure` (its panel), `series` (as the legend names it), `value` with its
            interval `low` to `high`, `n` (what the interval is over). NaN where nothing is known.
        title: Title of the figure.
        caption: What stands under it.
    """
    measures, behaviours = in_order(table["measure"]), in_order(table["behaviour"])
    figure = make_subplots(rows=1, cols=len(measures), shared_yaxes=True, column_titles=measures)
    for column, measure in enumerate(measures, start=1):
        for series in in_order(table["series"]):
            colour, symbol = STYLES.get(series, OTHER)
            rows = table[(table["measure"] == measure) & (table["series"] == series) & table["value"].notna()]
            points = go.Scatter(
                x=rows["value"].tolist(),
                y=rows["behaviour"].tolist(),
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": (rows["high"] - rows["value"]).tolist(),
                    "arrayminus": (rows["value"] - rows["low"]).tolist(),
                    "thickness": 1.5,
                    "width": 3,
                },
                customdata=rows[["low", "high", "n"]].to_numpy().tolist(),
                hovertemplate="%{y}: %{x:.2f} [%{customdata[0]:.2f}, %{customdata[1]:.2f}], n = %{customdata[2]:.0f}"
                f"<extra>{series}</extra>",
                name=series,
                legendgroup=series,
                showlegend=column == 1,
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 9},
            )
            figure.add_trace(points, row=1, col=column)
    figure.update_xaxes(range=[-0.02, 1.02], title="share")
    figure.update_yaxes(categoryorder="array", categoryarray=behaviours[::-1])
    figure = styled(figure, title, caption, 190 + 34 * len(behaviours))
    return figure.update_layout(legend={"orientation": "h", "y": -0.25, "x": 0}, margin={"t": 120, "b": 80})
