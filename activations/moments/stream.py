"""Collect moments: read traces window by window, add up on the model's device, and discard the activations.

The sum so far and the number of its windows are written together after every window, in one atomic step. A run that is
interrupted is resumed after the last window and ends with exactly the same sums.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ...models import load
from ...models._load import ModelLike
from ...models.content import weights_digest
from ...rundir import InputError, RunDirectory, differences, expanded
from ...rundir.progress import ProgressBar
from ...traces import Template, Trace, TraceSource, digest, stream_traces
from .._collect import windows
from ..collector import Collector, nothing_to_read
from ..read import Read
from ..settings import CollectSettings
from ..store.provenance import collection_run, without_names
from .moments import Moments, hashes, read_moments
from .summary import Summary

SPANS_PER_WINDOW = 16_384
FILE = "moments.safetensors"


def collect_moments(
    model: ModelLike,
    traces: TraceSource,
    *,
    layers: str | Sequence[int] | None = None,
    read: Read | str = "mean",
    template: Template = "auto",
    truncate: bool = False,
    include_markup: bool = False,
    tokens_per_batch: int | None = None,
    share_prefixes: bool = True,
    compile: bool = False,
    covariance: bool = False,
    out: str | Path | None = None,
    spans_per_window: int = SPANS_PER_WINDOW,
    progress: bool = True,
) -> Moments:
    """Collect the moments of labelled spans' activations, by label and layer, without storing any activation.

    Args:
        model: A name, a handle or a loaded model.
        traces: Traces with labelled spans: "bundled", a JSONL file, Trace objects or dictionaries as in the file, also
            from a generator.
        layers: 0-based blocks whose output is read, negative ones from the end, or "0,4,10:20:2"; None means all.
        read: Which tokens of a span are averaged (see `Read`).
        template: How prompt and text become tokens (see `traces.encode`).
        truncate: Cut texts that are longer than the context, instead of refusing them.
        include_markup: Also read attention sinks, special and template tokens, which are left out otherwise.
        tokens_per_batch: Padded tokens of a forward pass. None means 4096 on a CPU and what fits on CUDA. Longer texts
            run in parts over a KV cache.
        share_prefixes: Run what several texts have in common (one prompt, many answers) once.
        compile: Run blocks through torch.compile, which costs half a minute at first and is faster afterwards; for long
            runs.
        covariance: Also collect covariance matrices, 8 d_model^2 bytes for each label and layer.
        out: A directory for the sums so far. The same call resumes a run that was interrupted.
        spans_per_window: How many spans are read between two writes.
        progress: Show a progress bar over tokens.

    Returns:
        The moments, float64.

    Raises:
        InputError: As `collect` does.
    """
    settings = CollectSettings(
        layers=layers,
        read=read,
        template=template,
        truncate=truncate,
        include_markup=include_markup,
        tokens_per_batch=tokens_per_batch,
        share_prefixes=share_prefixes,
        compile=compile,
    )
    traces = stream_traces(traces)
    collector = Collector(load(model), settings, on_device=True)
    description = collector.settings.describe(collector.model)
    description |= {"covariance": covariance, "spans_per_window": spans_per_window}
    budget = collector.engine.tokens_per_batch
    if out is None:
        with RunDirectory(None, "collect") as run:
            total = WindowSum(run, description, budget)
            return _stream(total, collector, traces, covariance, spans_per_window, progress)
    with collection_run(expanded(out), "moments", description, weights_digest(collector.model)) as run:
        return _stream(WindowSum(run, description, budget), collector, traces, covariance, spans_per_window, progress)


def _stream(
    total: WindowSum,
    collector: Collector,
    traces: Iterable[Trace],
    covariance: bool,
    n_spans: int,
    progress: bool,
) -> Moments:
    if collector.settings.tokens_per_batch is None:  # if asked for, it overrides that of the file
        collector.engine.tokens_per_batch = total.tokens_per_batch
    n_traces = n_spans_seen = 0
    with ProgressBar(desc="reading activations", unit="token", unit_scale=True, progress=progress) as bar:
        for window in windows(traces, n_spans):
            place = total.step(digest(window))
            if place is not None:
                moments_of_window = window_moments(collector, window, covariance, bar.update)
                total.add(moments_of_window, place, collector.engine.tokens_per_batch)
            n_traces += len(window)
            n_spans_seen += sum(len(trace.spans) for trace in window)
            bar.set_postfix(traces=n_traces)
    moments = total.finish()
    if moments is None:
        raise nothing_to_read(n_traces, n_spans_seen, collector.settings)
    return moments


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the sequence of windows: how many there are up to it, and a digest of all of them."""

    n_windows: int = 0
    chain: str = ""

    def after(self, window: str) -> Place:
        """Return the place after one more window, which has this digest."""
        return Place(self.n_windows + 1, hashlib.sha256(f"{self.chain}{window}".encode()).hexdigest())


