"""Collect moments: read traces window by window, add up on the model's device, and discard the activations.

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
from ...rundir import RunDirectory, expanded
from ...rundir.progress import ProgressBar
from ...traces import Template, Trace, TraceSource, digest, stream_traces
from .._collect import windows
from ..collection import Collection, ReadAndSite
from ..collector import Collector, nothing_to_read
from ..read import Read
from ..settings import CollectSettings, ManyReads, ManySites
from ..store.provenance import collection_run
from .moments import Moments, hashes
from .summary import Summary
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
