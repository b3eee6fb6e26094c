"""What directions are found from: activations, or their moments; and what every method writes beside its vectors.

`Activations` hold every span, `Moments` only counts, means and (on request) covariances by label. A method takes
either, or says what it lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from ...activations import Activations, Moments
from ...activations.moments import Summary
from ...activations.store import StoredActs
from ...rundir import InputError
from ..directions import Directions

Source: TypeAlias = Activations | Moments


def chosen(source: Source, behaviours: Sequence[str] | None) -> tuple[str, ...]:
    """The behaviours to find directions for; None: all. Spans of the others serve as negatives either way.

    Raises InputError for one that no span shows, and where there is nothing to hold a behaviour against.
    """
    for behaviour in behaviours or ():
        if behaviour not in source.behaviours:
            raise InputError(
                f"no span shows {behaviour!r}; the labels here are {', '.join(source.behaviours)}. Check the spelling."
            )
    if not source.behaviours:
        return ()  # of no span at all there is no direction
    if len(source.behaviours) < 2:
        raise InputError(
            f"every span is labelled {source.behaviours[0]!r}: a direction needs spans that do not show it as well"
        )
    return tuple(behaviours or source.behaviours)


def need_activations(source: Source, method: str) -> Activations:
    """Raises InputError for moments, with what to do instead."""
    if isinstance(source, Activations):
        return source
    raise InputError(
        f"{method} needs every span's activation, and these are moments; collect with --keep activations, or take "
        "mean-difference, lda or ridge"
    )


def counts_of(source: Source) -> tuple[dict[str, int], int]:
    """How many spans show each behaviour, and how many problems there are."""
    if isinstance(source, Moments):
        return {name: source.of_label(name).count for name in source.behaviours}, source.n_problems
    return {name: int(source.shows(name).sum()) for name in source.behaviours}, len(set(source.problems))


def directions_of(
    source: Source,
    vectors: dict[str, Float[Tensor, "n_layers d_model"]],
    method: str,
    *,
    scores: dict[str, dict[str, list[float]]] | None = None,
    data_digest: str = "",
) -> Directions:
    """`vectors` with all that `source` knows of where they come from."""
    counts, n_problems = counts_of(source)
    return Directions(
        vectors={behaviour: found.float() for behaviour, found in vectors.items()},
        layers=source.layers,
        method=method,
        model=source.model,
        read=str(source.read),
        residual_norm=tuple(source.residual_norm.tolist()),
        n_examples={behaviour: counts[behaviour] for behaviour in vectors},
        n_problems=n_problems,
        scores=scores or {},
        data_digest=data_digest,
    )


def at_layers(source: Source, layers: Sequence[int]) -> Source:
    """The same at some of its layers; nothing is read from disk yet. Raises InputError for one that is not there."""
    for layer in layers:
        if layer not in source.layers:
            raise InputError(f"layer {layer} was not collected; these were: {', '.join(map(str, source.layers))}")
    wanted = tuple(sorted(set(layers)))
    slots = [source.layers.index(layer) for layer in wanted]
    if isinstance(source, Moments):
        return replace(
            source,
            layers=wanted,
            by_label={label: _summary_at(summary, slots) for label, summary in source.by_label.items()},
            stretches=_summary_at(source.stretches, slots),
            norm_sum=source.norm_sum[slots],
        )
    acts = source.acts
    return replace(
        source,
        layers=wanted,
        acts=replace(acts, layers=wanted) if isinstance(acts, StoredActs) else acts[:, slots],
        overall_mean=source.overall_mean[slots],
        residual_norm=source.residual_norm[slots],
    )


def as_long_as_apart(
    weights: Float[Tensor, "... d_model"], apart: Float[Tensor, "... d_model"]
) -> Float[Tensor, "... d_model"]:
    """`weights` at the length by which the class means lie apart along them: (apart . u) u with u of norm 1.

    So the vectors of every method are in the units of the residual stream, and lengths compare between methods.
    """
    unit = torch.nn.functional.normalize(weights, dim=-1, eps=1e-30)
    return (apart * unit).sum(dim=-1, keepdim=True) * unit


def _summary_at(summary: Summary, slots: list[int]) -> Summary:
    comoment = None if summary.comoment is None else summary.comoment[slots]
    return Summary(summary.count, summary.mean[slots], summary.m2[slots], comoment)
