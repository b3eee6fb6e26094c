"""Draw scores of probes at each token of some texts, as strips: a panel for each text, a row for each behaviour."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ._grid import grid, in_order
from .palette import DIVERGING, styled

COLUMNS = {
    "number": float,
    "text": str,
    "behaviour": str,
    "position": float,
    "token": str,
    "value": float,
    "distance": float,
}
STRIP, AROUND = 26, 64  # pixels of a strip, and around those of a panel


def token_strip(table: pd.DataFrame, *, title: str, caption: str, measure: str) -> go.Figure:
    """Draw a strip for each behaviour, a cell for each token; the token is shown where the pointer is.

    Args:
        table: One row for each behaviour and token: `number` and `text` (of its panel, and the panel's title),
            `behaviour`, `position` (of the token in its text), `token`, `value` (NaN: none), `distance` (of the value
            above what any token would be given: the colour).
        title: Title of the figure.
        caption: What stands under it.
        measure: What `value` is.
    """
    numbers = in_order(table["number"])
    panels = [table[table["number"] == number] for number in numbers]
    n_strips = [panel["behaviour"].nunique() for panel in panels]
    inner = sum(STRIP * n + AROUND for n in n_strips)
    limit = max(float(table["distance"].abs().max()), 0.5) if table["distance"].notna().any() else 0.5
    figure = make_subplots(
        rows=len(panels),
        cols=1,
        row_heights=n_strips,
        vertical_spacing=AROUND / inner,
        subplot_titles=[str(panel["text"].iloc[0]) for panel in panels],
    )
    for row, panel in enumerate(panels, start=1):
        tokens, values = (grid(panel, "behaviour", "position", name) for name in ("token", "value"))
        strip = go.Heatmap(
            z=grid(panel, "behaviour", "position", "distance"),
            x=in_order(panel["position"]),
            y=in_order(panel["behaviour"]),
            customdata=[
                [list(cell) for cell in zip(*cells, strict=True)] for cells in zip(tokens, values, strict=True)
            ],
            hovertemplate="%{y}, token %{x}: %{customdata[0]}<br>%{customdata[1]:+.2f}<extra></extra>",
            colorscale=DIVERGING,
            zmin=-limit,
            zmax=limit,
            showscale=row == 1,
            colorbar={"title": {"text": measure}, "thickness": 12},
        )
        figure.add_trace(strip, row=row, col=1)
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="token", row=len(panels))
    figure.update_annotations(font_size=12)
    return styled(figure, title, caption, 140 + inner)
