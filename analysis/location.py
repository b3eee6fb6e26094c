"""Hold the result of `locate`: directions, AUROCs by behaviour and layer, figures and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ..activations import Activations
from ..figures import FigureTable, draw_all, render
from ..models.sites import BLOCK_OUTPUT
from ..probes import ProbeSweep
from ..probes.controls.injection_rate import InjectionRate, loudest
from ..probes.result import PROBES
from ..rundir import InputError, brief, looked_at, restoring
from ..rundir.result_files import check_format, write_result
from ..vectors import Directions
from .geometry import cosine_frame
from .sentences import Sentences, telling_sentences
from .settings import LocateSettings
from .side_by_side import site_table

FORMAT = "reasonlens.locate/7"
NEXT_TITLE = "AUROC by layer for the behaviour that comes next, read at the last token before it"
NEXT_EXCESS_TITLE = "What the model adds before a span begins: AUROC above the strongest baseline"
VECTORS = "vectors.safetensors"


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured:
    """Activations and directions, which are too large for JSON."""

    activations: Activations
    directions: Directions

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class Location:
    """The result of `locate`."""

    sweep: ProbeSweep
    next_sweep: ProbeSweep | None  # at the last token before each span; None if it was not fitted
    injection: tuple[InjectionRate, ...]  # how often tell-tale words before plain sentences make detectors fire
    sites: pd.DataFrame  # AUROC of one behaviour at every site, see `site_frame`; empty if it was not asked for
    settings: LocateSettings
    traces: dict[str, Any]  # digest, n_spans, n_spans_skipped, n_problems
    method: str  # how the directions were extracted, with numbers of spans and problems
    cosines: pd.DataFrame  # between directions at the common layer; see `cosine_frame`
    sentences: Sentences  # examples that the probes find, miss and mistake at each layer
    measured: Measured | None  # None in a result that was read back from JSON

    @classmethod
    def of(
        cls,
        *,
        activations: Activations,
        directions: Directions,
        sweep: ProbeSweep,
        next_sweep: ProbeSweep | None,
        injection: Sequence[InjectionRate],
        sites: pd.DataFrame,
        settings: LocateSettings,
    ) -> Location:
        """Build the result from activations, directions and probes.

        Args:
            activations: Activations of every labelled span.
            directions: Directions of every behaviour.
            sweep: Probes on the activations.
            next_sweep: Probes at the last token before each span; None if there are none.
            injection: How often tell-tale words before plain sentences make detectors fire; empty if it was not tried.
            sites: AUROC of one behaviour at every site; empty if it was not asked for.
            settings: Settings of the run.

        Returns:
            The result, with its cosines and example sentences computed.
        """
        n_spans = sum(directions.n_examples.values())
        return cls(
            sweep=sweep,
            next_sweep=next_sweep,
            injection=tuple(injection),
            sites=sites,
            settings=settings,
            traces={
                "digest": directions.data_digest,
                "n_spans": len(activations.examples),
                "n_spans_skipped": activations.n_skipped,
                "n_problems": sweep.n_problems,
            },
            method=f"{directions.method}; n = {n_spans} spans of {directions.n_problems} problems",
            cosines=cosine_frame(directions, sweep.common_layer),
            sentences=telling_sentences(sweep, activations),
            measured=Measured(activations=activations, directions=directions),
        )

    @property
    def activations(self) -> Activations:
        """Activations of every labelled span. Raises InputError in a result that was read back from JSON."""
        return self._measured("activations", "Activations.open").activations

    @property
    def directions(self) -> Directions:
        """The direction of every behaviour at every layer. Raises InputError in a result read back from JSON."""
        return self._measured(VECTORS, "Directions.open").directions

    @property
    def common_layer(self) -> int:
        """The best layer of all behaviours together: that of the highest mean AUROC."""
        return self.sweep.common_layer

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each behaviour and layer: AUROC and effect size with intervals, controls, counts."""
        return self.sweep.to_frame()

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure of the report by its name."""
        cosine = FigureTable(
            figure="cosine_heatmap",
            rows=self.cosines,
            options={
                "title": f"Cosine between directions at layer {self.common_layer}, the best of all behaviours together",
                "caption": f"{self.sweep.model['name']}, {self.method}",
            },
        )
        coming = {}
        if self.next_sweep is not None:
            coming = {
                "next": self.next_sweep.curves_table(NEXT_TITLE),
                "next_excess": self.next_sweep.excess_table(NEXT_EXCESS_TITLE),
            }
        behaviour = self.settings.sites_of
        side_by_side = {} if behaviour is None else {"sites": site_table(self.sites, behaviour, self.sweep)}
        return {**self.sweep.tables(), "cosine": cosine, **coming, **side_by_side}

    def figures(self) -> dict[str, go.Figure]:
        """Draw all figures of the report by their names."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw the heatmap of AUROC, behaviour by layer."""
        return self.sweep.figure()

    def to_dict(self) -> dict[str, Any]:
        """Convert to the plain values of results.json."""
        return {
            "format": FORMAT,
            "model": self.sweep.model,
            "traces": self.traces,
            "settings": asdict(self.settings) | {"layers": list(self.sweep.layers)},
            "common_layer": self.common_layer,
            "permuted": self.sweep.permuted,
            "control_tasks": self.sweep.control_task_columns(),
            "behaviours": self.sweep.behaviour_dicts(),
            "next_behaviours": None if self.next_sweep is None else self.next_sweep.behaviour_dicts(),
            "injection": [rate.to_dict() for rate in self.injection],
            "injection_loudest": loudest(self.injection),
            "sweep": self.sweep.about(),
            "next_sweep": None if self.next_sweep is None else self.next_sweep.about(),
            "method": self.method,
            "sites": self.sites.to_dict("records"),
            "cosines": self.cosines.to_dict("records"),
            "sentences": self.sentences,
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> Location:
        """Build a result from plain values: the inverse of `to_dict`.

        Args:
            content: What `to_dict` returned, or the same as read from results.json.

        Returns:
            The result, without activations, directions and probes; see `with_measured`.

        Raises:
            InputError: The format is another.
        """
        check_format(content, FORMAT)
        coming = content["next_sweep"]
        return cls(
            sweep=ProbeSweep.from_parts(content["sweep"], content["behaviours"]),
            next_sweep=None if coming is None else ProbeSweep.from_parts(coming, content["next_behaviours"]),
            settings=LocateSettings.from_dict(content["settings"]),
            cosines=pd.DataFrame(content["cosines"]),
            sites=pd.DataFrame(content["sites"]),
            measured=None,
            injection=tuple(InjectionRate.from_dict(row) for row in content["injection"]),
            **{name: content[name] for name in ("traces", "method", "sentences")},
        )

    def with_measured(self, activations: str | Path, directions: str | Path) -> Location:
        """Add activations and directions from files to a result that was read back from JSON.

        Args:
            activations: The directory of the activations; if it does not exist, nothing is added. The read of the
                settings is opened.
            directions: The file of the directions.

        Returns:
            A copy of the result with both.

        Raises:
            InputError: A file is damaged.
        """
        if not Path(activations).exists():
            return self
        opened = Activations.open(activations, read=self.settings.read, site=BLOCK_OUTPUT)
        measured = Measured(activations=opened, directions=Directions.open(directions))
        return replace(self, measured=measured)

    def report(self) -> str:
        """Write one self-contained HTML page; every text in it is escaped."""
        explore = self.sweep.explorer(sentences=self.sentences, vectors=VECTORS)
        return render(
            "locate.html.jinja",
            self.to_dict(),
            {name: table.draw() for name, table in self.tables().items() if name != "auroc"},
            data={"explore": explore},
            scripts=("explore.js",),
            explore=explore,
            sentences=self.in_words(),
        )

    def in_words(self) -> list[str]:
        """Say what was found, with its interval and controls, and what is known before a span begins."""
        if self.next_sweep is None:
            return self.sweep.in_words()
        return [*self.sweep.in_words(), *(f"At the token before: {text}" for text in self.next_sweep.in_words())]

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/, report.html, and directions and probes if it holds them.

        Args:
            directory: Created if it does not exist; files of these names are replaced.

        Raises:
            InputError: A file cannot be written.
        """
        place = Path(directory)
        if self.measured is not None:
            self.directions.save(place / VECTORS)
        if self.sweep.fitted is not None:
            self.sweep.save_probes(place / PROBES)
        write_result(place, self, self.report())

    def _repr_html_(self) -> str:
        return self.sweep._repr_html_()

    @looked_at(".figure(), .to_frame(), .figures(), .report()")
    def __repr__(self) -> str:
        read_best = ", ".join(f"{name} {self.sweep.best_layer(name)}" for name in self.sweep.behaviours)
        return (
            f"Location({self.sweep.model['name']}, {self.traces['n_spans']} spans of {self.traces['n_problems']} "
            f"problems; best layers: {read_best}; of all together: {self.common_layer})"
        )

    def _measured(self, name: str, opener: str) -> Measured:
        if self.measured is None:
            raise InputError(
                f"this result was read back from JSON, which does not hold them; open {name} beside it with {opener}"
            )
        return self.measured
