"""Measure how well the problems of a data set determine each direction.

    bootstrap_cosine    cosine between the direction of resampled problems and that of all problems: the mean over
                        resamples, and the 2.5th and 97.5th percentiles as _low and _high
    chance_cosine       the same with labels shuffled within problems. It is about 0.7 although no behaviour is left,
                        because a resample shares many spans with the data set
    half_cosine         cosine between the directions of two disjoint halves of the problems; 0 where there is nothing

Problems are resampled, never their spans: sentences of one text are no independent cases (Efron & Tibshirani 1993).
A resample is a weight for each problem, so that each layer's activations are read once and never copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from ...activations import Activations
from ...rundir import InputError
from ...rundir.progress import with_progress
from ...stats import bootstrap_counts, percentile_ends
from .._directions import Directions
from .content import content_basis, project_out_content, remove_subspace
from .methods import Method, method_named
from .sample import LayerSample
from .source import solving

N_SHUFFLES, RESAMPLES_PER_SHUFFLE = 4, 10


def bootstrap_stability(
    activations: Activations,
    *,
    method: str = "mean-difference",
    behaviours: Sequence[str] | None = None,
    n_resamples: int = 200,
    n_halves: int = 25,
    remove_content: int | float = 0,
    seed: int = 0,
    progress: bool = False,
    **options: Any,
) -> Directions:
    """Find directions and measure at each layer how stable they are under resampling of the problems.

    Args:
        activations: Activations of labelled spans, of at least four problems.
        method: A name in `METHODS`.
        behaviours: The behaviours to find directions for; None means all.
        n_resamples: How many bootstrap resamples of the problems are drawn, at least 2.
        n_halves: How many times the problems are split into two halves, at least 1.
        remove_content: Content components to project out of all directions (see `project_out_content`); they are
            computed once, from all problems. 0 removes none.
        seed: Seed of the resamples, halves and shuffles.
        progress: Show a progress bar over layers.
        **options: Options of the method.

    Returns:
        The directions; their scores hold the five figures of this module, one value for each layer.

    Raises:
        InputError: The method or an option does not exist, there are fewer than four problems, or too few resamples
            were asked for.
    """
    extraction = method_named(method)
    extraction.check_options(method, options)
    if n_resamples < 2 or n_halves < 1:
        raise InputError(f"a bootstrap needs at least 2 resamples and one halving, not {n_resamples} and {n_halves}")
    n_problems = len(set(activations.problems))
    if n_problems < 4:
        raise InputError(f"resampling problems needs at least 4 of them, and there are {n_problems}")
    random = np.random.default_rng(seed)
    resamples = torch.from_numpy(bootstrap_counts(n_problems, n_resamples, random)).float()
    halves = _half_weights(n_problems, n_halves, random)
    resamples_of_shuffled = resamples[: min(len(resamples), RESAMPLES_PER_SHUFFLE)]
    shuffle_seeds = [int(number) for number in random.integers(2**31, size=N_SHUFFLES)]
    directions = extraction.find(activations, behaviours=behaviours, **options)
    names = directions.behaviours
    if remove_content:
        directions = project_out_content(directions, activations, n_components=remove_content)
    layer_scores: dict[str, list[Float[np.ndarray, " n_behaviours"]]] = {}
    for layer in with_progress(activations.layers, desc="resampling problems", unit="layer", progress=progress):
        sample = LayerSample.of(activations, names, layer)
        basis = (
            content_basis(sample.activations, sample.label_index, sample.problem_index, remove_content)
            if remove_content
            else None
        )
        with solving(f"{method} under resampled problems", layer):
            stability = _stability(
                extraction, sample, basis, resamples, halves, resamples_of_shuffled, shuffle_seeds, options
            )
        for score, values in stability.items():
            layer_scores.setdefault(score, []).append(values)
    scores = {
        behaviour: directions.scores.get(behaviour, {})
        | {score: [float(values[index]) for values in by_layer] for score, by_layer in layer_scores.items()}
        for index, behaviour in enumerate(names)
    }
    return replace(directions, scores=scores)


def _stability(
    method: Method,
    sample: LayerSample,
    basis: Float[Tensor, "d_model k"] | None,
    resamples: Float[Tensor, "n_resamples n_problems"],
    halves: Float[Tensor, "twice_n_halves n_problems"],
    resamples_of_shuffled: Float[Tensor, "n_few n_problems"],
    shuffle_seeds: Sequence[int],
    options: dict[str, Any],
) -> dict[str, Float[np.ndarray, " n_behaviours"]]:
    """Compute every figure of every behaviour at one layer."""
    all_problems = torch.ones(1, resamples.shape[1])

    def unit_directions(
        layer_sample: LayerSample, weights: Float[Tensor, "n_weightings n_problems"]
    ) -> Float[Tensor, "n_weightings n_behaviours d_model"]:
        vectors = method.resampled(layer_sample, weights, **options)
        return normalize((vectors if basis is None else remove_subspace(vectors, basis)).double(), dim=-1, eps=1e-30)

    units = unit_directions(sample, torch.cat([all_problems, resamples, halves]))
    of_all, resampled, halved = units[:1], units[1 : 1 + len(resamples)], units[1 + len(resamples) :]
    first_halves, second_halves = halved[: len(halves) // 2], halved[len(halves) // 2 :]
    cosines = _cosines(resampled, of_all)
    ends = np.array([percentile_ends(behaviour_cosines) for behaviour_cosines in cosines.T])
    chance_cosines = []
    for seed in shuffle_seeds:
        shuffled = unit_directions(shuffle_labels(sample, seed), torch.cat([all_problems, resamples_of_shuffled]))
        chance_cosines.append(_cosines(shuffled[1:], shuffled[:1]))
    return {
        "bootstrap_cosine": np.nanmean(cosines, axis=0),
        "bootstrap_cosine_low": ends[:, 0],
        "bootstrap_cosine_high": ends[:, 1],
        "chance_cosine": np.nanmean(np.concatenate(chance_cosines), axis=0),
        "half_cosine": np.nanmean(_cosines(first_halves, second_halves), axis=0),
    }


def _cosines(
    a: Float[Tensor, "n n_behaviours d_model"], b: Float[Tensor, "m n_behaviours d_model"]
) -> Float[np.ndarray, "n n_behaviours"]:
    """Compute cosines of unit vectors; NaN where a weighting leaves one of the two classes empty (a zero vector)."""
    cosines: Float[np.ndarray, "n n_behaviours"] = (a * b).sum(dim=-1).numpy()
    is_undefined = ((a.norm(dim=-1) == 0) | (b.norm(dim=-1) == 0)).numpy()
    cosines[np.broadcast_to(is_undefined, cosines.shape)] = np.nan
    if np.isnan(cosines).all(axis=0).any():
        cosines[:, np.isnan(cosines).all(axis=0)] = 0.0  # defined in no resample at all: nothing is known
    return cosines


def shuffle_labels(sample: LayerSample, seed: int) -> LayerSample:
    """Shuffle the labels among the spans of each problem.

    Args:
        sample: The spans of a layer.
        seed: Of the shuffle: the same one for all layers, and for other activations of the same spans.

    Returns:
        The same activations with other labels.
    """
    keys = torch.rand(len(sample.problem_index), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    in_order = sample.problem_index.argsort(stable=True)
    shuffled = (sample.problem_index + keys).argsort()  # by problem, and in random order within it
    label_source = torch.empty_like(in_order)
    label_source[in_order] = shuffled
    return replace(
        sample,
        shows_behaviour=sample.shows_behaviour[:, label_source],
        label_index=sample.label_index[label_source],
    )


def _half_weights(
    n_problems: int, n_halves: int, random: np.random.Generator
) -> Float[Tensor, "twice_n_halves n_problems"]:
    """Split the problems in two at random: weight 1 for the members of each first half, then of each second half."""
    order = random.permuted(np.tile(np.arange(n_problems), (n_halves, 1)), axis=1)
    is_first_half = torch.from_numpy((order < n_problems // 2).astype(np.float32))
    return torch.cat([is_first_half, 1 - is_first_half])
