"""Measure the mean norm of the residual stream for directions whose file does not state it.

    residual_norm[L] = mean over texts of the mean over tokens of |activations[L]|

It is the unit of a strength. Attention sinks and markup are left out, as in `collect`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..activations import collect
from ..models import LanguageModel, load
from ..models._load import ModelLike
from ..rundir import InputError
from ..traces import Span, Trace
from ._directions import Directions
from .neutral import NEUTRAL

logger = logging.getLogger(__name__)


def with_norms_of(directions: Directions, model: ModelLike, texts: Sequence[Trace | str]) -> Directions:
    """Measure the mean norm in `model` at the layers and site of some directions, and return the directions with it.

    Args:
        directions: Directions whose norms are unknown or of other texts.
        model: The model to steer: a name, a handle or a loaded model.
        texts: Texts that are typical of what the model will be run on; empty ones are left out.

    Returns:
        The same directions with the measured `residual_norm` at each of their layers.

    Raises:
        InputError: No text has any content.
    """
    traces = [
        replace(
            trace if isinstance(trace, Trace) else Trace(f"text-{number}", "", trace),
            spans=(Span(0, len(trace.text if isinstance(trace, Trace) else trace), "text"),),
        )
        for number, trace in enumerate(texts)
        if (trace.text if isinstance(trace, Trace) else trace).strip()
    ]
    if not traces:
        raise InputError("no text to measure the norm of the residual stream on; give at least one that is not empty")
    where: dict[str, Any] = {"layers": directions.layers, "sites": directions.site}
    activations = collect(model, traces, **where, template="plain", progress=False)
    return replace(directions, residual_norm=tuple(activations.residual_norm.tolist()))


def with_known_norms(
    directions: Directions,
    model: ModelLike,
    layers: Sequence[int],
    neutral: Callable[[LanguageModel], Sequence[Trace | str]] | None = None,
) -> Directions:
    """Measure the mean residual norm on neutral text where the directions do not say it.

    Args:
        directions: Directions of `model`.
        model: The model whose residual stream is the unit.
        layers: The layers at which the norm is needed; where all are known, nothing is measured.
        neutral: Makes texts whose words the model knows; None: plain prose.

    Returns:
        The same directions, with a norm at each of their layers.
    """
    norms = dict(zip(directions.layers, directions.residual_norm, strict=True))
    if not any(math.isnan(norms.get(layer, 0.0)) for layer in layers):
        return directions
    logger.info("the directions do not say how long activations are: measuring it on neutral text")
    return with_norms_of(directions, model, NEUTRAL if neutral is None else neutral(load(model)))
