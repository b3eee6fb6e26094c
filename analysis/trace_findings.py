"""Collect what is wrong with traces, or to be known of them: how often each kind occurs in each file, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from ..rundir import brief, listed, looked_at, restoring
from ..rundir.result_files import check_format

FORMAT = "reasonlens.check/1"
N_EXAMPLES = 20  # of each kind in each file

# Kind -> whether it is wrong (else to be known), and what it is.
KINDS: dict[str, tuple[bool, str]] = {
    "malformed": (True, "a row that is no trace"),
    "repeated id": (True, "an id of several traces of a file"),
    "repeated text": (True, "the same prompt and text as another trace: what is in it counts twice"),
    "empty text": (True, "a trace without a word"),
    "empty span": (True, "a span of white space alone"),
    "overlap": (False, "spans of different labels that share characters: both are read there"),
    "no labels": (False, "traces without spans: there is nothing to collect"),
    "rare label": (False, "a label in fewer problems than there are folds: it is not probed"),
    "too few problems": (True, "no label is in as many problems as there are folds: nothing can be probed"),
    "one label": (True, "all spans have the same label: there is nothing to tell it from"),
    "cut prompt": (True, "one prompt under several problems: splits may put it on both sides"),
    "leak": (True, "a problem or prompt of another file: no test of one file on the other is fair"),
    "over context": (True, "more tokens than the model's context holds"),
    "unknown words": (True, "more than a tenth of the tokens stand for words that the model does not know"),
    "not encoded": (True, "a text that the model's tokenizer or template refuses"),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One kind of what was found in one file."""

    kind: str  # of `KINDS`
    file: str
    n: int  # how often
    examples: tuple[str, ...]  # the first ones, at most 20

    __repr__ = brief

    @property
    def is_wrong(self) -> bool:
        """Whether it must be mended; else it is only to be known."""
        return KINDS[self.kind][0]


@dataclass(frozen=True, eq=False, kw_only=True)
class TraceCheck:
    """What a check of traces found."""

    files: tuple[str, ...]
    n_traces: tuple[int, ...]  # of each file
    n_spans: tuple[int, ...]
    n_problems: tuple[int, ...]
    labels: dict[str, int]  # label -> spans, over all files
    findings: tuple[Finding, ...]
    model: str | None  # the name of the model whose tokenizer read the texts

    @property
    def is_wrong(self) -> bool:
        """Whether anything must be mended."""
        return any(finding.is_wrong for finding in self.findings)

    def to_frame(self) -> pd.DataFrame:
        """Tabulate the findings: kind, is_wrong, file, n, examples (joined), meaning."""
        return pd.DataFrame(
            [
                {
                    "kind": finding.kind,
                    "is_wrong": finding.is_wrong,
                    "file": finding.file,
                    "n": finding.n,
                    "examples": "; ".join(finding.examples),
                    "meaning": KINDS[finding.kind][1],
                }
                for finding in self.findings
            ],
            columns=["kind", "is_wrong", "file", "n", "examples", "meaning"],
        )

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return {"format": FORMAT, "is_wrong": self.is_wrong} | {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in {**vars(self), "findings": [asdict(finding) for finding in self.findings]}.items()
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> TraceCheck:
        """Build a check from plain values: the inverse of `to_dict`.

        Args:
            content: What `to_dict` returned.

        Returns:
            The check.

        Raises:
            InputError: The format is another.
        """
        check_format(content, FORMAT)
        findings = [Finding(**row | {"examples": tuple(row["examples"])}) for row in content["findings"]]
        return cls(
            **{name: tuple(content[name]) for name in ("files", "n_traces", "n_spans", "n_problems")},
            findings=tuple(findings),
            labels=dict(content["labels"]),
            model=content["model"],
        )

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, border=0)

    @looked_at(".to_frame(), .findings")
    def __repr__(self) -> str:
        counts = listed(f"{finding.kind} {finding.n}" for finding in self.findings)
        return f"TraceCheck({sum(self.n_traces)} traces of {len(self.files)} files: {counts or 'nothing to mend'})"


@dataclass
class Findings:
    """Findings as they are collected."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, kind: str, file: str, example: str, n: int = 1) -> None:
        """Count one more of a kind.

        Args:
            kind: A key of `KINDS`.
            file: The file that it is in.
            example: Which trace it is, and what is wrong.
            n: How many it stands for.
        """
        key = (kind, file)
        self.counts[key] = self.counts.get(key, 0) + n
        examples = self.examples.setdefault(key, [])
        if len(examples) < N_EXAMPLES:
            examples.append(example)

    def all(self) -> tuple[Finding, ...]:
        """Return the findings by kind, in the order of `KINDS`, then by file.

        Returns:
            One for each kind and file.
        """
        order = {kind: place for place, kind in enumerate(KINDS)}
        return tuple(
            Finding(kind=kind, file=file, n=self.counts[kind, file], examples=tuple(self.examples[kind, file]))
            for kind, file in sorted(self.counts, key=lambda key: order[key[0]])
        )
