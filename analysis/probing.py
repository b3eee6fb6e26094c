"""Hold the result of `probe`: probes on one source of activations, and tests from source to source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ..figures import FigureTable, draw_all, render
from ..probes import ProbeSweep, TransferMatrix
from ..probes.controls.injection_rate import InjectionRate, loudest
from ..probes.folds import check_sizes
from ..probes.result import PROBES
from ..probes.solver import method_named
from ..rundir import brief, from_row, looked_at, names_of, restoring, truth_of
from ..rundir.result_files import check_format, write_result
from .sentences import Sentences

FORMAT = "reasonlens.probe/5"


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """Settings of `probe`: behaviours, kind of probe, folds and controls."""

    behaviours: tuple[str, ...] | None = None  # labels to probe; None means all
    estimator: str = "logistic"  # or ridge, lda, mean-difference
    penalties: tuple[float, ...] | None = None  # to choose from on inner folds, strongest first
    n_folds: int = 5
    n_bootstrap: int = 1000
    n_shuffles: int = 5
    n_permutations: int = 200
    injection: bool = True  # where a model reads traces, also put tell-tale words before plain sentences
    seed: int = 0

    __repr__ = brief

    def __post_init__(self) -> None:
        if self.behaviours is not None:
            object.__setattr__(self, "behaviours", names_of(self.behaviours, "behaviours"))
        check_sizes(self.n_folds, self.n_bootstrap, self.seed, self.n_shuffles, self.n_permutations)
        if self.penalties is not None:
            object.__setattr__(self, "penalties", method_named(self.estimator).penalties_of(self.penalties))
        method_named(self.estimator)
        truth_of(self.injection, "injection")


@dataclass(frozen=True, eq=False, kw_only=True)
class Probing:
    """The result of `probe`."""

    source: str  # name of the activations that `sweep` is of
    sweep: ProbeSweep
    transfer: TransferMatrix | None  # AUROC from source to source; None with one source
    injection: tuple[InjectionRate, ...]  # how often tell-tale words make detectors fire; empty if it was not tried
    settings: ProbeSettings
    sentences: Sentences  # examples that the probes of the source find, miss and mistake at each layer

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each behaviour and layer of the source."""
        return self.sweep.to_frame()

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure of the page by its name."""
        shown = {name: table for name, table in self.sweep.tables().items() if name != "effect_size"}
        return shown if self.transfer is None else shown | self.transfer.tables()

    def figures(self) -> dict[str, go.Figure]:
        """Draw all figures of the page by their names."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw the heatmap of AUROC, behaviour by layer."""
        return self.sweep.figure()

    def to_dict(self) -> dict[str, Any]:
        """Convert to the plain values of results.json."""
        return {
            "format": FORMAT,
            "source": self.source,
            "model": self.sweep.model,
            "read": self.sweep.read,
            "layers": list(self.sweep.layers),
            "n_spans": self.sweep.n_examples,
            "n_problems": self.sweep.n_problems,
            "settings": asdict(self.settings),
            "permuted": self.sweep.permuted,
            "control_tasks": self.sweep.control_task_columns(),
            "behaviours": self.sweep.behaviour_dicts(),
            "transfer": None if self.transfer is None else self.transfer.rows(),
            "injection": [rate.to_dict() for rate in self.injection],
            "injection_loudest": loudest(self.injection),
            "sweep": self.sweep.about(),
            "sentences": self.sentences,
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> Probing:
        """Build a result from plain values: the inverse of `to_dict`.

        Args:
            content: What `to_dict` returned, or the same as read from results.json.

        Returns:
            The result, without the probes themselves.

        Raises:
            InputError: The format is another.
        """
        check_format(content, FORMAT)
        sweep, rows = content["sweep"], content["transfer"]
        return cls(
            source=content["source"],
            sweep=ProbeSweep.from_parts(sweep, content["behaviours"]),
            transfer=None
            if rows is None
            else TransferMatrix.from_rows(rows, n_folds=sweep["n_folds"], estimator=sweep["estimator"]),
            injection=tuple(InjectionRate.from_dict(row) for row in content["injection"]),
            settings=from_row(ProbeSettings, content["settings"]),
            sentences=content["sentences"],
        )

    def report(self) -> str:
        """Write one self-contained HTML page."""
        explore = self.sweep.explorer(sentences=self.sentences)
        return render(
            "probe.html.jinja",
            self.to_dict(),
            {name: table.draw() for name, table in self.tables().items() if name != "auroc"},
            data={"explore": explore},
            scripts=("explore.js",),
            explore=explore,
            sentences=self.sweep.in_words(),
        )

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/, report.html, and the probes if it holds them.

        Args:
            directory: Created if it does not exist; files of these names are replaced.

        Raises:
            InputError: A file cannot be written.
        """
        if self.sweep.fitted is not None:
            self.sweep.save_probes(Path(directory) / PROBES)
        write_result(directory, self, self.report())

    def _repr_html_(self) -> str:
        return self.sweep._repr_html_()

    @looked_at(".figure(), .to_frame(), .figures()")
    def __repr__(self) -> str:
        across = "" if self.transfer is None else f", {self.transfer!r}"
        return f"Probing({self.source}: {self.sweep!r}{across})"
