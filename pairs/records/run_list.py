"""Hold a list of runs with what they found."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import pandas as pd

from ...rundir import brief, looked_at


@dataclass(frozen=True, kw_only=True)
class RunEntry:
    """One run directory."""

    path: str  # as it was reached from the directory that was searched
    command: str
    state: str  # done, running (or cut off), failed, written (by `write`, without a run)
    changed: str  # when run.json or results.json was last written, local time, to the minute
    model: str  # what it was of, as far as the run names it
    headline: str  # what the result says of itself in a line; "" before it is done

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class RunList:
    """The result of `runs`: its runs, those that changed last first."""

    directory: str
    runs: tuple[RunEntry, ...]

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, place: int) -> RunEntry:
        return self.runs[place]

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each run."""
        columns = list(RunEntry.__dataclass_fields__)
        return pd.DataFrame([{name: getattr(run, name) for name in columns} for run in self.runs], columns=columns)

    @looked_at(".to_frame(), [0].path, reasonlens.read_result(path)")
    def __repr__(self) -> str:
        return f"RunList({self.directory:.80}: {len(self)} runs)"

    def _repr_html_(self) -> str:
        """Show the runs as a table, text escaped."""
        frame = self.to_frame()
        head = "".join(f"<th>{escape(name)}</th>" for name in frame.columns)
        rows = "".join(
            f"<tr>{''.join(f'<td>{escape(str(value))}</td>' for value in row)}</tr>"
            for row in frame.itertuples(index=False)
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
