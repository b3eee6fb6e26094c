"""Define the one palette and layout of all figures: colour-blind safe, readable on a white and on a dark page."""

from __future__ import annotations

import plotly.graph_objects as go

# Okabe & Ito's colours that keep a contrast of 3 against both white and near-black.
SIGNAL = "#0072B2"
SECOND = "#D55E00"
THIRD = "#009E73"
FOURTH = "#CC79A7"
CONTROL = "#8A8A8A"
INK = "#777777"  # text and axes: readable on white and on black
GRID = "rgba(128, 128, 128, 0.25)"
SEQUENTIAL = "Cividis"
DIVERGING = "RdBu_r"


def faint(colour: str, opacity: float = 0.2) -> str:
    """Make a colour for the band of an interval."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"


def styled(figure: go.Figure, title: str, caption: str, height: int) -> go.Figure:
    """Set the house layout: title above, caption (with n) under the title, no background."""
    figure.update_layout(
        title={"text": title, "subtitle": {"text": caption, "font": {"size": 12}}, "x": 0, "xref": "paper"},
        font={"color": INK, "size": 13},
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        height=height,
        margin={"l": 20, "r": 20, "t": 90, "b": 50},
        hoverlabel={"align": "left"},
        modebar={"bgcolor": "rgba(0, 0, 0, 0)", "color": INK, "activecolor": SIGNAL},
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True)
    return figure
