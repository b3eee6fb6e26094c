"""Define what every result can do, whichever question it answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import pandas as pd
import plotly.graph_objects as go

from .table import FigureTable


@runtime_checkable
class Result(Protocol):
    """The result of a verb: tables, figures, plain values and files.

    What was too heavy for `to_dict` (weights, activations, responses token by token) lies in files of its own and is
    not needed for tables and figures: a result that `from_dict` read back draws the same figures and gives the same
    frame. Asking it for what it does not hold raises an InputError that names the file.
    """

    def to_frame(self) -> pd.DataFrame:
        """Tabulate the result: one tidy table, intervals in the columns `NAME_low` and `NAME_high`."""
        ...

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        ...

    def figures(self) -> dict[str, go.Figure]:
        """Draw every figure by its name: `draw_all(self.tables())`."""
        ...

    def figure(self) -> go.Figure:
        """Draw the figure to look at first; it is one of `figures()`."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Give plain values for JSON, as `results.json` holds them; None for NaN. `format` names their kind."""
        ...

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read back a result.

        Args:
            content: What `to_dict` gave, also as JSON has it.

        Returns:
            The result, without what lies in files of its own.
        """
        ...

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, a file of tables/ for each figure, report.html and what else it holds.

        Args:
            directory: Made where there is none; files of these names are replaced, each atomically.
        """
        ...

    def _repr_html_(self) -> str:
        """Write the headline for a notebook, as HTML."""
        ...

    def __repr__(self) -> str:
        """Say the headline in a line."""
        ...
