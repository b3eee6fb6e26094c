"""The mean norm of the residual stream, for directions from files that do not say it: the unit of a relative dose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..activations import collect
from ..models._load import ModelLike
from ..rundir import InputError
from ..traces import Span, Trace
from .directions import Directions


def with_norms_of(directions: Directions, model: ModelLike, texts: Sequence[Trace | str]) -> Directions:
    """The same directions with the mean token norm of `model`'s residual stream at each of their layers.

    Measured as `collect` does it: the mean over texts of the mean over their tokens, attention sinks and markup left
    out. Raises InputError when there is no text.
    """
    whole = [
        replace(
            trace if isinstance(trace, Trace) else Trace(f"text-{number}", "", trace),
            spans=(Span(0, len(trace.text if isinstance(trace, Trace) else trace), "text"),),
        )
        for number, trace in enumerate(texts)
        if (trace.text if isinstance(trace, Trace) else trace).strip()
    ]
    if not whole:
        raise InputError("no text to measure the norm of the residual stream on")
    read = collect(model, whole, layers=directions.layers, template="plain", progress=False)
    return replace(directions, residual_norm=tuple(read.residual_norm.tolist()))
