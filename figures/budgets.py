"""Draw what a budget buys: a line for each way to spend it, with intervals, budgets at even steps."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .palette import CONTROL, FOURTH, SECOND, SIGNAL, THIRD, styled

COLUMNS = {
    "panel": str,
    "measure": str,
    "series": str,
    "budget": float,
    "swapped": float,
    "value": float,
    "low": float,
    "high": float,
}
STYLES = (
    (SIGNAL, "solid", "circle"),
    (CONTROL, "dash", "x"),
    (SECOND, "dot", "diamond"),
    (THIRD, "dashdot", "square"),
    (FOURTH, "longdash", "cross"),
)
APART = 0.06  # steps between the points of two series, so that intervals can be told apart


def budget_curves(table: pd.DataFrame, *, title: str, caption: str, axis: str) -> go.Figure:
    """Draw a column for each panel and a row for each measure: every series by budget, with intervals.

    Args:
        table: `panel` (a column), `measure` (a row, and the title of its axis), `series` (a line, as the legend names
            it), `budget` (a share; budgets stand at even steps), `swapped` (the share that was used; NaN: not known),
            `value` (NaN: no point) with its interval `low` to `high`.
        title: Title of the figure.
        caption: What stands under it.
        axis: What the budget is of.
    """
    panels, measures, all_series = (in_order(table[name]) for name in ("panel", "measure", "series"))
    budgets = sorted(set(table["budget"]))
    steps = {budget: step for step, budget in enumerate(budgets)}
    figure = make_subplots(
        rows=len(measures),
        cols=len(panels),
        shared_xaxes=True,
        shared_yaxes="rows",
        horizontal_spacing=0.04,
        vertical_spacing=0.16 / len(measures),
        column_titles=panels,
    )
    shown = set[str]()
    for row, measure in enumerate(measures, start=1):
        for column, panel in enumerate(panels, start=1):
            for number, series in enumerate(all_series):
                is_own = (table["measure"] == measure) & (table["panel"] == panel) & (table["series"] == series)
                points = table[is_own & table["value"].notna()].sort_values("budget", kind="stable")
                if points.empty:
                    continue
                colour, dash, symbol = STYLES[number % len(STYLES)]
                offset = APART * (number - (len(all_series) - 1) / 2)
                figure.add_trace(
                    go.Scatter(
                        x=[steps[budget] + offset for budget in points["budget"]],
                        y=points["value"].tolist(),
                        name=series,
                        legendgroup=series,
                        showlegend=series not in shown,
                        mode="lines+markers",
                        line={"color": colour, "width": 2, "dash": dash},
                        marker={"color": colour, "symbol": symbol, "size": 8},
                        error_y={
                            "type": "data",
                            "symmetric": False,
                            "array": (points["high"] - points["value"]).tolist(),
                            "arrayminus": (points["value"] - points["low"]).tolist(),
                            "color": colour,
                            "thickness": 1.2,
                        },
                        customdata=points[["budget", "swapped", "low", "high"]].to_numpy().tolist(),
                        hovertemplate="budget %{customdata[0]:.1%}, used %{customdata[1]:.1%}: %{y:.3f} "
                        "[%{customdata[2]:.3f}, %{customdata[3]:.3f}]<extra>" + series + "</extra>",
                    ),
                    row=row,
                    col=column,
                )
                shown.add(series)
        figure.update_yaxes(title=measure, row=row, col=1)
    figure.update_xaxes(tickvals=list(steps.values()), ticktext=[f"{budget:.3g}" for budget in budgets])
    figure.update_xaxes(title=axis, row=len(measures))
    figure = styled(figure, title, caption, 220 + 280 * len(measures))
    return figure.update_layout(
        legend={"orientation": "h", "y": -0.25 / len(measures), "yanchor": "top", "x": 0}, margin={"t": 110, "b": 130}
    )
