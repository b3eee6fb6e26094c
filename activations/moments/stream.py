"""Collect moments: read traces window by window, add up on the device of each layer, and discard the activations.

The sum so far and the number of its windows are written together after every window, in one atomic step. A run that is
interrupted is resumed after the last window and ends with exactly the same sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypedDict, Unpack, overload

import torch

from ...models import load
from ...models._load import ModelLike
from ...models.content import weights_digest
from ...models.sites import BLOCK_OUTPUT, Site
from ...rundir import InputError, RunDirectory, expanded
from ...rundir.progress import ProgressBar
from ...traces import Template, Trace, TraceSource, digest, stream_traces
from .._collect import windows
from ..collection import Collection, ReadAndSite
from ..collector import Collector, nothing_to_read
from ..read import Read
from ..settings import CollectSettings, ManyReads, ManySites
from ..store.provenance import collection_run
from .label_sums import LabelSums, on_host
from .moments import Moments, hashes
from .window_sum import WindowSum

SPANS_PER_WINDOW = 16_384


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
        traces: Traces with labelled spans: "bundled", a file, Trace objects or dictionaries as in the file, also
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
    n_sites, d_model = len(collector.sites), collector.model.d_model
    labels = [[example.label for example in read.examples] for read in window.reads]
    by_device = collector.engine.results
    norm_sum = torch.zeros(len(window.reads), n_sites, len(collector.layers), dtype=torch.float64)
    try:
        sums = [
            [
                LabelSums.of_none(names, n_sites, len(slots), d_model, covariance, device)
                for device, slots in by_device.items()
            ]
            for names in labels
        ]
        if covariance:
            collector.engine.fit_again()  # into the memory that the comoments leave
        for batch in window.batches:
            for of_read, own, norms in zip(sums, batch.reads, norm_sum, strict=True):
                for part, layers in zip(of_read, own.means, strict=True):
                    part.add(own.spans, layers.means)
                if own.has_stretch.any():
                    for part, layers in zip(of_read, batch.stretch_means, strict=True):
                        part.add_stretches(layers.means, own.has_stretch)
                    norms += batch.stretch_norms[:, :, own.has_stretch].sum(dim=2, dtype=torch.float64)
        copied = [on_host(of_read, list(by_device.values())) for of_read in sums]
    except torch.OutOfMemoryError as error:
        n_labels = sum(len(set(names)) for names in labels)
        raise _no_room(collector, n_labels, covariance, str(error)) from None
    model = collector.model.identity()
    return {
        (read, site): Moments(
            by_label=by_label[slot],
            stretches=stretches[slot],
            norm_sum=norm_sum[number, slot],
            layers=collector.layers,
            read=read,
            site=site,
            model=model,
            problem_hashes=hashes(example.problem for example in own.examples),
            n_skipped=own.n_skipped,
        )
        for number, (read, own, (by_label, stretches)) in enumerate(
            zip(collector.reads, window.reads, copied, strict=True)
        )
        for slot, site in enumerate(collector.sites)
    }


def _no_room(collector: Collector, n_labels: int, covariance: bool, reason: str) -> InputError:
    """Say how much the moments of a window take where they do not fit beside the model."""
    n_layers, d_model = len(collector.layers), collector.model.d_model
    n_bytes = n_labels * len(collector.sites) * n_layers * d_model * (d_model + 2 if covariance else 2) * 8
    devices = ", ".join(map(str, collector.engine.results))
    return InputError(
        f"out of memory on {devices}: {'covariances' if covariance else 'moments'} of {n_labels} labels at {n_layers} "
        f"layers take {n_bytes / 2**30:.2g} GiB beside the model ({reason.splitlines()[0]:.150}). Read fewer layers "
        "(layers=, --layers), leave the covariance out, or load the model over more devices (device_map='auto'), each "
        "of which holds the moments of its own layers."
    )
