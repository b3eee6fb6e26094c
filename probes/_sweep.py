"""One probe for every behaviour and layer, cross-validated with problems as groups, with its controls.

1. Split the problems into folds, the same for every layer and behaviour (`protocol.py`).
2. At each layer fit all probes together: behaviours, folds, inner folds, penalties, and the controls (`layer_fit.py`).
3. AUROC by layer with pointwise intervals and a band over all layers, the penalty of each fold chosen without it; and
   the number to report, for which the layer is chosen without it as well (`nested.py`).
4. Beside it what could explain it: shuffled labels, permutation p-values, what the words, the place and the token
   embeddings of a span tell without the model, spans without tell-tale words, phrasings left out of training, control
   tasks, and what a split through problems would have claimed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int
from threadpoolctl import threadpool_limits

from ..activations import Activations
from ..rundir import InputError
from ..stats import Interval, bootstrap_counts, mean_and_range
from .controls.permutation import permuted_rows
from .controls.phrasings import phrasings
from .controls.tasks import control_labels
from .folds import grouped_folds
from .layer_fit import (
    Core,
    LayerFit,
    design_of,
    fit_core,
    fit_layer,
)
from .measures import Measures
from .protocol import Held, Protocol
from .result import FittedProbes, ProbeSweep
from .side_by_side import each_layer
from .solver import method_named


def sweep(
    activations: Activations,
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
    """Probes for `behaviours` (default: every label) at all layers of `activations`, in memory or in a store.

    A behaviour's negatives are all other labelled spans. estimator: logistic, ridge, lda or mean-difference. penalties:
    to choose among on inner folds, strongest first; one: no choice. n_shuffles: how many times the control of shuffled
    labels is repeated; one alone is noisy. n_permutations: of labels, for p-values; at least 19 can show p = 0.05.
    seed: of folds, shuffling, permutations and bootstrap. device: where probes are fitted; default CUDA where there is
    one. Layers are read one at a time, so a store may be larger than memory.

    Raises InputError when a behaviour has fewer spans or problems than folds, or does not occur.
    """
    chosen = tuple(activations.behaviours if behaviours is None else behaviours)
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
    fits, embedded = _fitted(activations, protocol, progress)
    with threadpool_limits(1):
        figures = Measures(activations, protocol, fits, embedded, problems, counts, seed)
        found = {behaviour: figures.of(index, behaviour) for index, behaviour in enumerate(chosen)}
    return ProbeSweep(
        behaviours=found,
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
        read=str(activations.read),
        control_tasks=_control_tasks(fits, list(tasks)),
        fitted=FittedProbes(
            weights=np.stack([fit.weights for fit in fits], axis=1).astype(np.float32),
            biases=np.stack([fit.biases for fit in fits], axis=1).astype(np.float32),
            scores=np.stack([fit.core.reported(protocol.folds) for fit in fits], axis=1),
        ),
    )


def _fitted(activations: Activations, protocol: Protocol, progress: bool) -> tuple[list[LayerFit], Core | None]:
    """Every layer, and the token embeddings."""
    fits = each_layer(
        lambda layer: fit_layer(_finite(activations, layer), protocol), activations.layers, protocol.device, progress
    )
    told = activations.embeddings
    if told is None:
        return fits, None
    (embedded,) = each_layer(lambda _: fit_core(design_of(told, protocol), protocol), [0], protocol.device, False)
    return fits, embedded


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
    device: str | torch.device | None,
) -> tuple[Protocol, str]:
    method = method_named(estimator)
    folds = grouped_folds(activations.labels, activations.problems, chosen, n_folds, seed)
    generator = np.random.default_rng(seed)
    shuffled = [_shuffled(shows, folds, generator) for _ in range(n_shuffles)]
    naive = np.empty_like(folds)
    naive[generator.permutation(len(folds))] = np.arange(len(folds)) % n_folds
    permuted, how = permuted_rows(shows, problems, n_permutations, seed)
    held = [
        Held(behaviour=index, phrasing=phrasing, spans=spans)
        for index, behaviour in enumerate(chosen)
        for phrasing, spans in phrasings(activations.examples, behaviour, shows[index]).items()
    ]
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    made = Protocol(
        shows=shows,
        folds=folds,
        naive_folds=naive,
        n_folds=n_folds,
        method=method,
        penalties=tuple(method.penalties if penalties is None else penalties),
        shuffled=np.stack(shuffled),
        tasks=tasks,
        held=tuple(held),
        permuted=permuted,
        device=torch.device(device),
    )
    return made, how


def _finite(activations: Activations, layer: int) -> torch.Tensor:
    acts = activations.layer(layer)
    bad = (~acts.isfinite().all(dim=1)).nonzero()
    if len(bad):
        example = activations.examples[int(bad[0])]
        raise InputError(
            f"the activation of {example.text!r:.60} in trace {example.trace!r} at layer {layer} is not finite; "
            "collect again with dtype=bfloat16 or float32"
        )
    return acts


def _control_tasks(fits: Sequence[LayerFit], names: Sequence[str]) -> dict[str, list[Interval]]:
    """Mean, least and greatest AUROC over the draws of each task, by layer."""
    return {
        name: [mean_and_range(fit.tasks.reshape(len(names), -1)[place]) for fit in fits]
        for place, name in enumerate(names)
    }


def _shuffled(
    shows: Bool[np.ndarray, "n_behaviours n_examples"],
    folds: Int[np.ndarray, " n_examples"],
    generator: np.random.Generator,
    n_tries: int = 1000,
) -> Bool[np.ndarray, "n_behaviours n_examples"]:
    """The labels in another order of the examples, such that a probe can still be trained for every fold."""
    for _ in range(n_tries):
        candidate = shows[:, generator.permutation(len(folds))]
        parts = [candidate[:, folds != fold] for fold in np.unique(folds)]
        if all(part.any(axis=1).all() and not part.all(axis=1).any() for part in parts):
            return candidate
    raise InputError("a behaviour is too rare for a control of shuffled labels; leave it out (--behaviours)")
