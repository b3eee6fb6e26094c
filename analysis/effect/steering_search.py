"""Hold a search for layer and strength: every trial, the choice, and the directions with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all, render
from ...rundir import brief, from_row, looked_at, restoring
from ...rundir.result_files import REPORT, RESULTS, TABLE, check_format, write_result
from ...stats import Interval
from ...vectors import Choice, Directions
from .in_words import of_search

FORMAT = "reasonlens.steering-search/1"
VECTORS = "vectors.safetensors"
FILES = (RESULTS, TABLE, REPORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One layer and strength on the first n problems."""

    rung: int
    layer: int  # 0-based block
    strength: float  # in units of the mean residual norm
    n: int  # problems
    rate: float  # share of sentences that show the behaviour
    unsteered_rate: float  # of the same problems
    kl_nats: float  # KL(steered || unsteered), nats a token written
    share_steered: float  # of the tokens written
    dropped: str  # why; empty: it went on, or is the choice

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class SteeringSearch:
    """The result of `steer_find`."""

    trials: dict[str, tuple[Tried, ...]]  # of each behaviour, in their order
    effects: dict[str, Interval]  # rate at the choice minus unsteered, on the problems that it was chosen on
    n_decoded: dict[str, int]  # problems, each counted once for each layer and strength it was answered at
    n_grid: int  # the same of a full grid, for one behaviour
    directions: Directions | None  # with what was found; None where the result was read from plain values
    choices: dict[str, Choice]
    about: dict[str, Any]  # model, settings

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each trial: behaviour, and the fields of `Tried`."""
        return pd.DataFrame(
            [{"behaviour": name, **asdict(trial)} for name, trials in self.trials.items() for trial in trials]
        )

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        rows = self.to_frame().rename(columns={"behaviour": "search", "rate": "objective"})
        n = max(trial.n for trials in self.trials.values() for trial in trials)
        caption = (
            f"{n} problems; KL of the steered model from the unsteered one, limit "
            f"{self.about['settings']['kl_limit_nats']:g} nats a token; the ring is the choice"
        )
        options = {
            "title": "The search for layer and strength",
            "caption": caption,
            "objective": "rate of the behaviour",
        }
        return {"search": FigureTable(figure="search_lines", rows=rows, options=options)}

    def figures(self) -> dict[str, go.Figure]:
        """Draw every figure by its name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw the rate of each layer and strength by the number of problems."""
        return self.figures()["search"]

    def to_dict(self) -> dict[str, Any]:
        """Convert to the plain values of results.json."""
        return {
            "format": FORMAT,
            **self.about,
            "choices": {name: asdict(choice) for name, choice in self.choices.items()},
            "effects": {name: effect.to_dict() for name, effect in self.effects.items()},
            "n_decoded": self.n_decoded,
            "n_grid": self.n_grid,
            "trials": {name: [asdict(trial) for trial in trials] for name, trials in self.trials.items()},
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> SteeringSearch:
        """Build a result from plain values; the vectors are not in them.

        Args:
            content: What `to_dict` returned, or the same as read from results.json.

        Returns:
            The result.

        Raises:
            InputError: The format is another.
        """
        check_format(content, FORMAT)
        return cls(
            trials={name: tuple(from_row(Tried, row) for row in rows) for name, rows in content["trials"].items()},
            effects={name: Interval.from_dict(row) for name, row in content["effects"].items()},
            n_decoded=dict(content["n_decoded"]),
            n_grid=content["n_grid"],
            directions=None,
            choices={name: Choice(**row) for name, row in content["choices"].items()},
            about={name: content[name] for name in ("model", "settings")},
        )

    def report(self) -> str:
        """Write one self-contained HTML page."""
        return render("search.html.jinja", self.to_dict(), self.figures(), sentences=self.in_words())

    def in_words(self) -> list[str]:
        """Say what was chosen, and that this is no evidence yet."""
        if not self.choices:
            return ["Nothing was chosen: no layer and strength stayed within the limit."]
        return [of_search(self.choices, self.effects, kl_limit=self.about["settings"]["kl_limit_nats"])]

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/, report.html and, where they are there, the vectors.

        Args:
            directory: Created if it does not exist; files of these names are replaced.

        Raises:
            InputError: A file cannot be written.
        """
        write_result(directory, self, self.report())
        if self.directions is not None:
            self.directions.save(Path(directory) / VECTORS)

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format)

    @looked_at(".choices, .directions, .figure(), .to_frame()")
    def __repr__(self) -> str:
        chosen = ", ".join(f"{name} layer {at.layer} strength {at.strength:g}" for name, at in self.choices.items())
        return f"SteeringSearch({self.about['model']['name']}: {chosen})"
