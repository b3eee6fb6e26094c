"""Check traces before they cost anything: what would be refused, counted twice, cut across a split, or not read at all.

Files are read row by row, and a row that is no trace ends nothing. Of texts and problems only digests stay in memory.
Across files, problems and prompts that occur in several are leaks: what is trained on one is not tested fairly on the
other. With a model, every text is encoded as `collect` would.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..models import LanguageModel, load
from ..models._load import ModelLike
from ..probes.folds import common_labels
from ..rundir import InputError, listed, whole_number
from ..rundir.progress import with_progress
from ..traces import Template, Trace, TraceSource, stream_traces
from ..traces.bundled import place_of
from ..traces.encoding import encode_trace
from ..traces.known import MOST_UNKNOWN, count_unknown
from ..traces.readers import row_traces
from .trace_findings import Findings, TraceCheck


def traces_check(
    *sources: TraceSource,
    model: ModelLike | None = None,
    template: Template = "auto",
    n_folds: int = 5,
    form: str | None = None,
    fields: Mapping[str, str] | None = None,
    device: str | None = None,
    progress: bool = True,
) -> TraceCheck:
    """Check traces of one file or several.

    Args:
        *sources: Files of any form, "bundled", or traces. Several are also compared with one another.
        model: A model whose tokenizer and context the texts must fit; None leaves this out.
        template: Whether prompts go through its chat template.
        n_folds: Folds of the probes that are to come; a label needs as many problems.
        form: How files are read, such as "messages" or "csv"; None recognises it.
        fields: Field of a trace -> its name in the files.
        device: Where a model that is loaded by name runs.
        progress: Show how many traces were read.

    Returns:
        What was found; `is_wrong` tells whether anything must be mended.

    Raises:
        InputError: There is no source, one cannot be read at all, or the template is missing.
    """
    if not sources:
        raise InputError("there is nothing to check: give a file of traces, or several")
    whole_number(n_folds, "n_folds", 3)
    names = [_name(source, number) for number, source in enumerate(sources, start=1)]
    if len(set(names)) < len(names):
        names = [f"{number}: {name}" for number, name in enumerate(names, start=1)]
    handle = None if model is None else load(model, device=device)
    check = _Check(Findings(), handle, template, n_folds)
    for name, source in zip(names, sources, strict=True):
        rows = with_progress(_rows(source, form, fields), desc=f"checking {name}", unit="row", progress=progress)
        check.read(name, rows)
    check.compare_files()
    return TraceCheck(
        files=tuple(names),
        n_traces=tuple(check.n_traces),
        n_spans=tuple(check.n_spans),
        n_problems=tuple(check.n_problems),
        labels=dict(check.labels.most_common()),
        findings=check.findings.all(),
        model=None if handle is None else handle.name,
    )


def _name(source: TraceSource, number: int) -> str:
    return str(source) if isinstance(source, str | Path) else f"list {number}"


def _rows(
    source: TraceSource, form: str | None, fields: Mapping[str, str] | None
) -> Iterator[tuple[str, Sequence[Trace] | InputError]]:
    if isinstance(source, str | Path):
        return row_traces(place_of(source), form, fields)
    return ((f"trace {number}", [trace]) for number, trace in enumerate(stream_traces(source), start=1))


def _digest(*texts: str) -> bytes:
    return hashlib.blake2b("\0".join(" ".join(text.split()) for text in texts).encode(), digest_size=12).digest()


class _Check:
    """What is known of all files so far."""

    def __init__(self, findings: Findings, model: LanguageModel | None, template: Template, n_folds: int) -> None:
        self.findings, self.model, self.n_folds = findings, model, n_folds
        if model is not None and template == "auto":
            template = "chat" if model.tokenizer.chat_template else "plain"
        if model is not None and template == "chat" and not model.tokenizer.chat_template:
            raise InputError(f"the tokenizer of {model.name} has no chat template; use template 'plain'")
        self.template = template
        self.labels: Counter[str] = Counter()
        self.n_traces: list[int] = []
        self.n_spans: list[int] = []
        self.n_problems: list[int] = []
        self.files: list[str] = []
        self.text_owners: dict[bytes, str] = {}
        # Digest of a problem -> the files with it, and its name; of a prompt -> these, and its first problem.
        self.problem_files: dict[bytes, tuple[set[int], str]] = {}
        self.prompt_files: dict[bytes, tuple[set[int], str, bytes]] = {}

    def read(self, file: str, rows: Iterator[tuple[str, Sequence[Trace] | InputError]]) -> None:
        """Check the traces of one file."""
        self.files.append(file)
        ids: dict[bytes, str] = {}
        problem_of_prompt: dict[bytes, bytes] = {}
        problems: set[bytes] = set()
        places: list[tuple[str, str]] = []  # label and problem of every span
        n_traces = n_unlabelled = 0
        for place, traces in rows:
            if isinstance(traces, InputError):
                self.findings.add("malformed", file, str(traces).removeprefix(f"{file}, "))
                continue
            for trace in traces:
                n_traces += 1
                n_unlabelled += not trace.spans
                problem = _digest(trace.problem)
                problems.add(problem)
                identity = _digest(trace.id)
                if identity in ids:
                    self.findings.add("repeated id", file, f"{trace.id} ({_short(place, file)}, as {ids[identity]})")
                ids.setdefault(identity, _short(place, file))
                self._across(file, trace, problem)
                if trace.prompt and problem_of_prompt.setdefault(_digest(trace.prompt), problem) != problem:
                    self.findings.add(
                        "cut prompt", file, f"{trace.id}: {trace.prompt[:60]!r}, problem {trace.problem[:40]!r}"
                    )
                places += [(span.label, trace.problem) for span in trace.spans]
                self._spans(file, trace)
                if self.model is not None:
                    self._encode(self.model, file, trace)
        if not n_traces and (file, "malformed") not in self.findings.counts:
            raise InputError(f"{file} holds no traces")
        if n_unlabelled:
            self.findings.add("no labels", file, f"{n_unlabelled} of {n_traces} traces", n_unlabelled)
        self._labels(file, places)
        self.n_traces.append(n_traces)
        self.n_spans.append(len(places))
        self.n_problems.append(len(problems))

    def compare_files(self) -> None:
        """Find problems and prompts that are in several files."""
        leaks = [(files, f"problem {name!r}") for files, name in self.problem_files.values()]
        for files, prompt, problem in self.prompt_files.values():
            if len(self.problem_files[problem][0]) < 2:  # else it is named already
                leaks.append((files, f"prompt {prompt!r}"))
        for files, what in leaks:
            for place in sorted(files)[1:]:
                self.findings.add("leak", self.files[place], f"{what}, also in {self.files[min(files)]}")

    def _across(self, file: str, trace: Trace, problem: bytes) -> None:
        place = len(self.files) - 1
        self.problem_files.setdefault(problem, (set(), trace.problem[:60]))[0].add(place)
        if trace.prompt:
            self.prompt_files.setdefault(_digest(trace.prompt), (set(), trace.prompt[:60], problem))[0].add(place)
        if not trace.text.strip():
            self.findings.add("empty text", file, trace.id)
            return
        text = _digest(trace.prompt, trace.text)
        if text in self.text_owners:
            self.findings.add("repeated text", file, f"{trace.id}, as {self.text_owners[text]}")
        self.text_owners.setdefault(text, f"{trace.id} of {file}")

    def _spans(self, file: str, trace: Trace) -> None:
        before = None
        for span in sorted(trace.spans, key=lambda span: (span.start, span.end)):
            if not trace.text_of(span).strip():
                self.findings.add("empty span", file, f"{trace.id}: {span.label} at {span.start}..{span.end}")
            if before is not None and span.start < before.end:
                self.findings.add("overlap", file, f"{trace.id}: {before.label} and {span.label} at {span.start}")
            if before is None or span.end > before.end:
                before = span

    def _labels(self, file: str, places: list[tuple[str, str]]) -> None:
        labels = Counter(label for label, _ in places)
        self.labels += labels
        if not places:
            return
        if len(labels) == 1:
            self.findings.add("one label", file, next(iter(labels)))
        common = common_labels([label for label, _ in places], [problem for _, problem in places], self.n_folds)
        problems: defaultdict[str, set[str]] = defaultdict(set)
        for label, problem in places:
            problems[label].add(problem)
        for label in labels:
            if label not in common:
                self.findings.add(
                    "rare label", file, f"{label}: {labels[label]} spans of {len(problems[label])} problems"
                )
        if not common:
            self.findings.add("too few problems", file, f"{self.n_folds} folds; {listed(labels)}")

    def _encode(self, model: LanguageModel, file: str, trace: Trace) -> None:
        try:
            encoded = encode_trace(model, trace, self.template, truncate=True)
        except InputError as error:
            self.findings.add("not encoded", file, f"{trace.id}: {error}")
            return
        n_unknown = count_unknown(model, encoded.token_ids)
        if n_unknown > MOST_UNKNOWN * len(encoded):
            self.findings.add("unknown words", file, f"{trace.id}: {n_unknown} of {len(encoded)} tokens")
        if model.context_tokens is not None and len(encoded) == model.context_tokens:
            try:
                encode_trace(model, trace, self.template, truncate=False)
            except InputError as error:
                self.findings.add("over context", file, str(error).partition(";")[0])


def _short(place: str, file: str) -> str:
    return place.removeprefix(f"{file}, ")
