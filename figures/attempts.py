"""Draw what many attempts are worth: pass@k of two models and their difference, Cover@tau, and each problem's rates."""

from __future__ import annotations

from math import log2

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import in_order
from .palette import CONTROL, FOURTH, INK, SECOND, SIGNAL, THIRD, faint, styled

COLUMNS = {
    "grading": str,
    "measure": str,
    "series": str,
    "k": float,
    "value": float,
    "low": float,
    "high": float,
    "standing": str,
    "can_cross": bool,
}
COVER_COLUMNS = {"series": str, "tau": float, "value": float, "low": float, "high": float}
RATE_COLUMNS = {"solved_by": str, "base": float, "thinking": float, "n": float}

# Names of the series, as the legend shows them.
BASE, THINKING, CHANCE, DIFFERENCE = "base", "thinking model", "chance: guesses", "thinking model less base"
STYLES = {BASE: (SECOND, "solid"), THINKING: (SIGNAL, "solid"), CHANCE: (CONTROL, "dot"), DIFFERENCE: (INK, "solid")}
OTHERS = ((THIRD, "dash"), (FOURTH, "dashdot"), (CONTROL, "dash"))  # of other series, in turn
AHEAD, BEHIND, CROSSING = "ahead", "behind", "can be the crossover (95%)"
SURE = {AHEAD: ("thinking model surely ahead", SIGNAL), BEHIND: ("base surely ahead", SECOND)}
BOTH, ONLY_BASE, ONLY_THINKING, NEITHER = "both", "base only", "thinking model only", "neither"
MARKS = {
    BOTH: (THIRD, "circle"),
    ONLY_BASE: (SECOND, "diamond"),
    ONLY_THINKING: (SIGNAL, "square"),
    NEITHER: (CONTROL, "x"),
}


