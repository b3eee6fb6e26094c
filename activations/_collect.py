"""Collect activations: one vector for each labelled span of some traces, at each layer of a model.

Each trace runs once, teacher-forced, in a batch with others of similar length. The tokens of every span are averaged
inside the forward pass (`engine/`), so memory does not depend on how many layers are read. One pass serves several
reads and sites, each bit-identical to the same by itself. With a directory to write to, the traces are read window by
window, and every window becomes a shard (`store/`): memory does not depend on the number of traces either, and an
interrupted run is resumed where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypedDict, Unpack, overload

import torch

from ..models import load
from ..models._load import ModelLike
from ..models.content import weights_digest
from ..models.sites import BLOCK_OUTPUT, Site
from ..rundir import expanded
from ..rundir.progress import ProgressBar
from ..traces import Template, Trace, TraceSource, digest, stream_traces
from .activations import Activations, open_collection
from .collection import Collection
from .collector import Collector, nothing_to_read
from .hidden_states import HiddenStates
from .read import Read
from .settings import CollectSettings, ManyReads, ManySites
from .store import Part, ReadPart, Store

SHARD_BYTES = 1 << 29


class CollectOptions(TypedDict, total=False):
    """The options of `collect` that decide nothing about what it returns."""

    layers: str | Sequence[int] | None
    template: Template
    truncate: bool
    include_markup: bool
    tokens_per_batch: int | None
    share_prefixes: bool
    compile: bool
    hidden_states: str | Path | None
    out: str | Path | None
    dtype: torch.dtype
    spans_per_shard: int | None
    progress: bool


@overload
def collect(
    model: ModelLike,
    traces: TraceSource,
    *,
    read: Read | str = "mean",
    sites: Site | str = BLOCK_OUTPUT,
    **options: Unpack[CollectOptions],
) -> Activations: ...
@overload
def collect(
    model: ModelLike,
    traces: TraceSource,
    *,
    read: ManyReads,
    sites: Site | str | ManySites = BLOCK_OUTPUT,
    **options: Unpack[CollectOptions],
) -> Collection[Activations]: ...
@overload
def collect(
    model: ModelLike,
    traces: TraceSource,
    *,
    read: Read | str = "mean",
    sites: ManySites,
    **options: Unpack[CollectOptions],
) -> Collection[Activations]: ...
def collect(
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
    hidden_states: str | Path | None = None,
    out: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
    spans_per_shard: int | None = None,
    progress: bool = True,
) -> Activations | Collection[Activations]:
    """Collect the activations of every labelled span, in the order of the traces and of their spans.

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
        hidden_states: A directory of hidden states of these traces, which vLLM has written (`write_hidden_states`, or
            its own extraction): they are read, and the model is not run.
        out: A directory to write shards to. Activations then stay on disk until a layer is asked for. The same call
            resumes a run that was interrupted, and repairs damaged shards.
        dtype: Of the numbers in the shards.
        spans_per_shard: None means about 512 MiB for each shard.
        progress: Show a progress bar over tokens.

    Returns:
        One vector for each span and layer, in the units of the residual stream. For a list of reads or sites, a
        collection of these: `collection.at("before:1")`.

    Raises:
        InputError: Nothing is labelled, a text is too long, a layer or site does not exist, an activation is not
            finite, or `out` holds something else or is being written to.
    """
    model = load(model)
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
    states = None if hidden_states is None else HiddenStates(hidden_states, model)
    collector = Collector(model, settings, hidden_states=states)
    if out is not None:
        place = expanded(out)
        collect_into(
            place,
            collector,
            stream_traces(traces),
            dtype=dtype,
            spans_per_shard=spans_per_shard,
            progress=progress,
        )
        return Activations.open(place) if settings.is_single else open_collection(place)
    texts = list(stream_traces(traces))
    with ProgressBar(desc="reading activations", unit="token", unit_scale=True, progress=progress) as bar:
        part = read_part(collector, texts, bar.update, bar.reset)
    if not part.n_examples:
        raise nothing_to_read(len(texts), sum(len(trace.spans) for trace in texts), settings)
    collection = in_memory(part, collector)
    return collection.at() if settings.is_single else collection


def in_memory(part: Part, collector: Collector) -> Collection[Activations]:
    """Present one window as the activations of each read and site."""
    return Collection(
        members={
            (read, site): Activations(
                values=of_read.activations[slot].transpose(0, 1),
                embedding_values=of_read.embeddings,
                examples=of_read.examples,
                layers=collector.layers,
                read=read,
                site=site,
                model=collector.model.identity(),
                overall_mean=(of_read.stretch_sum[slot] / of_read.n_stretches).float(),
                residual_norm=(of_read.norm_sum[slot] / of_read.n_stretches).float(),
                n_skipped=of_read.n_skipped,
            )
            for read, of_read in zip(collector.reads, part.reads, strict=True)
            for slot, site in enumerate(collector.sites)
            if of_read.examples
        },
        reads=collector.reads,
        sites=collector.sites,
    )


def collect_into(
    out: Path,
    collector: Collector,
    traces: Iterable[Trace],
    *,
    dtype: torch.dtype = torch.float32,
    spans_per_shard: int | None = None,
    progress: bool = True,
) -> None:
    """Collect window by window into the store at `out`, leaving out the windows that it holds already."""
    n_spans = spans_per_shard or default_spans_per_shard(collector, dtype)
    n_traces = n_spans_seen = 0
    with Store.write(
        out,
        store_description(collector, dtype, n_spans),
        weights_digest(collector.model),
        collector.engine.tokens_per_batch,
    ) as store:
        if collector.settings.tokens_per_batch is None:  # if asked for, it overrides that of the store
            collector.engine.tokens_per_batch = store.tokens_per_batch
        with ProgressBar(desc="reading activations", unit="token", unit_scale=True, progress=progress) as bar:
            n_shards = 0
            for index, window in enumerate(windows(traces, n_spans)):
                name = digest(window)
                if not store.holds(index, name):
                    part = read_part(collector, window, bar.update)
                    store.add(index, name, part, len(window), collector.engine.tokens_per_batch)
                n_shards = index + 1
                n_traces += len(window)
                n_spans_seen += sum(len(trace.spans) for trace in window)
                bar.set_postfix(traces=n_traces)
        if not store.n_examples:
            store.discard()
            raise nothing_to_read(n_traces, n_spans_seen, collector.settings)
        store.finish(n_shards)


def store_description(collector: Collector, dtype: torch.dtype, spans_per_shard: int) -> dict[str, object]:
    """Describe what two collections must have in common to share a store."""
    description = collector.settings.describe(collector.model)
    if collector.hidden_states is not None:
        description["hidden_states"] = collector.hidden_states.digest()
    return description | {"dtype": str(dtype).removeprefix("torch."), "spans_per_shard": spans_per_shard}


def default_spans_per_shard(collector: Collector, dtype: torch.dtype) -> int:
    """Compute how many spans make a shard of about `SHARD_BYTES`."""
    n_vectors = len(collector.reads) * (len(collector.sites) * len(collector.layers) + 1)  # and the mean embedding
    return max(1, SHARD_BYTES // (n_vectors * collector.model.d_model * dtype.itemsize))


def read_part(
    collector: Collector,
    traces: Sequence[Trace],
    on_batch: Callable[[int], object] = lambda _: None,
    on_total: Callable[[int], object] = lambda _: None,
) -> Part:
    """Read one window into memory; `on_total` receives its number of tokens, `on_batch` that of each batch."""
    window = collector.window(traces, on_batch)
    on_total(window.n_tokens)
    places = len(collector.sites), len(collector.layers)
    d_model = collector.model.d_model
    activations = [torch.empty(*places, len(read.examples), d_model) for read in window.reads]
    stretches = torch.empty(*places, window.n_stretches, d_model)
    norms = torch.empty(*places, window.n_stretches)
    for batch in window.batches:
        for of_read, means in zip(activations, batch.reads, strict=True):
            of_read[:, :, torch.from_numpy(means.spans)] = means.means[0].means
        texts = torch.from_numpy(batch.stretches)
        stretches[:, :, texts] = batch.stretch_means[0].means
        norms[:, :, texts] = batch.stretch_norms
    return Part(
        reads=tuple(
            ReadPart(
                activations=of_read,
                embeddings=read.embeddings(),
                examples=read.examples,
                stretch_sum=stretches[:, :, read.stretches].sum(dim=2, dtype=torch.float64),
                norm_sum=norms[:, :, read.stretches].sum(dim=2, dtype=torch.float64),
                n_stretches=len(read.stretches),
                n_skipped=read.n_skipped,
            )
            for of_read, read in zip(activations, window.reads, strict=True)
        )
    )


def windows(traces: Iterable[Trace], n_spans: int) -> Iterator[list[Trace]]:
    """Cut the traces, in order, into windows of at least `n_spans` spans; the last window holds the rest."""
    window: list[Trace] = []
    n_spans_in_window = 0
    for trace in traces:
        window.append(trace)
        n_spans_in_window += len(trace.spans)
        if n_spans_in_window >= n_spans or len(window) >= n_spans:  # texts without a label take memory, too
            yield window
            window, n_spans_in_window = [], 0
    if window:
        yield window
