"""Draw shares with intervals, a row for each arm and a panel for each measure."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .palette import CONTROL, INK, SECOND, SIGNAL, THIRD, styled

COLUMNS = {
    "arm": str,
    "measure": str,
    "role": str,
    "value": float,
    "low": float,
    "high": float,
    "reference": float,
    "n": float,
}

# What an arm is there for -> its colour; others: CONTROL.
COLOURS = {"vectors": SIGNAL, "only": THIRD, "without": SECOND, "end": INK, "transfer": SIGNAL}


def arm_points(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw a row for each arm, a panel for each measure: the value with its interval, and a line at a reference.

    Args:
        table: `arm` (its row), `measure` (its panel), `role` ("vectors", "only", "without", "end", "transfer" or
            another, for the colour), `value` with its interval `low` to `high`, `reference` (where the panel's line
            stands), `n` (what the interval is over). NaN where nothing is known.
        title: Title of the figure.
        caption: What stands under it.
    """
    measures, arms = in_order(table["measure"]), in_order(table["arm"])
    figure = make_subplots(
        rows=1, cols=len(measures), shared_yaxes=True, column_titles=measures, horizontal_spacing=0.03
    )
    for column, measure in enumerate(measures, start=1):
        rows = table[(table["measure"] == measure) & table["value"].notna()]
        points = go.Scatter(
            x=rows["value"].tolist(),
            y=rows["arm"].tolist(),
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (rows["high"] - rows["value"]).tolist(),
                "arrayminus": (rows["value"] - rows["low"]).tolist(),
                "thickness": 1.5,
                "width": 3,
                "color": INK,
            },
            customdata=rows[["low", "high", "n"]].to_numpy().tolist(),
            hovertemplate="%{y}: %{x:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}], n = %{customdata[2]:.0f}"
            "<extra></extra>",
            mode="markers",
            marker={"color": [COLOURS.get(role, CONTROL) for role in rows["role"]], "size": 9},
            showlegend=False,
        )
        figure.add_trace(points, row=1, col=column)
        reference = table.loc[table["measure"] == measure, "reference"].dropna()
        if len(reference):
            line = {"color": INK, "width": 1, "dash": "dot"}
            figure.add_vline(float(reference.iloc[0]), row=1, col=column, line=line)
    figure.update_yaxes(categoryorder="array", categoryarray=arms[::-1])
    figure = styled(figure, title, caption, 190 + 26 * len(arms))
    return figure.update_layout(margin={"t": 130, "l": 130})
