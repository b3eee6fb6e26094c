"""Hold what `sample` has drawn: graded traces, accuracy and truncation with intervals over problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ..figures import FigureTable, draw_all, result_page
from ..rundir import brief, from_row, looked_at, restoring, to_row
from ..rundir.result_files import check_format, write_result
from ..stats import Interval, proportion_over_groups
from ..traces import Trace
from ..traces.thoughts import answer_of, thoughts_of
from ..traces.trace_list import TraceList

FORMAT = "reasonlens.samples/1"
Grade = Literal["right", "wrong", "unsure"]
OUTCOMES = ("right", "unsure", "wrong", "truncated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One response to one problem, without its text."""

    id: str
    problem: str
    sample: int  # which of those to its problem, from 0
    grade: Grade | None  # None: there is nothing to grade by
    is_truncated: bool
    n_tokens: int | None  # None: the engine does not say

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class Samples:
    """The result of `sample`."""

    samples: tuple[Sample, ...]
    traces: TraceList  # empty where the result was read back from JSON
    model: str
    engine: str
    problems: str
    settings: dict[str, Any]
    tokens_per_second: float | None = None  # of this call; None: it sampled nothing, or does not know
    n_new: int = 0  # samples that this call drew; the others were there

    @property
    def accuracy(self) -> Interval | None:
        """The share of graded samples that are right, over problems; what is unsure is not right. None: no grades."""
        return self._share([sample for sample in self.samples if sample.grade is not None], "right")

    @property
    def truncated(self) -> Interval:
        """The share of samples that were cut off at the limit, over problems."""
        share = self._share(self.samples, "truncated")
        assert share is not None, "there is a sample"
        return share

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each sample: id, problem, sample, grade, is_truncated, n_tokens."""
        return pd.DataFrame([to_row(sample) for sample in self.samples])

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        graded = [sample for sample in self.samples if sample.grade is not None]
        rows = []
        for outcome in OUTCOMES:
            share = self._share(self.samples if outcome == "truncated" else graded, outcome)
            if share is not None:
                ends = {"value": share.value, "low": share.low, "high": share.high, "n": share.n}
                rows.append({"outcome": outcome, **ends})
        options = {
            "title": f"What became of {len(self.samples)} samples of {self.model}",
            "caption": f"{self.problems}: {self.truncated.n} problems; 95% intervals over problems",
        }
        return {"outcomes": FigureTable(figure="outcome_bars", rows=pd.DataFrame(rows), options=options)}

    def figures(self) -> dict[str, go.Figure]:
        """Draw every figure by its name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw the share of each outcome with its interval."""
        return self.tables()["outcomes"].draw()

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, without the texts."""
        return {
            "format": FORMAT,
            "model": self.model,
            "engine": self.engine,
            "problems": self.problems,
            "settings": self.settings,
            "tokens_per_second": self.tokens_per_second,
            "n_new": self.n_new,
            **({} if self.accuracy is None else self.accuracy.json_columns("accuracy")),
            **self.truncated.json_columns("truncated"),
            "n_problems": self.truncated.n,
            "samples": [to_row(sample) for sample in self.samples],
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> Samples:
        """Restore what `to_dict` gives, without the traces.

        Args:
            content: Plain values.

        Returns:
            The result.

        Raises:
            InputError: They are of something else.
        """
        check_format(content, FORMAT)
        names = ("model", "engine", "problems", "settings", "tokens_per_second", "n_new")
        return cls(
            samples=tuple(from_row(Sample, row) for row in content["samples"]),
            traces=TraceList(),
            **{name: content[name] for name in names},
        )

    def report(self) -> str:
        """Write one self-contained HTML page."""
        lead = "Right, unsure and wrong: by the rule that grades answers. Truncated: cut off at the limit of tokens."
        return result_page(f"Samples of {self.model}", lead, self.figures(), self.to_frame(), [self._headline()])

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, the tables of figures and report.html; the traces are a file of their own.

        Args:
            directory: Created if it does not exist.
        """
        write_result(directory, self, self.report())

    @looked_at(".traces, .to_frame()")
    def __repr__(self) -> str:
        return f"Samples({self._headline()})"

    def _repr_html_(self) -> str:
        """Write each outcome with its interval as a table."""
        rows = self.tables()["outcomes"].rows
        return str(rows.to_html(index=False, float_format="{:.3f}".format, na_rep="–"))

    def _headline(self) -> str:
        accuracy = "nothing to grade by" if self.accuracy is None else f"{self.accuracy} right"
        counts = f"{len(self.samples)} samples of {self.model} for {self.truncated.n} problems"
        return f"{counts}: {accuracy}, {self.truncated} cut off"

    def _share(self, samples: Sequence[Sample], outcome: str) -> Interval | None:
        if not samples:
            return None
        is_so = [one.is_truncated if outcome == "truncated" else one.grade == outcome for one in samples]
        return proportion_over_groups(np.array(is_so), [one.problem for one in samples])


def metadata_of(
    trace: Trace, sample: Sample, reference: str | None, *, engine: str, model: str, seed: int, writer: str | None
) -> dict[str, Any]:
    """Make the metadata that stand beside a trace in a file.

    Args:
        trace: The trace.
        sample: What is known of it.
        reference: The answer of its question.
        engine: That wrote it.
        model: That was asked for.
        seed: Of all samples.
        writer: The model, as an endpoint names it.

    Returns:
        Plain values. `thoughts` and `answer` are the characters [start, end) of the text, null where there are none.
    """
    thoughts, answer = thoughts_of(trace.text), answer_of(trace.text)
    return {
        "reference": reference,
        "grade": sample.grade,
        "truncated": sample.is_truncated,
        "thoughts": None if thoughts is None else list(thoughts),
        "answer": None if answer is None else list(answer),
        "n_tokens": sample.n_tokens,
        "sample": sample.sample,
        "seed": seed,
        "engine": engine,
        "model": model,
        **({} if writer is None else {"written_by": writer}),
    }
