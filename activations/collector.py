"""Run traces through a model: encode them, plan what is read, and return the means batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from ..models import LanguageModel
from ..rundir import InputError
from ..traces import (
    EncodedTrace,
    Trace,
    encode,
    is_marked,
)
from .embeddings import mean_embeddings
from .engine import Engine, Pooled
from .example import CHARACTERS_BEFORE, Example
from .plan import Plan, plan
from .settings import CollectSettings


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ReadBatch:
    """The results of one batch: means of some spans, and means and mean norms of some stretches; float32."""

    spans: Int[np.ndarray, " n_spans"]  # which of the window's examples
    span_means: Float[Tensor, "n_layers n_spans d_model"]
    stretches: Int[np.ndarray, " n_stretches"]  # which of the window's stretches
    stretch_means: Float[Tensor, "n_layers n_stretches d_model"]
    stretch_norms: Float[Tensor, "n_layers n_stretches"]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Window:
    """Traces that are read together: their examples in order, and the batches as they finish."""

    examples: tuple[Example, ...]
    n_stretches: int
    n_skipped: int
    n_tokens: int
    batches: Iterator[ReadBatch]
    embeddings: Callable[[], Float[Tensor, "n_examples d_embedding"]]  # looked up when called


class Collector:
    """Reads windows of traces with one model and one set of settings.

    With `on_device`, results stay where they were computed (for moments on a GPU) instead of going to the CPU.
    """

    def __init__(self, model: LanguageModel, settings: CollectSettings, *, on_device: bool = False) -> None:
        self.model, self.settings = model, settings
        self.layers = settings.layers_of(model)
        self.engine = Engine(
            model,
            self.layers,
            tokens_per_batch=settings.tokens_per_batch,
            share_prefixes=settings.share_prefixes,
            compile=settings.compile,
            on_device=on_device and model.device.type in ("cpu", "cuda"),  # others may lack float64
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
        texts = encode(self.model, traces, template=self.settings.template, truncate=self.settings.truncate)
        planned = plan(texts, self.settings.tokens, self.settings.include_markup)
        return Window(
            examples=_examples(texts, planned),
            n_stretches=len(planned.stretches),
            n_skipped=planned.n_skipped,
            n_tokens=sum(len(texts[text]) for text in {text for text, _ in planned.spans}),
            batches=self._batches(texts, planned, on_batch),
            embeddings=partial(
                mean_embeddings,
                self.model,
                [text.token_ids for text in texts],
                planned.segments,
                len(planned.spans),
            ),
        )

    def _batches(
        self, texts: list[EncodedTrace], planned: Plan, on_batch: Callable[[int], object]
    ) -> Iterator[ReadBatch]:
        n_spans = len(planned.spans)
        for pooled in self.engine.run([text.token_ids for text in texts], planned.segments):
            self._check_finite(pooled, texts, planned)
            n_spans_here = int(np.searchsorted(pooled.segments, n_spans))
            yield ReadBatch(
                spans=pooled.segments[:n_spans_here],
                span_means=pooled.means[:, :n_spans_here],
                stretches=pooled.segments[n_spans_here:] - n_spans,
                stretch_means=pooled.means[:, n_spans_here:],
                stretch_norms=pooled.norms[:, n_spans_here:],
            )
            on_batch(pooled.n_tokens)

    def _check_finite(self, pooled: Pooled, texts: list[EncodedTrace], planned: Plan) -> None:
        bad = (~pooled.norms.isfinite()).nonzero()
        if not len(bad):
            return
        slot, index = bad[0].tolist()
        number = int(pooled.segments[index]) - len(planned.spans)
        if number >= 0:
            trace, segment = texts[planned.stretches[number]].trace, "its labelled stretch"
        else:
            text, span = planned.spans[int(pooled.segments[index])]
            trace = texts[text].trace
            segment = f"the span {trace.text_of(trace.spans[span])!r:.60}"
        raise InputError(
            f"activations at layer {self.layers[slot]} are not finite (NaN or infinity) in trace {trace.id!r}, "
            f"{segment}. Half-precision overflow is the usual cause: load the model with dtype=bfloat16 or float32."
        )


def nothing_to_read(n_traces: int, n_spans: int, settings: CollectSettings) -> InputError:
    """Make the error that no labelled span has a token to read."""
    return InputError(
        f"nothing to read: {n_traces} traces hold {n_spans} labelled spans, and none has a token that the "
        f"read {str(settings.read)!r} may take"
    )


def _examples(texts: Sequence[EncodedTrace], planned: Plan) -> tuple[Example, ...]:
    """Make the example of each planned span; the read ends where its last token does."""
    segments = planned.segments
    stops = np.zeros(len(planned.spans), dtype=np.int64)
    is_span = segments.segment < len(planned.spans)
    np.maximum.at(stops, segments.segment[is_span], segments.stop[is_span])
    return tuple(
        _example(texts[text].trace, number, int(texts[text].characters[stop - 1, 1]))
        for (text, number), stop in zip(planned.spans, stops, strict=True)
    )


def _example(trace: Trace, number: int, read_end: int) -> Example:
    span = trace.spans[number]
    text = trace.text_of(span)
    marked = is_marked(text, span.label) if span.marked is None else span.marked
    read_end = min(read_end, span.end)
    before = trace.text[: min(span.start, read_end)][-CHARACTERS_BEFORE:]
    return Example(trace.id, trace.problem, span.label, span.start, span.end, text, marked, before, read_end)
