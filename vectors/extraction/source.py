"""Choose behaviours and layers of what directions are found from, and record where directions come from.

`Activations` hold every span; `Moments` hold counts, means and (on request) covariances by label. A method takes
either, or names what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...activations import Activations, Moments
from ...activations.layers import choose_layers, layer_numbers
from ...activations.moments import Summary
from ...activations.store import StoredActivations
from ...rundir import InputError, did_you_mean, listed, names_of
from .._directions import Directions

Source: TypeAlias = Activations | Moments


def choose_behaviours(source: Source, behaviours: Sequence[str] | None) -> tuple[str, ...]:
    """Choose the behaviours to find directions for; spans of the others serve as negatives in any case.

    Args:
        source: Activations or moments.
        behaviours: Labels; None means all.

    Returns:
        The labels; none if there is no span at all.

    Raises:
        InputError: No span has one of the labels, or all spans have the same one.
    """
    if behaviours is not None:
        behaviours = names_of(behaviours, "behaviours")
    for behaviour in behaviours or ():
        if behaviour not in source.behaviours:
            raise InputError(
                f"no span shows {behaviour!r:.60}; the labels here are {listed(source.behaviours, 10)}. Check the "
                f"spelling.{did_you_mean(behaviour, source.behaviours)}"
            )
    if not source.behaviours:
        return ()
    if len(source.behaviours) < 2:
        raise InputError(
            f"every span is labelled {source.behaviours[0]!r}: a direction needs spans that do not show it as well"
        )
    return tuple(behaviours or source.behaviours)


def require_activations(source: Source, method: str) -> Activations:
    """Return `source` if it holds activations; raise InputError with the remedy if it holds moments."""
    if isinstance(source, Activations):
        return source
    raise InputError(
        f"{method} needs every span's activation, and these are moments; collect with --keep activations, or take "
        "mean-difference, lda or ridge"
    )


def count_spans(source: Source) -> tuple[dict[str, int], int]:
    """Count the spans of each behaviour, and the problems."""
    if isinstance(source, Moments):
        return {name: source.of_label(name).count for name in source.behaviours}, source.n_problems
    return {name: int(source.shows(name).sum()) for name in source.behaviours}, len(set(source.problems))


def count_problems(source: Source, behaviours: Iterable[str]) -> dict[str, int]:
    """Count the problems in which each behaviour occurs; {} for moments, which count problems only over all labels."""
    if isinstance(source, Moments):
        return {}
    problems = np.array(source.problems)
    return {behaviour: len(set(problems[source.shows(behaviour)].tolist())) for behaviour in behaviours}


def make_directions(
    source: Source,
    vectors: dict[str, Float[Tensor, "n_layers d_model"]],
    method: str,
    *,
    scores: dict[str, dict[str, list[float]]] | None = None,
    data_digest: str = "",
) -> Directions:
    """Make directions of `vectors`, with the model, layers, norms and counts of `source`.

    Args:
        source: What the vectors were found from.
        vectors: Behaviour -> one row for each layer.
        method: How they were found, in words.
        scores: Behaviour -> name of the score -> one value for each layer.
        data_digest: A digest of the traces.

    Returns:
        The directions, float32.
    """
    counts, n_problems = count_spans(source)
    return Directions(
        vectors={behaviour: rows.float() for behaviour, rows in vectors.items()},
        layers=source.layers,
        method=method,
        model=source.model,
        read=str(source.read),
        site=source.site,
        residual_norm=tuple(source.residual_norm.tolist()),
        n_examples={behaviour: counts[behaviour] for behaviour in vectors},
        n_problems=n_problems,
        n_problems_showing=count_problems(source, vectors),
        scores=scores or {},
        data_digest=data_digest,
    )


def at_layers(source: Source, layers: str | Sequence[int]) -> Source:
    """Restrict activations or moments to some of their layers; nothing is read from disk yet.

    Args:
        source: Activations or moments.
        layers: Layers that were collected, in any order, negative ones counted from the model's end; or a text such as
            "all" or "0,4,10:20:2".

    Returns:
        The same at these layers, ascending.

    Raises:
        InputError: A layer was not collected.
    """
    if isinstance(layers, str):
        numbers = choose_layers(layers, source.layers, _n_layers(source))
    else:
        n_layers = _n_layers(source)
        numbers = tuple(layer + n_layers if layer < 0 else layer for layer in layer_numbers(layers))
    for layer in numbers:
        if layer not in source.layers:
            raise InputError(
                f"layer {layer} was not collected; these were: {', '.join(map(str, source.layers))}."
                f"{did_you_mean(layer, source.layers)}"
            )
    chosen = tuple(sorted(set(numbers)))
    slots = [source.layers.index(layer) for layer in chosen]
    if isinstance(source, Moments):
        return replace(
            source,
            layers=chosen,
            by_label={label: _summary_at(summary, slots) for label, summary in source.by_label.items()},
            stretches=_summary_at(source.stretches, slots),
            norm_sum=source.norm_sum[slots],
        )
    stored = source.values
    return replace(
        source,
        layers=chosen,
        values=replace(stored, layers=chosen) if isinstance(stored, StoredActivations) else stored[:, slots],
        overall_mean=source.overall_mean[slots],
        residual_norm=source.residual_norm[slots],
    )


def rescale_to_mean_difference(
    weights: Float[Tensor, "... d_model"], mean_difference: Float[Tensor, "... d_model"]
) -> Float[Tensor, "... d_model"]:
    """Rescale `weights` to the difference of the class means along them: (mean_difference . u) u with u of norm 1.

    The vectors of every method are then in the units of the residual stream, and their lengths can be compared.
    """
    unit = torch.nn.functional.normalize(weights, dim=-1, eps=1e-30)
    return (mean_difference * unit).sum(dim=-1, keepdim=True) * unit


@contextmanager
def solving(method: str, layer: int) -> Iterator[None]:
    """Convert a factorisation that fails to an InputError that names the method and the layer.

    Args:
        method: The name of the method, for the message.
        layer: The layer whose activations are factorised.

    Yields:
        Nothing.

    Raises:
        InputError: The body met a matrix that cannot be factorised.
    """
    try:
        yield
    except RuntimeError as error:  # torch's LinAlgError is one, and exported to no type checker
        if not str(error).startswith("linalg."):
            raise
        raise InputError(
            f"{method} has no solution at layer {layer}: the activations there do not vary, are all the same within a "
            "label, or differ by more than their precision holds. Leave that layer out (--layers), or take "
            "mean-difference."
        ) from error


def _n_layers(source: Source) -> int:
    """Count the blocks of the model; where it does not say how many, as many as the last layer needs."""
    known = source.model.get("n_layers")
    return max(max(source.layers) + 1, known if isinstance(known, int) else 0)


def _summary_at(summary: Summary, slots: list[int]) -> Summary:
    comoment = None if summary.comoment is None else summary.comoment[slots]
    return Summary(summary.count, summary.mean[slots], summary.m2[slots], comoment)
