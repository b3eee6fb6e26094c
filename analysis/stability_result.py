"""Hold the result of `stability`: boundaries, how often their behaviour returns, and traces with stable spans only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..figures import FigureTable, draw_all, result_page
from ..figures.returns import CHANCE, OWN
from ..rundir import InputError, from_row, looked_at, restoring, to_row
from ..rundir.result_files import REPORT, RESULTS, TABLE, check_format, write_result
from ..stats import Interval, proportion_over_groups, ratio_over_groups
from ..traces import Span, Trace, write_traces
from .before_after_result import BeforeAfter
from .boundary import Boundary

FORMAT = "reasonlens.stability/2"
TRACES = "stable.jsonl"
FILES = (RESULTS, TABLE, REPORT, TRACES)
# Measure -> series -> its columns in the summary, and what its interval is over.
SERIES = {
    "boundaries that are stable": {CHANCE: ("base_stable", "n_others"), OWN: ("share_stable", "n_boundaries")},
    "continuations that show it": {CHANCE: ("base_rate", "n_others"), OWN: ("return_rate", "n_problems")},
}
STABLE = 0.5  # share of continuations from which a boundary counts as stable; the published choice is 0.8 of ten
UNKNOWN = Interval(float("nan"))


@dataclass(frozen=True, eq=False, kw_only=True)
class Stability:
    """The result of `stability`."""

    boundaries: tuple[Boundary, ...]  # the sampled boundaries, in the order of the traces
    traces: tuple[Trace, ...]  # all traces; empty if the result was read back from JSON
    model: dict[str, Any]  # LanguageModel.identity()
    settings: dict[str, Any]  # settings of sampling
    threshold: float = STABLE  # share of continuations from which a boundary is stable
    before_after: BeforeAfter | None = None  # directions and probes without unstable boundaries

    @property
    def behaviours(self) -> tuple[str, ...]:
        """The labels of the boundaries, by name."""
        return tuple(sorted({boundary.label for boundary in self.boundaries}))

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each boundary: where it is, its label, and how often its behaviour returned."""
        columns = ("trace", "problem", "span", "label", "is_seen", "n_samples", "n_returned", "share")
        return pd.DataFrame([{name: getattr(boundary, name) for name in columns} for boundary in self.boundaries])

    def summary(self, threshold: float | None = None) -> pd.DataFrame:
        """Tabulate one row for each behaviour; rates have 95% intervals in `_low` and `_high`.

        Columns:
            share_stable: Share of the behaviour's boundaries that are stable.
            base_stable: Share of the other behaviours' boundaries at which this behaviour appears in enough
                continuations to be stable: chance. Both have Wilson intervals of as many boundaries as are worth
                independent ones: those of one problem are alike.
            return_rate: Share of the continuations at the behaviour's boundaries that show it.
            base_rate: Share of the continuations at other behaviours' boundaries that show it: chance. Both have
                intervals over resampled problems.
            n_seen: Number of boundaries whose label the annotator gives to the trace's own words.

        Args:
            threshold: Share of continuations from which a boundary is stable; None means the result's own.

        Returns:
            The table. Chance is NaN where no other behaviour was sampled.
        """
        threshold = self._checked(threshold)
        return pd.DataFrame([self._summary_of(behaviour, threshold) for behaviour in self.behaviours])

    def stable(self, threshold: float | None = None) -> list[Trace]:
        """Remove spans that are not stable from the traces.

        Spans of sampled behaviours stay if they were sampled and are stable. Spans of behaviours that were not sampled
        all stay, and so do traces without any span left.

        Args:
            threshold: Share of continuations from which a boundary is stable; None means the result's own.

        Returns:
            Copies of the traces.
        """
        threshold = self._checked(threshold)
        return self._with_spans(boundary for boundary in self.boundaries if boundary.share >= threshold)

    def sampled(self) -> list[Trace]:
        """Remove spans that were not sampled from the traces: the set that `stable` is compared with."""
        return self._with_spans(self.boundaries)

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        summary = self.summary()
        rows = [
            {
                "behaviour": row["behaviour"],
                "measure": measure,
                "series": series,
                "value": row[column],
                "low": row[f"{column}_low"],
                "high": row[f"{column}_high"],
                "n": row[n],
            }
            for measure, columns in SERIES.items()
            for row in summary.to_dict("records")
            for series, (column, n) in columns.items()
        ]
        caption = (
            f"{len(self.boundaries)} boundaries, {self.settings['n_samples']} continuations of each; stable from a "
            f"share of {self.threshold:g}; 95% intervals"
        )
        options = {"title": f"Does the behaviour return? {self.model.get('name', '')}", "caption": caption}
        returns = FigureTable(figure="return_rates", rows=pd.DataFrame(rows), options=options)
        return {"returns": returns, **({} if self.before_after is None else self.before_after.tables())}

    def figures(self) -> dict[str, go.Figure]:
        """Draw every figure by its name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw how often each behaviour returns, beside chance."""
        return self.tables()["returns"].draw()

    def to_dict(self) -> dict[str, Any]:
        """Convert to the plain values of results.json: no traces, no text of continuations, None for NaN."""
        summary = self.summary()
        return {
            "format": FORMAT,
            "model": self.model,
            "settings": self.settings | {"threshold": self.threshold},
            "summary": summary.astype(object).where(summary.notna(), None).to_dict("records"),
            "before_after": None if self.before_after is None else self.before_after.to_dict(),
            "boundaries": [to_row(replace(boundary, said=())) for boundary in self.boundaries],
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> Stability:
        """Build a result from plain values: the inverse of `to_dict`.

        Args:
            content: What `to_dict` returned, or the same as read from results.json.

        Returns:
            The result, without traces and the text of continuations.

        Raises:
            InputError: The format is another.
        """
        check_format(content, FORMAT)
        settings = dict(content["settings"])
        compared = content["before_after"]
        return cls(
            boundaries=tuple(from_row(Boundary, row) for row in content["boundaries"]),
            traces=(),
            model=content["model"],
            threshold=settings.pop("threshold"),
            settings=settings,
            before_after=None if compared is None else BeforeAfter.from_dict(compared),
        )

    def in_words(self) -> list[str]:
        """Say of each behaviour how many of its boundaries are stable, beside chance."""
        sentences = []
        for row in self.summary().to_dict("records"):
            chance = "" if isnan(row["base_stable"]) else f"; by chance {_written(row, 'base_stable')}"
            stable = f"{_written(row, 'share_stable')} of {row['n_boundaries']} boundaries are stable"
            sentences.append(f"{row['behaviour']}: {stable}{chance}.")
        return sentences

    def report(self) -> str:
        """Write one self-contained HTML page."""
        lead = (
            "Stable: the behaviour returns in enough continuations. By chance (base): the same at boundaries of other "
            "behaviours. Seen: boundaries whose label the annotator gives to the trace's own words."
        )
        return result_page("Does the behaviour return?", lead, self.figures(), self.summary(), self.in_words())

    def write(self, directory: str | Path) -> None:
        """Write stable.jsonl (if it holds the traces), results.json, table.csv, tables/ and report.html.

        Args:
            directory: Created if it does not exist; files of these names are replaced.

        Raises:
            InputError: A file cannot be written.
        """
        if self.traces:
            write_traces(self.stable(), Path(directory) / TRACES)
        write_result(directory, self, self.report())

    def _repr_html_(self) -> str:
        return self.summary().to_html(index=False, na_rep="–", float_format="{:.3f}".format)

    @looked_at(".figure(), .to_frame()")
    def __repr__(self) -> str:
        n_stable = sum(boundary.share >= self.threshold for boundary in self.boundaries)
        return (
            f"Stability({self.model.get('name', '')}, {len(self.boundaries)} boundaries of {len(self.behaviours)} "
            f"behaviours; {n_stable} stable at {self.threshold:g})"
        )

    def _checked(self, threshold: float | None) -> float:
        chosen = self.threshold if threshold is None else threshold
        check_threshold(chosen)
        return chosen

    def _with_spans(self, boundaries: Iterable[Boundary]) -> list[Trace]:
        if not self.traces:
            raise InputError(f"this result was read back from JSON, which holds no traces; read {TRACES} beside it")
        selected, behaviours = {(boundary.trace, boundary.span) for boundary in boundaries}, self.behaviours

        def spans(trace: Trace) -> Iterator[Span]:
            for number, span in enumerate(trace.spans):
                if span.label not in behaviours or (trace.id, number) in selected:
                    yield span

        return [replace(trace, spans=tuple(spans(trace))) for trace in self.traces]

    def _summary_of(self, behaviour: str, threshold: float) -> dict[str, Any]:
        own = [boundary for boundary in self.boundaries if boundary.label == behaviour]
        others = [boundary for boundary in self.boundaries if boundary.label != behaviour]
        figures = {
            "share_stable": _share_stable(own, behaviour, threshold),
            "base_stable": _share_stable(others, behaviour, threshold),
            "return_rate": _rate(own, behaviour),
            "base_rate": _rate(others, behaviour),
        }
        row: dict[str, Any] = {
            "behaviour": behaviour,
            "n_boundaries": len(own),
            "n_problems": len({boundary.problem for boundary in own}),
            "n_seen": sum(boundary.is_seen for boundary in own),
            "n_stable": sum(boundary.share >= threshold for boundary in own),
            "n_others": len(others),
        }
        for name, figure in figures.items():
            row |= figure.columns(name)
        return row


def check_threshold(threshold: float) -> None:
    """Check that a threshold is a share of continuations above 0. Raises InputError otherwise."""
    if not 0 < threshold <= 1:
        raise InputError(f"a threshold is a share of the continuations, above 0 and up to 1, and {threshold} is not")


def _share_stable(boundaries: Sequence[Boundary], behaviour: str, threshold: float) -> Interval:
    if not boundaries:
        return UNKNOWN
    is_stable = np.array([float(boundary.share_of(behaviour) >= threshold) for boundary in boundaries])
    return proportion_over_groups(is_stable, [boundary.problem for boundary in boundaries])


def _rate(boundaries: Sequence[Boundary], behaviour: str) -> Interval:
    """Compute the share of all continuations that show the behaviour, with an interval over problems."""
    if not boundaries:
        return UNKNOWN
    _, problem = np.unique([boundary.problem for boundary in boundaries], return_inverse=True)
    return ratio_over_groups(
        np.bincount(problem, [boundary.found.count(behaviour) for boundary in boundaries]),
        np.bincount(problem, [boundary.n_samples for boundary in boundaries]),
    )


def _written(row: Mapping[Any, Any], name: str) -> str:
    """Write a share with its interval."""
    return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
