"""Collecting activations: labelled traces + a model -> one vector for each span and layer.

Each trace is run once, teacher-forced, together with others of its length; the read of every span is averaged inside
the forward pass (`pooling.py`), so memory does not depend on how many layers are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..models import InputError, load
from ..models.load import ModelLike
from ..traces import EncodedTrace, Template, Trace, encode, is_marked
from .activations import Activations, Example
from .batching import batches
from .pooling import Segment, pooled
from .read import Read

Positions = np.ndarray[Any, np.dtype[np.int64]]
TOKENS_PER_BATCH = {"cpu": 4096, "cuda": 16384}


def collect(
    model: ModelLike,
    traces: Iterable[Trace],
    *,
    layers: Sequence[int] | None = None,
    read: Read | str = "mean",
    template: Template = "auto",
    truncate: bool = False,
    include_markup: bool = False,
    tokens_per_batch: int | None = None,
    padding_side: Literal["left", "right"] = "right",
    progress: bool = True,
) -> Activations:
    """The activations of every labelled span, in the order of the traces and of their spans.

    layers: 0-based blocks whose output is read, negative ones from the end; default all.
    read: which tokens of a span are averaged (see `Read`).
    template, truncate: how prompt and text become tokens (see `traces.encode`).
    include_markup: also read attention sinks, special and template tokens, which otherwise are left out of every mean.
    tokens_per_batch: padded size of a batch; default 4096 on a CPU, 16384 on CUDA.
    padding_side: makes no difference to the result beyond kernel rounding.

    Raises InputError when nothing is labelled, a text is too long, a layer does not exist, or an activation is not
    finite.
    """
    model = load(model)
    read = Read.parse(read) if isinstance(read, str) else read
    wanted = sorted({model.layer_index(layer) for layer in (range(model.n_layers) if layers is None else layers)})
    if not wanted:
        raise InputError(f"no layers asked for; {model.name} has blocks 0..{model.n_layers - 1}")
    encoded = encode(model, traces, template=template, truncate=truncate)
    plans = [_plan(text, read, include_markup) for text in encoded]
    n_spans = sum(len(text.spans) for text in encoded)
    if not any(plans):
        raise InputError(
            f"nothing to read: {len(encoded)} traces hold {n_spans} labelled spans, and none has a token that the "
            f"read {str(read)!r} may take"
        )
    budget = tokens_per_batch or TOKENS_PER_BATCH["cuda" if model.device.type == "cuda" else "cpu"]
    found: dict[tuple[int, int], Tensor] = {}  # (trace, span) -> (n_layers, d_model)
    stretches: dict[int, tuple[Tensor, Tensor]] = {}  # trace -> mean (n_layers, d_model) and norm (n_layers)
    n_tokens = sum(map(len, encoded))
    with tqdm(total=n_tokens, desc="reading activations", unit="token", disable=not progress) as bar:
        for batch in batches([len(text) for text in encoded], budget):
            owners = [(index, key) for index in batch for key in plans[index]]
            if owners:
                segments = [Segment(batch.index(index), plans[index][key]) for index, key in owners]
                means, norms = pooled(
                    model, [encoded[index].token_ids for index in batch], segments, wanted, padding_side=padding_side
                )
                _check_finite(means, owners, encoded, wanted)
                for (index, key), mean, norm in zip(owners, means, norms, strict=True):
                    if key is None:
                        stretches[index] = mean, norm
                    else:
                        found[index, key] = mean
            bar.update(sum(len(encoded[index]) for index in batch))
    kept = sorted(found)
    return Activations(
        acts=torch.stack([found[key] for key in kept]),
        examples=tuple(_example(encoded[index].trace, span) for index, span in kept),
        layers=tuple(wanted),
        read=read,
        model=model.identity(),
        overall_mean=torch.stack([stretches[index][0] for index in sorted(stretches)]).mean(dim=0),
        residual_norm=torch.stack([stretches[index][1] for index in sorted(stretches)]).mean(dim=0),
        n_skipped=n_spans - len(kept),
    )


def _plan(text: EncodedTrace, read: Read, include_markup: bool) -> dict[int | None, Positions]:
    """The positions to average for each span that has any, and under None those of the whole labelled stretch."""

    def readable(positions: range) -> Positions:
        inside = np.arange(positions.start, min(positions.stop, len(text)))
        return inside if include_markup else inside[~text.is_markup[inside]]

    plan: dict[int | None, Positions] = {
        number: positions
        for number, span in enumerate(text.spans)
        if span is not None and len(positions := readable(read.positions(*span)))
    }
    if plan:
        spans = [span for span in text.spans if span is not None]
        plan[None] = readable(range(min(first for first, _ in spans), max(stop for _, stop in spans)))
    return plan


def _example(trace: Trace, number: int) -> Example:
    span = trace.spans[number]
    text = trace.text_of(span)
    marked = is_marked(text, span.label) if span.marked is None else span.marked
    return Example(trace.id, trace.problem, span.label, span.start, span.end, text, marked)


def _check_finite(
    means: Tensor, owners: list[tuple[int, int | None]], encoded: list[EncodedTrace], layers: list[int]
) -> None:
    bad = (~means.isfinite().all(dim=-1)).nonzero()
    if len(bad):
        owner, slot = bad[0].tolist()
        index, key = owners[owner]
        trace = encoded[index].trace
        where = "its labelled stretch" if key is None else f"the span {trace.text_of(trace.spans[key])!r:.60}"
        raise InputError(
            f"activations at layer {layers[slot]} are not finite (NaN or infinity) in trace {trace.id!r}, {where}. "
            "Half-precision overflow is the usual cause: load the model with dtype=bfloat16 or float32."
        )
