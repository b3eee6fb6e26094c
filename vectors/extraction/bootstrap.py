"""How well a direction is determined by the problems it was found on.

    bootstrap_cosine    cosine of the direction of resampled problems with that of all: mean over resamples, and the
                        2.5th and 97.5th percentiles as _low and _high
    chance_cosine       the same where labels are shuffled within problems: no behaviour, and yet about 0.7, since a
                        resample holds much of what the whole holds
    half_cosine         cosine of the directions of two disjoint halves of the problems: 0 where there is nothing

Problems are resampled and never their spans: sentences of one text are no independent cases (Efron & Tibshirani 1993).
Resamples are weights, so that activations are read once for each layer and never copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from ...activations import Activations
from ...rundir import InputError
from ...rundir.progress import with_progress
from ..directions import Directions
from .content import content_basis, project_out_content, without
from .methods import Method, method_named
from .sample import LayerSample

N_SHUFFLES, RESAMPLES_OF_SHUFFLED = 4, 10


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
    """Directions by `method` (and its `options`), with how stable each is at each layer among their scores.

    n_resamples: of the problems; n_halves: how often they are halved. remove_content: content components to project out
    of all of them (`project_out_content`), found once from all problems. Raises InputError for an unknown method or
    option and for fewer than four problems.
    """
    found = method_named(method)
    found.checked(method, options)
    if n_resamples < 2 or n_halves < 1:
        raise InputError(f"a bootstrap needs at least 2 resamples and one halving, not {n_resamples} and {n_halves}")
    n_problems = len(set(activations.problems))
    if n_problems < 4:
        raise InputError(f"resampling problems needs at least 4 of them, and there are {n_problems}")
    random = np.random.default_rng(seed)
    draws = _draws(n_problems, n_resamples, random)
    halves = _halves(n_problems, n_halves, random)
    few = draws[: min(len(draws), RESAMPLES_OF_SHUFFLED)]
    shuffles = [int(each) for each in random.integers(2**31, size=N_SHUFFLES)]
    directions = found.find(activations, behaviours=behaviours, **options)
    wanted = directions.behaviours
    if remove_content:
        directions = project_out_content(directions, activations, n_components=remove_content)
    figures: dict[str, list[Float[np.ndarray, " n_behaviours"]]] = {}
    for layer in with_progress(activations.layers, desc="resampling problems", unit="layer", progress=progress):
        sample = LayerSample.of(activations, wanted, layer)
        basis = content_basis(sample.acts, sample.label, sample.problem, remove_content) if remove_content else None
        for name, values in _stability(found, sample, basis, draws, halves, few, shuffles, options).items():
            figures.setdefault(name, []).append(values)
    scores = {
        behaviour: directions.scores.get(behaviour, {})
        | {name: [float(each[place]) for each in by_layer] for name, by_layer in figures.items()}
        for place, behaviour in enumerate(wanted)
    }
    return replace(directions, scores=scores)


def _stability(
    method: Method,
    sample: LayerSample,
    basis: Float[Tensor, "d_model k"] | None,
    draws: Float[Tensor, "n_resamples n_problems"],
    halves: Float[Tensor, "twice_n_halves n_problems"],
    few: Float[Tensor, "n_few n_problems"],
    shuffles: Sequence[int],
    options: dict[str, Any],
) -> dict[str, Float[np.ndarray, " n_behaviours"]]:
    """Every figure of every behaviour at one layer."""
    once = torch.ones(1, draws.shape[1])

    def units(of: LayerSample, weights: Tensor) -> Float[Tensor, "n_weightings n_behaviours d_model"]:
        vectors = method.resampled(of, weights, **options)
        return normalize((vectors if basis is None else without(vectors, basis)).double(), dim=-1, eps=1e-30)

    both = units(sample, torch.cat([once, draws, halves]))
    whole, resampled, halved = both[:1], both[1 : 1 + len(draws)], both[1 + len(draws) :]
    first, second = halved[: len(halves) // 2], halved[len(halves) // 2 :]
    cosines = _cosines(resampled, whole)
    of_shuffled = []
    for seed in shuffles:
        shuffled = units(_shuffled(sample, seed), torch.cat([once, few]))
        of_shuffled.append(_cosines(shuffled[1:], shuffled[:1]))
    return {
        "bootstrap_cosine": np.nanmean(cosines, axis=0),
        "bootstrap_cosine_low": np.nanquantile(cosines, 0.025, axis=0),
        "bootstrap_cosine_high": np.nanquantile(cosines, 0.975, axis=0),
        "chance_cosine": np.nanmean(np.concatenate(of_shuffled), axis=0),
        "half_cosine": np.nanmean(_cosines(first, second), axis=0),
    }


def _cosines(
    a: Float[Tensor, "n n_behaviours d_model"], b: Float[Tensor, "m n_behaviours d_model"]
) -> Float[np.ndarray, "n n_behaviours"]:
    """NaN where a behaviour, or all else, was not drawn."""
    found: Float[np.ndarray, "n n_behaviours"] = (a * b).sum(dim=-1).numpy()
    nothing = ((a.norm(dim=-1) == 0) | (b.norm(dim=-1) == 0)).numpy()
    found[np.broadcast_to(nothing, found.shape)] = np.nan
    if np.isnan(found).all(axis=0).any():
        found[:, np.isnan(found).all(axis=0)] = 0.0  # never drawn at all: nothing is known
    return found


def _shuffled(sample: LayerSample, seed: int) -> LayerSample:
    """With the labels shuffled among the spans of each problem."""
    keys = torch.rand(len(sample.problem), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    there = sample.problem.argsort(stable=True)
    drawn = (sample.problem + keys).argsort()  # by problem, and within it in any order
    source = torch.empty_like(there)
    source[there] = drawn
    return replace(sample, shows=sample.shows[:, source], label=sample.label[source])


def _draws(n_problems: int, n: int, random: np.random.Generator) -> Float[Tensor, "n n_problems"]:
    """How often each problem is drawn, n_problems times with replacement."""
    counts: Int[np.ndarray, "n n_problems"] = random.multinomial(
        n_problems, np.full(n_problems, 1 / n_problems), size=n
    )
    return torch.from_numpy(counts).float()


def _halves(n_problems: int, n: int, random: np.random.Generator) -> Float[Tensor, "twice_n n_problems"]:
    """1 for the problems of each first half, then of each second."""
    order = random.permuted(np.tile(np.arange(n_problems), (n, 1)), axis=1)
    first = torch.from_numpy((order < n_problems // 2).astype(np.float32))
    return torch.cat([first, 1 - first])
