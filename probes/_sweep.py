"""Fit a probe for every behaviour and layer, cross-validated with problems as groups, with its controls.

1. Split the problems into folds, the same for every layer and behaviour (`protocol.py`).
2. At each layer fit all probes together: behaviours, folds, inner folds, penalties, and the controls (`layer_fit.py`).
3. Compute AUROC by layer with pointwise intervals and a band over all layers; the penalty of each fold is chosen on the
   other folds. For the number to report, the layer is chosen on them as well (`nested.py`).
4. Compute the controls: shuffled labels, permutation p-values, baselines from the words, the place and the token
   embeddings of a span, spans without tell-tale words, phrasings left out of training, control tasks, and a split that
   ignores problems.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int
from threadpoolctl import threadpool_limits

from ..activations import Activations, ActivationsSource, open_activations
from ..models.device import device_of
from ..rundir import InputError, names_of
from ..rundir.progress import with_progress
from ..stats import Interval, bootstrap_counts, mean_and_range
from .controls.known_text import is_inside
from .controls.permutation import permuted_rows
from .controls.phrasings import phrasings
from .controls.tasks import control_labels
from .folds import check_sizes, grouped_folds
from .layer_fit import LayerFit, fit_layer
from .measures import Measures, baseline_cores
from .protocol import HeldOutPhrasing, Protocol
from .result import FittedProbes, ProbeSweep
from .single_threads import map_layers_beside
from .solver import method_named


def sweep(
    activations: ActivationsSource,
    *,
    behaviours: Sequence[str] | None = None,
    estimator: str = "logistic",
    penalties: Sequence[float] | None = None,
    n_folds: int = 5,
    n_bootstrap: int = 1000,
    n_shuffles: int = 5,
    n_permutations: int = 200,
    seed: int = 0,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> ProbeSweep:
    """Fit probes for behaviours at all layers, and measure how well they generalise to unseen problems.

    A behaviour's negatives are all other labelled spans. Layers are read one at a time, so that activations on disk may
    be larger than memory.

    Args:
        activations: Activations of labelled spans, or the directory or file that holds them.
        behaviours: The behaviours to probe; None means every label.
        estimator: logistic, ridge, lda or mean-difference.
        penalties: The penalties to choose from on inner folds, strongest first. None means those of the estimator; with
            one there is no choice.
        n_folds: How many folds the problems are split into, at least 3.
        n_bootstrap: How many resamples of the problems the intervals are based on.
        n_shuffles: How many times the control of shuffled labels is repeated; a single one is noisy.
        n_permutations: How many permutations of the labels the p-values are based on; p = 0.05 needs at least 19.
        seed: Seed of folds, shuffles, permutations and bootstrap.
        device: Where probes are fitted; None means CUDA if there is one.
        progress: Show progress bars, over layers and over behaviours.

    Returns:
        The figures of every behaviour and layer, and the fitted probes.

    Raises:
        InputError: A behaviour does not occur, or has fewer spans or problems than there are folds.
    """
    activations = open_activations(activations)
    chosen = activations.behaviours if behaviours is None else names_of(behaviours, "behaviours")
    check_sizes(n_folds, n_bootstrap, seed, n_shuffles, n_permutations)
    device = device_of(device)
    shows = np.stack([activations.shows(behaviour) for behaviour in chosen])
    names, problems = np.unique(activations.problems, return_inverse=True)
    tasks = control_labels(activations.examples, max(1, min(3, n_shuffles)), seed)
    protocol, permuted = _protocol(
        activations,
        chosen,
        shows,
        problems,
        np.concatenate(list(tasks.values())),
        estimator=estimator,
        penalties=penalties,
        n_folds=n_folds,
        n_shuffles=n_shuffles,
        n_permutations=n_permutations,
        seed=seed,
        device=device,
    )
    counts = bootstrap_counts(len(names), n_bootstrap, seed)
    baselines, fits = map_layers_beside(
        lambda: baseline_cores(activations, protocol, seed),
        lambda layer: fit_layer(activations.layer(layer), protocol),
        activations.layers,
        protocol.device,
        progress,
    )
    measures = Measures(activations, chosen, protocol, fits, baselines, problems, counts)
    indices = with_progress(
        range(len(chosen)), desc="intervals and controls", unit="behaviour", total=len(chosen), progress=progress
    )
    with threadpool_limits(1):
        behaviour_sweeps = {chosen[index]: measures.behaviour_sweep(index) for index in indices}
    return ProbeSweep(
        behaviours=behaviour_sweeps,
        layers=activations.layers,
        estimator=estimator,
        penalties=protocol.penalties,
        n_folds=n_folds,
        n_bootstrap=n_bootstrap,
        n_shuffles=n_shuffles,
        n_permutations=n_permutations,
        permuted=permuted,
        n_problems=len(names),
        n_examples=len(activations.examples),
        seed=seed,
        model=activations.model,
        site=str(activations.site),
        read=str(activations.read),
        control_tasks=_control_tasks(fits, list(tasks)),
        fitted=FittedProbes(
            weights=np.stack([fit.weights for fit in fits], axis=1).astype(np.float32),
            biases=np.stack([fit.biases for fit in fits], axis=1).astype(np.float32),
            scores=np.stack([fit.core.reported(protocol.folds) for fit in fits], axis=1),
        ),
    )


def _protocol(
    activations: Activations,
    chosen: tuple[str, ...],
    shows: Bool[np.ndarray, "n_behaviours n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    tasks: Bool[np.ndarray, "n_tasks n_examples"],
    *,
    estimator: str,
    penalties: Sequence[float] | None,
    n_folds: int,
    n_shuffles: int,
    n_permutations: int,
    seed: int,
    device: torch.device,
) -> tuple[Protocol, str]:
    method = method_named(estimator)
    folds = grouped_folds(activations.labels, activations.problems, chosen, n_folds, seed)
    generator = np.random.default_rng(seed)
    shuffled = [_shuffle_labels(shows, folds, generator) for _ in range(n_shuffles)]
    naive = np.empty_like(folds)
    naive[generator.permutation(len(folds))] = np.arange(len(folds)) % n_folds
    permuted, permutation_scheme = permuted_rows(shows, problems, n_permutations, seed)
    held_out = [
        HeldOutPhrasing(behaviour=index, phrasing=phrasing, spans=spans)
        for index, behaviour in enumerate(chosen)
        if is_inside(activations.read)  # a read before the span has no wording of it
        for phrasing, spans in phrasings(activations.examples, behaviour, shows[index]).items()
    ]
    protocol = Protocol(
        shows=shows,
        folds=folds,
        naive_folds=naive,
        n_folds=n_folds,
        method=method,
        penalties=method.penalties_of(penalties),
        shuffled=np.stack(shuffled),
        tasks=tasks,
        held_out=tuple(held_out),
        permuted=permuted,
        device=device,
    )
    return protocol, permutation_scheme


def _control_tasks(fits: Sequence[LayerFit], names: Sequence[str]) -> dict[str, list[Interval]]:
    """Compute the mean, least and greatest AUROC over the draws of each task, by layer."""
    return {
        name: [mean_and_range(fit.tasks.reshape(len(names), -1)[index]) for fit in fits]
        for index, name in enumerate(names)
    }


def _shuffle_labels(
    shows: Bool[np.ndarray, "n_behaviours n_examples"],
    folds: Int[np.ndarray, " n_examples"],
    generator: np.random.Generator,
    n_tries: int = 1000,
) -> Bool[np.ndarray, "n_behaviours n_examples"]:
    """Shuffle the labels among the examples until a probe can be trained for every fold."""
    for _ in range(n_tries):
        candidate = shows[:, generator.permutation(len(folds))]
        parts = [candidate[:, folds != fold] for fold in np.unique(folds)]
        if all(part.any(axis=1).all() and not part.all(axis=1).any() for part in parts):
            return candidate
    raise InputError("a behaviour is too rare for a control of shuffled labels; leave it out (--behaviours)")
