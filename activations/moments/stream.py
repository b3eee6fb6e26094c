"""Collect moments: read traces window by window, add up on the model's device, and discard the activations.

The sum so far and the number of its windows are written together after every window, in one atomic step. A run that is
interrupted is resumed after the last window and ends with exactly the same sums.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

import torch

from ...models import load
from ...models._load import ModelLike
from ...models.content import weights_digest
from ...models.sites import BLOCK_OUTPUT, Site
from ...rundir import InputError, RunDirectory, differences, expanded
from ...rundir.progress import ProgressBar
from ...traces import Template, Trace, TraceSource, digest, stream_traces
from .._collect import windows
from ..collection import Collection, ReadAndSite
from ..collector import Collector, nothing_to_read
from ..read import Read
from ..settings import CollectSettings, ManyReads, ManySites
from ..store.provenance import collection_run, without_names
from .moments import Moments, as_collection, hashes, read_moments, write_moments
from .summary import Summary

SPANS_PER_WINDOW = 16_384
FILE = "moments.safetensors"


class MomentsOptions(TypedDict, total=False):
    """The options of `collect_moments` that decide nothing about what it returns."""

    layers: str | Sequence[int] | None
    template: Template
    truncate: bool
    include_markup: bool
    tokens_per_batch: int | None
    share_prefixes: bool
    compile: bool
    covariance: bool
    out: str | Path | None
    spans_per_window: int
    progress: bool


@overload
def collect_moments(
    model: ModelLike,
    traces: TraceSource,
    *,
    read: Read | str = "mean",
    sites: Site | str = BLOCK_OUTPUT,
    **options: Unpack[MomentsOptions],
) -> Moments: ...
@overload
def collect_moments(
    model: ModelLike,
    traces: TraceSource,
    *,
    read: ManyReads,
    sites: Site | str | ManySites = BLOCK_OUTPUT,
    **options: Unpack[MomentsOptions],
) -> Collection[Moments]: ...
@overload
def collect_moments(
    model: ModelLike,
    traces: TraceSource,
    *,
    read: Read | str = "mean",
    sites: ManySites,
    **options: Unpack[MomentsOptions],
) -> Collection[Moments]: ...
def collect_moments(
    model: ModelLike,
    traces: TraceSource,
    *,
    layers: str | Sequence[int] | None = None,
    read: Read | str | ManyReads = "mean",
    sites: Site | str | ManySites = BLOCK_OUTPUT,
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
) -> Moments | Collection[Moments]:
    """Collect the moments of labelled spans' activations, by label and layer, without storing any activation.

    Args:
        model: A name, a handle or a loaded model.
        traces: Traces with labelled spans: "bundled", a JSONL file, Trace objects or dictionaries as in the file, also
            from a generator.
        layers: 0-based blocks that are read, negative ones from the end, or "0,4,10:20:2"; None means all.
        read: Which tokens of a span are averaged (see `Read`); or a list of reads, all from one pass.
        sites: Where in each block: its output, another site (see `models.sites`), or a list of them.
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
        The moments, float64. For a list of reads or sites, a collection of these: `collection.at("before:1")`.

    Raises:
        InputError: As `collect` does.
    """
    settings = CollectSettings(
        layers=layers,
        read=read,
        sites=sites,
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
            moments = _stream(total, collector, traces, covariance, spans_per_window, progress)
    else:
        with collection_run(expanded(out), "moments", description, weights_digest(collector.model)) as run:
            total = WindowSum(run, description, budget)
            moments = _stream(total, collector, traces, covariance, spans_per_window, progress)
    return moments.at() if settings.is_single else moments


def _stream(
    total: WindowSum,
    collector: Collector,
    traces: Iterable[Trace],
    covariance: bool,
    n_spans: int,
    progress: bool,
) -> Collection[Moments]:
    if collector.settings.tokens_per_batch is None:  # if asked for, it overrides that of the file
        collector.engine.tokens_per_batch = total.tokens_per_batch
    n_traces = n_spans_seen = 0
    with ProgressBar(desc="reading activations", unit="token", unit_scale=True, progress=progress) as bar:
        for window in windows(traces, n_spans):
            step = total.step(digest(window))
            if step is not None:
                moments_of_window = window_moments(collector, window, covariance, bar.update)
                total.add(moments_of_window, step, collector.engine.tokens_per_batch)
            n_traces += len(window)
            n_spans_seen += sum(len(trace.spans) for trace in window)
            bar.set_postfix(traces=n_traces)
    moments = total.finish()
    if moments is None:
        raise nothing_to_read(n_traces, n_spans_seen, collector.settings)
    return moments


@dataclass(frozen=True, slots=True)
class Step:
    """A place in the sequence of windows: how many there are up to it, and a digest of all of them."""

    n_windows: int = 0
    chain: str = ""

    def after(self, window: str) -> Step:
        """Return the place after one more window, which has this digest."""
        return Step(self.n_windows + 1, hashlib.sha256(f"{self.chain}{window}".encode()).hexdigest())


class WindowSum:
    """The sum over windows, taken in their order, and the file that holds it."""

    def __init__(self, run: RunDirectory, description: dict[str, Any], tokens_per_batch: int) -> None:
        self._run, self._file, self.description = run, run.file(FILE), description
        self.tokens_per_batch = tokens_per_batch
        self._sum: dict[ReadAndSite, Moments] = {}
        self._stored = Step()  # how far the sum in the file goes
        self._complete = False
        self._step = Step()
        if self._file is not None and self._file.is_file():
            self._continue(self._file)

    def _continue(self, file: Path) -> None:
        self._sum, progress = read_moments(file)
        changes = differences(without_names(progress.get("description", {})), without_names(self.description))
        if changes:
            raise InputError(f"{file} holds other moments ({changes}); choose another directory or remove it")
        self.description = progress["description"]  # a copy of the model may have another name
        self._stored = Step(progress["n_windows"], progress["chain"])
        self._complete, self.tokens_per_batch = progress["complete"], progress["tokens_per_batch"]

    def step(self, window: str) -> Step | None:
        """Advance to the next window; None if the sum holds it. Raises InputError if it holds another in its place."""
        self._step = self._step.after(window)
        if self._step.n_windows == self._stored.n_windows and self._step != self._stored:
            raise InputError(
                f"{self._file} holds moments of other traces than those given now; choose another directory, or "
                "remove this one"
            )
        return None if self._step.n_windows <= self._stored.n_windows else self._step

    def add(self, moments: Mapping[ReadAndSite, Moments], step: Step, tokens_per_batch: int) -> None:
        """Add the moments of the window at `step`, which follows the last one that was added, and write the sum."""
        self.tokens_per_batch = tokens_per_batch
        for place, one in moments.items():
            known = self._sum.get(place)
            self._sum[place] = one if known is None else known + replace(one, model=known.model)
        self._complete = False
        self._write(step)

    def finish(self) -> Collection[Moments] | None:
        """Return the sum and mark it as complete; None, and no file, where nothing could be read.

        Raises InputError if it holds more windows than the traces make.
        """
        if self._step.n_windows < self._stored.n_windows:
            raise InputError(
                f"{self._file} holds moments of more traces than those given now; choose another "
                "directory, or remove it"
            )
        if not any(moments.by_label for moments in self._sum.values()):
            if self._file is not None:
                self._file.unlink(missing_ok=True)
                self._run.abandon()
            return None
        if not self._complete:
            self._complete = True
            self._write(self._step)
        self._run.finish()
        return as_collection(self._sum, "these moments" if self._file is None else str(self._file.parent))

    def _write(self, step: Step) -> None:
        if self._file is None:
            return
        self._run.record()
        progress = {
            "complete": self._complete,
            "n_windows": step.n_windows,
            "chain": step.chain,
            "tokens_per_batch": self.tokens_per_batch,
            "description": self.description,
        }
        write_moments(self._file, self._sum, progress)


def window_moments(
    collector: Collector, traces: Sequence[Trace], covariance: bool, on_batch: Callable[[int], object] = lambda _: None
) -> dict[ReadAndSite, Moments]:
    """Compute the moments of one window by read and site.

    Args:
        collector: The model, and what is read.
        traces: The traces of the window.
        covariance: Whether to compute covariances.
        on_batch: Is called with the number of tokens of each batch.

    Returns:
        Read and site -> moments; also of a read that takes no token.
    """
    window = collector.window(traces, on_batch)
    sites, n_layers = range(len(collector.sites)), len(collector.layers)
    by_label: list[list[dict[str, Summary]]] = [[{} for _ in sites] for _ in window.reads]
    stretches = [[Summary.of_none(n_layers, collector.model.d_model) for _ in sites] for _ in window.reads]
    norm_sum = torch.zeros(len(window.reads), len(sites), n_layers, dtype=torch.float64)
    labels = [[example.label for example in read.examples] for read in window.reads]
    for batch in window.batches:
        for number, (of_read, own, names) in enumerate(zip(by_label, batch.reads, labels, strict=True)):
            batch_labels = [names[span] for span in own.spans.tolist()]
            for label in dict.fromkeys(batch_labels):
                rows = [row for row, name in enumerate(batch_labels) if name == label]
                for of_site, means in zip(of_read, own.means, strict=True):
                    summary = Summary.of(means[:, rows], covariance)
                    of_site[label] = of_site[label] + summary if label in of_site else summary
            if own.has_stretch.any():
                means_of_stretches = batch.stretch_means[:, :, own.has_stretch]
                for slot in sites:
                    stretches[number][slot] = stretches[number][slot] + Summary.of(means_of_stretches[slot]).cpu()
                norm_sum[number] += batch.stretch_norms[:, :, own.has_stretch].sum(dim=2, dtype=torch.float64).cpu()
    model = collector.model.identity()
    return {
        (read, site): Moments(
            by_label={label: of_site[label].cpu() for label in dict.fromkeys(names)},
            stretches=stretches[number][slot],
            norm_sum=norm_sum[number, slot],
            layers=collector.layers,
            read=read,
            site=site,
            model=model,
            problem_hashes=hashes(example.problem for example in own.examples),
            n_skipped=own.n_skipped,
        )
        for number, (read, own, names, of_read) in enumerate(
            zip(collector.reads, window.reads, labels, by_label, strict=True)
        )
        for slot, (site, of_site) in enumerate(zip(collector.sites, of_read, strict=True))
    }
