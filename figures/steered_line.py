"""Draw how likely two models held each token of a response, and where one of them was steered or overruled."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ._grid import in_order
from .palette import CONTROL, INK, SECOND, styled
from .steered import COLOURS

COLUMNS = {
    "position": float,
    "token": str,
    "gated": bool,
    "behaviour": str,
    "strength": float,
    "base_logprob": float,
    "thinking_logprob": float,
}
TAKEN = "gate open, not steered"


def steered_line(table: pd.DataFrame, *, title: str, caption: str) -> go.Figure:
    """Draw both models' log probabilities of what was written, with a mark at each token where the gate was open.

    Args:
        table: One row for each token of a response: `position` (from 0), `token`, `gated` (whether the gate was open),
            `behaviour` (that it was steered towards; "" where it was not), `strength`, `base_logprob` and
            `thinking_logprob` (of the token written, in nats; NaN where the thinking model did not run).
        title: Title of the figure.
        caption: What stands under it.
    """
    figure = go.Figure()
    for column, name, colour in (("base_logprob", "base", INK), ("thinking_logprob", "thinking model", SECOND)):
        if table[column].notna().any():
            figure.add_scatter(
                x=table["position"].tolist(),
                y=table[column].tolist(),
                customdata=table["token"].tolist(),
                name=name,
                mode="lines",
                line={"color": colour, "width": 1.5, "dash": "solid" if column == "base_logprob" else "dot"},
                hovertemplate=f"%{{customdata}}, token %{{x}}: %{{y:.2f}}<extra>{name}</extra>",
            )
    gated = table[table["gated"]]
    steered = [name for name in in_order(gated["behaviour"]) if name]
    for name in (*steered, *([""] if (gated["behaviour"] == "").any() else [])):
        rows = gated[gated["behaviour"] == name]
        figure.add_scatter(
            x=rows["position"].tolist(),
            y=rows["base_logprob"].tolist(),
            customdata=list(zip(rows["token"].tolist(), rows["strength"].tolist(), strict=True)),
            name=name or TAKEN,
            mode="markers",
            marker={"color": COLOURS[steered.index(name) % len(COLOURS)] if name else CONTROL, "size": 9},
            hovertemplate="%{customdata[0]}, strength %{customdata[1]:.3g}<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(title="token of the response")
    figure.update_yaxes(title="log probability of the token written, nats")
    return styled(figure, title, caption, 420)
