"""Hold what `stability` found: boundaries, how often their behaviour returns, which traces keep which spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..figures import FigureTable, draw_all, result_page
from ..figures.returns import CHANCE, OWN
from ..rundir import InputError, from_row, to_row
from ..rundir.result_files import REPORT, RESULTS, TABLE, check_format, write_result
from ..stats import Interval, ratio_over_groups, wilson_proportion
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

    boundaries: tuple[Boundary, ...]  # those that were sampled, in the order of the traces
    traces: tuple[Trace, ...]  # all that were given; none where the result was read back from JSON
    model: dict[str, Any]  # LanguageModel.identity()
    settings: dict[str, Any]  # of sampling
    threshold: float = STABLE  # share of continuations from which a boundary is stable
    before_after: BeforeAfter | None = None  # directions and probes without unstable boundaries

    @property
    def behaviours(self) -> tuple[str, ...]:
        """The labels of the boundaries, by name."""
        return tuple(sorted({boundary.label for boundary in self.boundaries}))

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each boundary: where it is, its label, and how often its behaviour returned."""
        columns = ("trace", "problem", "span", "label", "is_seen", "n_samples", "n_returned", "share")
        return pd.DataFrame([{name: getattr(each, name) for name in columns} for each in self.boundaries])

    def summary(self, threshold: float | None = None) -> pd.DataFrame:
        """Tabulate one row for each behaviour, all figures with 95% intervals (`_low`, `_high`).

        share_stable: of its boundaries. base_stable: of the boundaries of all others, those that would be stable for
        this behaviour. Both have Wilson intervals, which take boundaries as independent. return_rate: of the
        continuations at its boundaries, those that show it. base_rate: of the continuations at the boundaries of all
        others. Both have intervals over resampled problems. What comes by chance is NaN where no other behaviour was
        sampled. n_seen: boundaries whose label the annotator sees in the trace's own words.

        threshold: share from which a boundary is stable; default the result's own.
        """
        threshold = self._checked(threshold)
        return pd.DataFrame([self._summary_of(behaviour, threshold) for behaviour in self.behaviours])

    def stable(self, threshold: float | None = None) -> list[Trace]:
        """Leave the stable spans in the traces only; `threshold` is the share from which a boundary is stable.

        Spans of the sampled behaviours that were not stable, or not sampled, are left out. Those of behaviours that
        were not sampled at all stay. A trace stays too when no span is left in it.
        """
        threshold = self._checked(threshold)
        return self._with_spans(each for each in self.boundaries if each.share >= threshold)

    def sampled(self) -> list[Trace]:
        """Leave every span that was sampled in the traces: what `stable` is to be compared with."""
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
        """Give what `results.json` holds: everything but the words of continuations and the traces; None for NaN."""
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
    def from_dict(cls, content: Mapping[str, Any]) -> Stability:
        """Read back what `to_dict` gave, without what is heavy. Raises InputError for another format."""
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

    def report(self) -> str:
        """Write one self-contained HTML page."""
        lead = (
            "Stable: the behaviour returns in enough continuations. By chance (base): the same at boundaries of other "
            "behaviours. Seen: boundaries whose label the annotator gives to the trace's own words."
        )
        return result_page("Does the behaviour return?", lead, self.figures(), self.summary())

    def write(self, directory: str | Path) -> None:
        """Write stable.jsonl (if it holds the traces), results.json, table.csv, tables/ and report.html."""
        if self.traces:
            write_traces(self.stable(), Path(directory) / TRACES)
        write_result(directory, self, self.report())

    def _repr_html_(self) -> str:
        return self.summary().to_html(index=False, na_rep="–", float_format="{:.3f}".format)

    def __repr__(self) -> str:
        n_stable = sum(each.share >= self.threshold for each in self.boundaries)
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
        kept, behaviours = {(each.trace, each.span) for each in boundaries}, self.behaviours

        def spans(trace: Trace) -> Iterator[Span]:
            for number, span in enumerate(trace.spans):
                if span.label not in behaviours or (trace.id, number) in kept:
                    yield span

        return [replace(trace, spans=tuple(spans(trace))) for trace in self.traces]

    def _summary_of(self, behaviour: str, threshold: float) -> dict[str, Any]:
        own = [each for each in self.boundaries if each.label == behaviour]
        others = [each for each in self.boundaries if each.label != behaviour]
        figures = {
            "share_stable": _share_stable(own, behaviour, threshold),
            "base_stable": _share_stable(others, behaviour, threshold),
            "return_rate": _rate(own, behaviour),
            "base_rate": _rate(others, behaviour),
        }
        row: dict[str, Any] = {
            "behaviour": behaviour,
            "n_boundaries": len(own),
            "n_problems": len({each.problem for each in own}),
            "n_seen": sum(each.is_seen for each in own),
            "n_stable": sum(each.share >= threshold for each in own),
            "n_others": len(others),
        }
        for name, figure in figures.items():
            row |= figure.columns(name)
        return row


def check_threshold(threshold: float) -> None:
    """Raises InputError for what is no share of continuations above 0."""
    if not 0 < threshold <= 1:
        raise InputError(f"a threshold is a share of the continuations, above 0 and up to 1, and {threshold} is not")


def _share_stable(boundaries: Sequence[Boundary], behaviour: str, threshold: float) -> Interval:
    if not boundaries:
        return UNKNOWN
    return wilson_proportion(np.array([float(each.share_of(behaviour) >= threshold) for each in boundaries]))


def _rate(boundaries: Sequence[Boundary], behaviour: str) -> Interval:
    """The share of all continuations that show the behaviour, with an interval over problems."""
    if not boundaries:
        return UNKNOWN
    _, problem = np.unique([each.problem for each in boundaries], return_inverse=True)
    return ratio_over_groups(
        np.bincount(problem, [each.found.count(behaviour) for each in boundaries]),
        np.bincount(problem, [each.n_samples for each in boundaries]),
    )
