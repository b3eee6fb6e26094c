"""Draw a saved table again, as it was or as somebody has changed it."""

from __future__ import annotations

import json
from pathlib import Path

import plotly.graph_objects as go

from .table import FigureTable


def figure(table: str | Path) -> go.Figure:
    """Draw a saved table.

    Args:
        table: A file of the folder `tables/` in which results are written.

    Returns:
        The figure that the table names, with its title and caption.

    Raises:
        ValueError: The table cannot be read, or is no table of a figure; the message lists the tables beside it.
    """
    path = Path(table)
    beside = sorted((path if path.is_dir() else path.parent).glob("tables/*.json"))
    remedy = (
        f"draw one of {', '.join(file.name for file in beside)} in {beside[0].parent}"
        if beside
        else "give a file of the folder tables/ that reasonlens has written"
    )
    if path.suffix == ".csv":
        raise ValueError(f"{path} is CSV and names no figure; {remedy}")
    try:
        return FigureTable.from_dict(json.loads(path.read_text("utf-8"))).draw()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}; {remedy}") from None
    except ValueError as error:
        raise ValueError(f"{path} cannot be drawn: {error}; {remedy}") from None
