"""Hold the labels of several annotators: how often each gives each label, how far they agree, and the traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all, result_page
from ...rundir import InputError, looked_at, restoring
from ...rundir.result_files import check_format, write_result
from ...traces import BehaviourSet, TraceList
from ...traces.annotators import NO_BEHAVIOUR
from ...traces.labelled import LabelledTrace
from .agreement import ALL, ALPHA, LOW, agreement_rows, share_rows

FORMAT = "reasonlens.labelling/1"
TITLE = "Labels of sentences"
LEAD = "Agreement is Cohen's kappa of two annotators and Krippendorff's alpha of all: 0 is chance, 1 is perfect."
NONE = "(none)"  # how the label of no behaviour is shown
CAPTION = "95% intervals over problems"


@dataclass(frozen=True, eq=False, kw_only=True)
class Labelling:
    """The result of `label`."""

    annotators: tuple[str, ...]
    spans_by: str  # whose labels are the spans
    behaviour_set: str  # its name
    n_traces: int
    n_problems: int
    n_sentences: int
    n_disputed: int  # sentences on which two annotators differ
    n_malformed: dict[str, int]  # annotator -> replies that could not be read, where there were some
    structured: tuple[str, ...]  # annotators whose replies an endpoint held to a JSON schema
    shares: tuple[dict[str, Any], ...]  # rows of `share_rows`
    agreements: tuple[dict[str, Any], ...]  # rows of `agreement_rows`
    labelled: tuple[LabelledTrace, ...] | None = None  # None where the result was read back from JSON

    @classmethod
    def of(
        cls,
        labelled: Sequence[LabelledTrace],
        behaviours: BehaviourSet,
        n_malformed: Mapping[str, int],
        *,
        uses_set: bool = True,
    ) -> Labelling:
        """Count and compare the labels of traces.

        Args:
            labelled: The traces with their labels.
            behaviours: The behaviour set.
            n_malformed: Annotator -> replies that could not be read.
            uses_set: Whether an annotator labels with the set; its behaviours are then counted also where none occurs.

        Returns:
            The result.
        """
        annotators = list(labelled[0].by)
        by = {name: [label for trace in labelled for label in trace.by[name]] for name in annotators}
        problems = [trace.trace.problem for trace in labelled for _ in trace.sentences]
        used = {label for row in by.values() for label in row if label}
        names = [name for name in behaviours.names if uses_set or name in used]
        names += sorted(used - set(names))
        return cls(
            annotators=tuple(annotators),
            spans_by=labelled[0].spans_by,
            behaviour_set=behaviours.name,
            n_traces=len(labelled),
            n_problems=len({trace.trace.problem for trace in labelled}),
            n_sentences=len(problems),
            n_disputed=sum(len(trace.disputed) for trace in labelled),
            n_malformed={name: n for name, n in n_malformed.items() if n},
            structured=labelled[0].structured,
            shares=tuple(share_rows(by, problems, [*names, NO_BEHAVIOUR])),
            agreements=tuple(agreement_rows(by, problems, names)),
            labelled=tuple(labelled),
        )

    @property
    def traces(self) -> TraceList:
        """The traces, whose spans are the labels that were taken. Raises InputError if it was read back from JSON."""
        if self.labelled is None:
            raise InputError("this result was read back from JSON, which holds no traces; read the labelled file")
        return TraceList(trace.trace for trace in self.labelled)

    @property
    def written_by(self) -> str | None:
        """The model that wrote the traces, where their metadata name one for all of them."""
        names = {trace.metadata.get("model") for trace in self.labelled or ()}
        name = names.pop() if len(names) == 1 else None
        return name if isinstance(name, str) else None

    @property
    def low_agreement(self) -> tuple[str, ...]:
        """The behaviours on which annotators agree too little to draw conclusions: an alpha below 2/3."""
        return tuple(row["behaviour"] for row in self.agreements if row["is_low"])

    @property
    def agreement(self) -> pd.DataFrame:
        """A row for each coefficient: coefficient, annotators, behaviour, value, n_sentences, n_problems, same, is_low.

        `value` and `same` (the share of sentences with the same label, of pairs) have intervals in `_low` and `_high`.
        """
        return pd.DataFrame(self.agreements)

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each annotator and label.

        Columns:
            annotator, label: Who gives which label; empty: no behaviour.
            n_sentences, n_problems: How often, and in how many problems.
            n_unknown: Sentences of which the annotator's label is not known.
            share: Of the sentences whose label it knows; 95% interval over problems in `_low` and `_high`.
            alpha: Krippendorff's alpha of all annotators on this label against everything else, likewise.
        """
        alphas = {row["behaviour"]: row for row in self.agreements if row["coefficient"] == ALPHA}
        rows = []
        for row in self.shares:
            alpha = alphas.get(row["label"], {})
            names = ("value", "value_low", "value_high")
            rows.append({**row, **{name.replace("value", "alpha"): alpha.get(name, nan) for name in names}})
        return pd.DataFrame(rows)

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate the share of each label by each annotator and, of several annotators, how far they agree."""
        count = f"{self.n_sentences} sentences of {self.n_problems} problems; {CAPTION}"
        shares = [_point(row["label"] or NONE, row["annotator"], row, "share") for row in self.shares]
        tables = {
            "labels": FigureTable(
                figure="label_points",
                rows=pd.DataFrame(shares),
                options={"title": TITLE, "caption": count, "axis": "share of the sentences"},
            )
        }
        agreements = [
            _point(
                row["annotators"] if row["behaviour"] == ALL else row["behaviour"],
                row["coefficient"] if row["behaviour"] == ALL else f"{ALPHA}, behaviour against the rest",
                row,
                "value",
            )
            for row in self.agreements
        ]
        if agreements:
            tables["agreement"] = FigureTable(
                figure="label_points",
                rows=pd.DataFrame(agreements),
                options={
                    "title": "Agreement between annotators beyond chance",
                    "caption": f"{count}; below {LOW:.2f}: low",
                    "axis": "agreement (0: chance, 1: perfect)",
                },
            )
        return tables

    def figures(self) -> dict[str, go.Figure]:
        """Draw every figure by its name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw how often each annotator gives each label."""
        return self.tables()["labels"].draw()

    def to_dict(self) -> dict[str, Any]:
        """Convert to the plain values of results.json: counts and rows, None for NaN."""
        return {
            "format": FORMAT,
            "annotators": list(self.annotators),
            "spans_by": self.spans_by,
            "behaviour_set": self.behaviour_set,
            "n_traces": self.n_traces,
            "n_problems": self.n_problems,
            "n_sentences": self.n_sentences,
            "n_disputed": self.n_disputed,
            "n_malformed": self.n_malformed,
            "structured_outputs": list(self.structured),
            "low_agreement": list(self.low_agreement),
            "labels": [_plain(row) for row in self.shares],
            "agreement": [_plain(row) for row in self.agreements],
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> Labelling:
        """Build a result from plain values: the inverse of `to_dict`.

        Args:
            content: What `to_dict` returned, or the same as read from results.json.

        Returns:
            The result, without traces.

        Raises:
            InputError: The format is another.
        """
        check_format(content, FORMAT)
        counts = ("n_traces", "n_problems", "n_sentences", "n_disputed")
        return cls(
            annotators=tuple(content["annotators"]),
            spans_by=content["spans_by"],
            behaviour_set=content["behaviour_set"],
            **{name: content[name] for name in counts},
            n_malformed=dict(content["n_malformed"]),
            structured=tuple(content["structured_outputs"]),
            shares=tuple(_restored(row) for row in content["labels"]),
            agreements=tuple(_restored(row) for row in content["agreement"]),
        )

    def report(self) -> str:
        """Write one self-contained HTML page."""
        sentences = [f"{self._headline()}.", *self._sentences()]
        frame = self.to_frame().replace({"label": {NO_BEHAVIOUR: "(none)"}})
        return result_page(TITLE, LEAD, self.figures(), frame, sentences)

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/ and report.html; the traces lie in a file of their own.

        Args:
            directory: Created if it does not exist; files of these names are replaced.

        Raises:
            InputError: A file cannot be written.
        """
        write_result(directory, self, self.report())

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, na_rep="–", float_format="{:.3f}".format)

    @looked_at(".to_frame(), .agreement, .figure(), .traces")
    def __repr__(self) -> str:
        return f"Labelling({self._headline()})"

    def _headline(self) -> str:
        annotators = f"{len(self.annotators)} annotator{'s' * (len(self.annotators) != 1)}"
        disputed = f"; they differ on {self.n_disputed}" if len(self.annotators) > 1 else ""
        return (
            f"{self.n_sentences} sentences of {self.n_traces} traces labelled by {annotators}{disputed}; the spans are "
            f"the labels of {self.spans_by:.60}"
        )

    def _sentences(self) -> list[str]:
        sentences = [
            f"{name}: its replies were held to a JSON schema (structured outputs)." for name in self.structured
        ]
        sentences += [f"{name}: {n} replies could not be read." for name, n in self.n_malformed.items()]
        if self.low_agreement:
            sentences.append(
                f"The annotators agree too little (alpha below {LOW:.2f}) on {', '.join(self.low_agreement)}."
            )
        return sentences


def _point(line: str, series: str, row: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {"line": line, "series": series, **{end: row[f"{name}{_END[end]}"] for end in _END}}


_END = {"value": "", "low": "_low", "high": "_high"}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and isnan(value) else value for name, value in row.items()}


def _restored(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: nan if value is None else value for name, value in row.items()}
