"""Run traces through a model: encode them, plan what is read, and return the means batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..models import LanguageModel
from ..models.sites import BLOCK_OUTPUT
from ..rundir import InputError
from ..traces import (
    EncodedTrace,
    Trace,
    encode,
    is_marked,
)
from .embeddings import mean_embeddings
from .engine import Engine, LayerMeans, Pooled, Segments
from .example import CHARACTERS_BEFORE, Example
from .hidden_states import HiddenStates, StatesEngine
from .plan import Plan, plan
from .settings import CollectSettings


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ReadBatch:
    """What one read takes of a batch: means of some spans, float32."""

    spans: Int[np.ndarray, " n_spans"]  # which of the read's examples
    means: tuple[LayerMeans, ...]  # all layers in one, unless those of several devices stay where they are
    has_stretch: Bool[np.ndarray, " n_stretches"]  # which of the batch's stretches are of texts with such a span


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Batch:
    """The results of one batch: means of some spans by each read, and means and mean norms of some stretches."""

    reads: tuple[ReadBatch, ...]
    stretches: Int[np.ndarray, " n_stretches"]  # which of the window's stretches
    stretch_means: tuple[LayerMeans, ...]
    stretch_norms: Float[Tensor, "n_sites n_layers n_stretches"]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class WindowRead:
    """What one read takes of a window: its examples in order."""

    examples: tuple[Example, ...]
    n_skipped: int
    stretches: Int[np.ndarray, " n"]  # the stretches of texts with an example
    embeddings: Callable[[], Float[Tensor, "n_examples d_embedding"]]  # looked up when called


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Window:
    """Traces that are read together: what each read takes of them, and the batches as they finish."""

    reads: tuple[WindowRead, ...]
    n_stretches: int
    n_tokens: int
    batches: Iterator[Batch]


class Collector:
    """Reads windows of traces with one model and one set of settings.

    With `on_device`, results stay where they were computed (for moments on GPUs) instead of going to the CPU. An
    `encoder` makes tokens of traces in another way than `encode`. `hidden_states` that another engine has written take
    the place of the model's passes.
    """

    def __init__(
        self,
        model: LanguageModel,
        settings: CollectSettings,
        *,
        on_device: bool = False,
        encoder: Callable[[Sequence[Trace]], list[EncodedTrace]] | None = None,
        hidden_states: HiddenStates | None = None,
    ) -> None:
        self.model, self.settings, self.hidden_states = model, settings, hidden_states
        self.encode = encoder or partial(encode, model, template=settings.template, truncate=settings.truncate)
        self.layers, self.reads, self.sites = settings.layers_of(model), settings.reads, settings.all_sites
        self.engine: Engine | StatesEngine
        if hidden_states is not None:
            if self.sites != (BLOCK_OUTPUT,):
                raise InputError(
                    f"hidden states are outputs of blocks; {', '.join(map(str, self.sites))} are not in them"
                )
            self.engine = StatesEngine(hidden_states, self.layers)
            return
        self.engine = Engine(
            model,
            self.layers,
            sites=self.sites,
            tokens_per_batch=settings.tokens_per_batch,
            share_prefixes=settings.share_prefixes,
            compile=settings.compile,
            on_device=on_device and model.device.type in ("cpu", "cuda"),  # others may lack float64
            apart=True,
        )

    def window(self, traces: Sequence[Trace], on_batch: Callable[[int], object] = lambda _: None) -> Window:
        """Encode and plan `traces`; the model runs as the batches are taken.

        Args:
            traces: The traces of the window.
            on_batch: Is called with the number of tokens of each batch.

        Returns:
            The window.

        Raises:
            InputError: A text is too long or, as batches are taken, an activation is not finite.
        """
        texts = self.encode(traces)
        planned = plan(texts, self.reads, self.settings.include_markup)
        ids = [text.token_ids for text in texts]
        return Window(
            reads=tuple(
                WindowRead(
                    examples=_examples(texts, read.spans, planned.of_read(read)),
                    n_skipped=read.n_skipped,
                    stretches=read.stretches,
                    embeddings=partial(mean_embeddings, self.model, ids, planned.of_read(read), len(read.spans)),
                )
                for read in planned.reads
            ),
            n_stretches=len(planned.stretches),
            n_tokens=sum(len(ids[text]) for text in set(planned.segments.text.tolist())),
            batches=self._batches(texts, planned, on_batch),
        )

    def _batches(self, texts: list[EncodedTrace], planned: Plan, on_batch: Callable[[int], object]) -> Iterator[Batch]:
        firsts = [*(read.first for read in planned.reads), planned.first_stretch]
        for pooled in self.engine.run([text.token_ids for text in texts], planned.segments):
            self._check_finite(pooled, texts, planned)
            cuts = [*np.searchsorted(pooled.segments, firsts).tolist(), len(pooled.segments)]
            parts = [slice(start, stop) for start, stop in zip(cuts, cuts[1:], strict=False)]
            stretches = pooled.segments[parts[-1]] - planned.first_stretch
            yield Batch(
                reads=tuple(
                    ReadBatch(
                        spans=pooled.segments[part] - read.first,
                        means=tuple(layers.of(part) for layers in pooled.parts),
                        has_stretch=np.isin(stretches, read.stretches),
                    )
                    for read, part in zip(planned.reads, parts, strict=False)
                ),
                stretches=stretches,
                stretch_means=tuple(layers.of(parts[-1]) for layers in pooled.parts),
                stretch_norms=pooled.norms[:, :, parts[-1]],
            )
            on_batch(pooled.n_tokens)

    def _check_finite(self, pooled: Pooled, texts: list[EncodedTrace], planned: Plan) -> None:
        bad = (~pooled.norms.isfinite()).nonzero()
        if not len(bad):
            return
        site, slot, index = bad[0].tolist()
        number = int(pooled.segments[index])
        if number >= planned.first_stretch:
            trace, segment = texts[planned.stretches[number - planned.first_stretch]].trace, "its labelled stretch"
        else:
            text, span = [place for read in planned.reads for place in read.spans][number]
            trace = texts[text].trace
            segment = f"the span {trace.text_of(trace.spans[span])!r:.60}"
        at = "" if self.sites[site] == BLOCK_OUTPUT else f", {self.sites[site]},"
        raise InputError(
            f"activations at layer {self.layers[slot]}{at} are not finite (NaN or infinity) in trace {trace.id!r}, "
            f"{segment}. Half-precision overflow is the usual cause: load the model with dtype=bfloat16 or float32."
        )


def nothing_to_read(n_traces: int, n_spans: int, settings: CollectSettings) -> InputError:
    """Make the error that no labelled span has a token to read."""
    return InputError(
        f"nothing to read: {n_traces} traces hold {n_spans} labelled spans, and none has a token that the "
        f"read {' or '.join(repr(str(read)) for read in settings.reads)} may take"
    )


def _examples(
    texts: Sequence[EncodedTrace], spans: Sequence[tuple[int, int]], segments: Segments
) -> tuple[Example, ...]:
    """Make the example of each span of a read; the read ends where its last token does."""
    stops = np.zeros(len(spans), dtype=np.int64)
    np.maximum.at(stops, segments.segment, segments.stop)
    return tuple(
        _example(texts[text].trace, number, int(texts[text].characters[stop - 1, 1]))
        for (text, number), stop in zip(spans, stops, strict=True)
    )


def _example(trace: Trace, number: int, read_end: int) -> Example:
    span = trace.spans[number]
    text = trace.text_of(span)
    marked = is_marked(text, span.label) if span.marked is None else span.marked
    read_end = min(read_end, span.end)
    before = trace.text[: min(span.start, read_end)][-CHARACTERS_BEFORE:]
    return Example(trace.id, trace.problem, span.label, span.start, span.end, text, marked, before, read_end)
