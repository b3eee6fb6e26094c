"""Collecting activations: labelled traces + a model -> one vector for each span and layer.

Each trace is run once, teacher-forced, together with others of its length; the read of every span is averaged inside
the forward pass (`engine/`), so memory does not depend on how many layers are read. With a directory to write to, the
traces are read window by window and every window is a shard (`store/`): memory does not depend on how many traces
there are, and a run that was cut off goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch

from ..models import load
from ..models._load import ModelLike
from ..models.content import weights_digest
from ..rundir import expanded
from ..rundir.progress import ProgressBar
from ..traces import Template, Trace, digest
from .activations import Activations
from .collector import Collector, nothing_to_read
from .read import Read
from .settings import CollectSettings
from .store import Part, Store

SHARD_BYTES = 1 << 29


def collect(
    model: ModelLike,
    traces: Iterable[Trace],
    *,
    layers: str | Sequence[int] | None = None,
    read: Read | str = "mean",
    template: Template = "auto",
    truncate: bool = False,
    include_markup: bool = False,
    tokens_per_batch: int | None = None,
    share_prefixes: bool = True,
    compile: bool = False,
    out: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
    spans_per_shard: int | None = None,
    progress: bool = True,
) -> Activations:
    """The activations of every labelled span, in the order of the traces and of their spans.

    layers: 0-based blocks whose output is read, negative ones from the end, or "0,4,10:20:2"; default all.
    read: which tokens of a span are averaged (see `Read`).
    template, truncate: how prompt and text become tokens (see `traces.encode`).
    include_markup: also read attention sinks, special and template tokens, which otherwise are left out of every mean.
    tokens_per_batch: padded tokens of a forward pass; by itself 4096 on a CPU and what fits on CUDA. Longer texts go in
    parts over a KV cache. share_prefixes: what texts have in common (one prompt, many answers) is run once.
    compile: through torch.compile, which takes half a minute at first and is faster after; for long runs.
    out: a directory to write shards to and read them from, which then stay on disk until a layer is asked for. The same
    call on it takes up a run that was cut off, or repairs a shard that was damaged. `traces` may be a generator.
    dtype, spans_per_shard: of the shards; by default float32 and about 512 MiB each.

    Raises InputError when nothing is labelled, a text is too long, a layer does not exist, an activation is not
    finite, or `out` holds something else or is being written to.
    """
    model = load(model)
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
    if out is not None:
        collector = Collector(model, settings)
        return collect_into(
            expanded(out), collector, traces, dtype=dtype, spans_per_shard=spans_per_shard, progress=progress
        )
    traces = list(traces)
    collector = Collector(model, settings)
    with ProgressBar(desc="reading activations", unit="token", unit_scale=True, progress=progress) as bar:
        part = read_part(collector, traces, bar.update, bar.reset)
    if not part.examples:
        raise nothing_to_read(len(traces), sum(len(trace.spans) for trace in traces), settings)
    return Activations(
        acts=part.acts.transpose(0, 1),
        embedded=part.embeddings,
        examples=part.examples,
        layers=collector.layers,
        read=settings.tokens,
        model=model.identity(),
        overall_mean=(part.stretch_sum / part.n_stretches).float(),
        residual_norm=(part.norm_sum / part.n_stretches).float(),
        n_skipped=part.n_skipped,
    )


def collect_into(
    out: Path,
    collector: Collector,
    traces: Iterable[Trace],
    *,
    dtype: torch.dtype = torch.float32,
    spans_per_shard: int | None = None,
    progress: bool = True,
) -> Activations:
    """Collect window by window into the store at `out`, leaving out the windows that stand in it."""
    n_spans = spans_per_shard or default_spans_per_shard(collector, dtype)
    n_traces = n_spans_seen = 0
    with Store.write(
        out,
        store_description(collector, dtype, n_spans),
        weights_digest(collector.model),
        collector.engine.tokens_per_batch,
    ) as store:
        if collector.settings.tokens_per_batch is None:  # asked for, it is taken, also where the store has another
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
    return Activations.open(out)


def store_description(collector: Collector, dtype: torch.dtype, spans_per_shard: int) -> dict[str, object]:
    """What a store must agree in to be continued."""
    description = collector.settings.describe(collector.model)
    return description | {"dtype": str(dtype).removeprefix("torch."), "spans_per_shard": spans_per_shard}


def default_spans_per_shard(collector: Collector, dtype: torch.dtype) -> int:
    n_vectors = len(collector.layers) + 1  # and the mean embedding
    return max(1, SHARD_BYTES // (n_vectors * collector.model.d_model * dtype.itemsize))


def read_part(
    collector: Collector,
    traces: Sequence[Trace],
    done: Callable[[int], object] = lambda _: None,
    total: Callable[[int], object] = lambda _: None,
) -> Part:
    """Everything that one window gives, in memory. total, done: hear how many tokens there are, and each batch had."""
    window = collector.window(traces, done)
    total(window.n_tokens)
    n_layers, d_model = len(collector.layers), collector.model.d_model
    acts = torch.empty(n_layers, len(window.examples), d_model)
    stretches = torch.empty(n_layers, window.n_stretches, d_model)
    norms = torch.empty(n_layers, window.n_stretches)
    for found in window.batches:
        spans, texts = torch.from_numpy(found.spans), torch.from_numpy(found.stretches)
        acts[:, spans] = found.acts
        stretches[:, texts] = found.stretch_means
        norms[:, texts] = found.stretch_norms
    return Part(
        acts=acts,
        embeddings=window.embeddings(),
        examples=window.examples,
        stretch_sum=stretches.sum(dim=1, dtype=torch.float64),
        norm_sum=norms.sum(dim=1, dtype=torch.float64),
        n_stretches=window.n_stretches,
        n_skipped=window.n_skipped,
    )


def windows(traces: Iterable[Trace], n_spans: int) -> Iterator[list[Trace]]:
    """The traces in order, cut where `n_spans` spans are together; the last window is what is left."""
    window: list[Trace] = []
    held = 0
    for trace in traces:
        window.append(trace)
        held += len(trace.spans)
        if held >= n_spans or len(window) >= n_spans:  # texts without a label are held too
            yield window
            window, held = [], 0
    if window:
        yield window