class WindowSum:
    """The sum over windows, taken in their order, and the file that holds it."""

    def __init__(self, run: RunDirectory, description: dict[str, Any], tokens_per_batch: int) -> None:
        self._run, self._file, self.description = run, run.file(FILE), description
        self.tokens_per_batch = tokens_per_batch
        self._sum: Moments | None = None
        self._stored = Place()  # how far the sum in the file goes
        self._complete = False
        self._place = Place()
        if self._file is not None and self._file.is_file():
            self._continue(self._file)

    def _continue(self, file: Path) -> None:
        self._sum = read_moments(file)
        progress = self._sum.progress
        changes = differences(without_names(progress.get("description", {})), without_names(self.description))
        if changes:
            raise InputError(f"{file} holds other moments ({changes}); choose another directory or remove it")
        self.description = progress["description"]  # a copy of the model may have another name
        self._stored = Place(progress["n_windows"], progress["chain"])
        self._complete, self.tokens_per_batch = progress["complete"], progress["tokens_per_batch"]

    def step(self, window: str) -> Place | None:
        """Advance to the next window; None if the sum holds it. Raises InputError if it holds another in its place."""
        self._place = self._place.after(window)
        if self._place.n_windows == self._stored.n_windows and self._place != self._stored:
            raise InputError(
                f"{self._file} holds moments of other traces than those given now; choose another directory, or "
                "remove this one"
            )
        return None if self._place.n_windows <= self._stored.n_windows else self._place

    def add(self, moments: Moments, place: Place, tokens_per_batch: int) -> None:
        """Add the moments of the window at `place`, which follows the last one that was added, and write the sum."""
        self.tokens_per_batch = tokens_per_batch
        self._sum = moments if self._sum is None else self._sum + replace(moments, model=self._sum.model)
        self._complete = False
        self._write(place)

    def finish(self) -> Moments | None:
        """Return the sum and mark it as complete; None, and no file, where nothing could be read.

        Raises InputError if it holds more windows than the traces make.
        """
        if self._place.n_windows < self._stored.n_windows:
            raise InputError(
                f"{self._file} holds moments of more traces than those given now; choose another "
                "directory, or remove it"
            )
        if self._sum is None or not self._sum.by_label:
            if self._file is not None:
                self._file.unlink(missing_ok=True)
                self._run.abandon()
            return None
        if not self._complete:
            self._complete = True
            self._write(self._place)
        self._run.finish()
        return replace(self._sum, progress={})

    def _write(self, place: Place) -> None:
        if self._file is None or self._sum is None:
            return
        self._run.record()
        self._sum = replace(
            self._sum,
            progress={
                "complete": self._complete,
                "n_windows": place.n_windows,
                "chain": place.chain,
                "tokens_per_batch": self.tokens_per_batch,
                "description": self.description,
            },
        )
        self._sum.save(self._file)


def window_moments(
    collector: Collector, traces: Sequence[Trace], covariance: bool, on_batch: Callable[[int], object] = lambda _: None
) -> Moments:
    """Compute the moments of one window; `on_batch` is called with the number of tokens of each batch."""
    window = collector.window(traces, on_batch)
    by_label: dict[str, Summary] = {}
    n_layers = len(collector.layers)
    stretches = Summary.of_none(n_layers, collector.model.d_model)
    norm_sum = torch.zeros(n_layers, dtype=torch.float64)
    labels = [example.label for example in window.examples]
    for batch in window.batches:
        batch_labels = [labels[span] for span in batch.spans.tolist()]
        for label in dict.fromkeys(batch_labels):
            rows = [row for row, name in enumerate(batch_labels) if name == label]
            summary = Summary.of(batch.span_means[:, rows], covariance)
            by_label[label] = by_label[label] + summary if label in by_label else summary
        if len(batch.stretches):
            stretches = stretches + Summary.of(batch.stretch_means).cpu()
            norm_sum += batch.stretch_norms.sum(dim=1, dtype=torch.float64).cpu()
    return Moments(
        by_label={label: by_label[label].cpu() for label in dict.fromkeys(labels)},
        stretches=stretches,
        norm_sum=norm_sum,
        layers=collector.layers,
        read=collector.settings.tokens,
        model=collector.model.identity(),
        problem_hashes=hashes(example.problem for example in window.examples),
        n_skipped=window.n_skipped,
    )