def attempt_curves(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw a column for each grading and a row for each measure: every series by k with its band, k on a log scale.

    Args:
        table: `grading` (a column of panels), `measure` (a row of panels, and the title of its axis), `series` (a line,
            as the legend names it), `k`, `value` with its band `low` to `high` (NaN: none), `standing` ("ahead" or
            "behind", where a difference is sure; a line thickens there), `can_cross` (whether k is marked as a
            possible crossover, on the line of no difference).
        title: Title of the figure.
        caption: What stands under it.
    """
    gradings, measures = in_order(table["grading"]), in_order(table["measure"])
    figure = make_subplots(
        rows=len(measures),
        cols=len(gradings),
        shared_xaxes=True,
        shared_yaxes="rows",
        horizontal_spacing=0.04,
        vertical_spacing=0.06,
        column_titles=gradings if len(gradings) > 1 else None,
    )
    styles, in_legend = _styles(table), set[str]()
    for row, measure in enumerate(measures, start=1):
        for column, grading in enumerate(gradings, start=1):
            panel = table[(table["measure"] == measure) & (table["grading"] == grading)]
            for series in in_order(panel["series"]):
                points = panel[panel["series"] == series].sort_values("k", kind="stable")
                for trace in [*_line(points, series, styles[series]), *_sure(points), *_crossing(points)]:
                    name = str(trace.legendgroup)
                    trace.showlegend = bool(trace.showlegend) and name not in in_legend
                    if trace.showlegend:
                        in_legend.add(name)
                    figure.add_trace(trace, row=row, col=column)
            if DIFFERENCE in set(panel["series"]):
                figure.add_hline(0, row=row, col=column, line={"color": INK, "width": 1, "dash": "dot"})
        figure.update_yaxes(title=measure, row=row, col=1)
        figure.update_yaxes(rangemode="tozero", row=row)
    powers = [2**power for power in range(int(log2(max(table["k"].max(), 1))) + 1)]
    figure.update_xaxes(type="log", tickvals=powers, ticktext=[str(power) for power in powers])
    figure.update_xaxes(title="k: samples of each problem", row=len(measures))
    figure = styled(figure, title, caption, 220 + 270 * len(measures))
    return figure.update_layout(
        legend={"orientation": "h", "y": -0.22 / len(measures), "yanchor": "top", "x": 0}, margin={"t": 110, "b": 130}
    )


def cover_curves(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw the share of problems that are solved in at least so many of their samples.

    Args:
        table: `series` (a line), `tau` (share of the samples), `value` with its interval `low` to `high`.
        title: Title of the figure.
        caption: What stands under it.
    """
    figure, styles = go.Figure(), _styles(table)
    for series in in_order(table["series"]):
        points = table[table["series"] == series].sort_values("tau", kind="stable").rename(columns={"tau": "k"})
        figure.add_traces(_line(points, series, styles[series], "tau"))
    figure.update_xaxes(title="tau: share of the samples that are right, at least", range=[0, 1.02])
    figure.update_yaxes(title="share of the problems", range=[0, 1.02])
    figure = styled(figure, title, caption, 420)
    return figure.update_layout(legend={"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0}, margin={"b": 100})


def rate_points(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw each problem by the share of its samples that are right, of the base across and the thinking model up.

    Args:
        table: `solved_by` (whose samples hold a right one; a colour), `base` and `thinking` (shares of right samples),
            `n` (problems at this point; an area).
        title: Title of the figure.
        caption: What stands under it.
    """
    figure = go.Figure()
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line={"color": INK, "width": 1, "dash": "dot"})
    for name in in_order(table["solved_by"]):
        points = table[table["solved_by"] == name]
        colour, symbol = MARKS.get(name, (FOURTH, "cross"))
        figure.add_trace(
            go.Scatter(
                x=points["base"].tolist(),
                y=points["thinking"].tolist(),
                mode="markers",
                name=f"{name} (n = {points['n'].sum():.0f})",
                marker={
                    "color": faint(colour, 0.55),
                    "symbol": symbol,
                    "size": (6 * points["n"] ** 0.5).clip(upper=30).tolist(),
                    "line": {"color": colour, "width": 1},
                },
                customdata=points["n"].tolist(),
                hovertemplate="base %{x:.3f}, thinking %{y:.3f}: %{customdata} problems<extra>" + name + "</extra>",
                cliponaxis=False,
            )
        )
    figure.update_xaxes(title="share of the base's samples that are right", range=[-0.02, 1.02])
    figure.update_yaxes(title="share of the thinking model's", range=[-0.02, 1.02])
    figure = styled(figure, title, caption, 520)
    return figure.update_layout(legend={"orientation": "h", "y": -0.16, "yanchor": "top", "x": 0}, margin={"b": 100})


def _styles(table: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Give every series a colour and a dash."""
    others = [series for series in in_order(table["series"]) if series not in STYLES]
    return STYLES | {series: OTHERS[number % len(OTHERS)] for number, series in enumerate(others)}


def _line(points: pd.DataFrame, series: str, style: tuple[str, str], number: str = "k") -> list[go.Scatter]:
    colour, dash = style
    ks, values = points["k"].tolist(), points["value"].tolist()
    traces = []
    banded = points[points["low"].notna() & points["high"].notna()]
    if not banded.empty:
        across = banded["k"].tolist()
        traces.append(
            go.Scatter(
                x=[*across, *reversed(across)],
                y=[*banded["high"], *reversed(banded["low"].tolist())],
                fill="toself",
                fillcolor=faint(colour),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                legendgroup=series,
                showlegend=False,
            )
        )
    traces.append(
        go.Scatter(
            x=ks,
            y=values,
            name=series,
            legendgroup=series,
            showlegend=True,
            mode="lines+markers" if len(points) < 20 else "lines",
            marker={"size": 5},
            line={"color": colour, "width": 2, "dash": dash},
            customdata=points[["low", "high"]].to_numpy().tolist(),
            hovertemplate=number
            + " = %{x}: %{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]<extra>"
            + series
            + "</extra>",
        )
    )
    return traces


def _sure(points: pd.DataFrame) -> list[go.Scatter]:
    """Draw a thick line along the k at which a difference is sure."""
    runs = [run for run in _runs(points, "standing") if run["standing"].iloc[0] in SURE]
    return [_thick(run["k"].tolist(), run["value"].tolist(), *SURE[run["standing"].iloc[0]], 5) for run in runs]


def _crossing(points: pd.DataFrame) -> list[go.Scatter]:
    """Draw a bar on the line of no difference along the k that can be the crossover."""
    runs = [run["k"].tolist() for run in _runs(points, "can_cross") if run["can_cross"].iloc[0]]
    return [_thick(ks, [0.0] * len(ks), CROSSING, FOURTH, 9) for ks in runs]


def _runs(points: pd.DataFrame, column: str) -> list[pd.DataFrame]:
    """Divide rows where the value of a column changes."""
    return [run for _, run in points.groupby((points[column] != points[column].shift()).cumsum())]


def _thick(ks: list[float], values: list[float], name: str, colour: str, width: int) -> go.Scatter:
    is_point = len(ks) == 1
    return go.Scatter(
        x=ks,
        y=values,
        name=name,
        legendgroup=name,
        showlegend=True,
        mode="markers" if is_point else "lines",
        marker={"color": faint(colour, 0.6), "size": width + 2},
        line={"color": faint(colour, 0.6), "width": width},
        hoverinfo="skip",
    )
