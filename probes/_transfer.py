"""Probes trained on one source of activations and tested on another: other traces, another model, the same before RL.

1. Problems are split once for all sources, so a problem that several sources hold is in the same fold of each.
2. For every fold: penalty and layer are chosen on the training source's other folds, the probe is fitted on them, and
   it scores the test source's spans of that fold, raw. No problem, of any source, is on both sides.

On the diagonal that is ordinary nested cross-validation. AUROC compares spans inside one fold only, so a shift between
the sources costs nothing; a turn or a stretch does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from threadpoolctl import threadpool_limits

from ..activations import Activations
from ..rundir import InputError
from ..stats import Interval, bootstrap_counts
from .folds import common_labels, grouped_folds
from .layer_fit import Core, design_of, fit_core
from .metrics import (
    auroc_given_probes,
    concordance,
)
from .nested import choose
from .protocol import Protocol
from .side_by_side import each_layer
from .solver import Columns, method_named
from .transfer_matrix import Transfer, TransferMatrix


def transfer(
    sources: Mapping[str, Activations],
    *,
    behaviours: Sequence[str] | None = None,
    estimator: str = "logistic",
    penalties: Sequence[float] | None = None,
    n_folds: int = 5,
    n_bootstrap: int = 1000,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> TransferMatrix:
    """Train on each source and test on each. behaviours: default all that every source holds in enough problems.

    Raises InputError when the sources differ in layers or width, or have no behaviour in common.
    """
    names = tuple(sources)
    given = list(sources.values())
    if len(names) < 2:
        raise InputError(f"a transfer needs at least two sources, and {len(names)} was given")
    for name, each in sources.items():
        shape, first = (each.layers, _width(each)), (given[0].layers, _width(given[0]))
        if shape != first:
            raise InputError(
                f"{name} was read at layers {list(shape[0])} of width {shape[1]}, and {names[0]} at {list(first[0])} "
                f"of width {first[1]}: only activations of the same layers and width can be compared"
            )
    chosen = tuple(_common(sources, n_folds) if behaviours is None else behaviours)
    folds = _folds(given, chosen, n_folds, seed)
    parts = [
        _Source(each, chosen, fold, estimator, penalties, n_folds, torch.device(device))
        for each, fold in zip(given, folds, strict=True)
    ]
    layers = given[0].layers

    def fit(layer: int) -> list[_Fit]:
        acts = [each.layer(layer) for each in given]
        return [part.fit(own, acts) for part, own in zip(parts, acts, strict=True)]

    for fits in each_layer(fit, layers, torch.device(device), progress):
        for part, found in zip(parts, fits, strict=True):
            part.fits.append(found)
    with threadpool_limits(1):
        cells = {
            (trained, tested, behaviour): _cell(parts[a], parts[b], b, index, n_bootstrap, seed)
            for a, trained in enumerate(names)
            for b, tested in enumerate(names)
            for index, behaviour in enumerate(chosen)
        }
    return TransferMatrix(
        cells=cells, sources=names, behaviours=chosen, layers=layers, n_folds=n_folds, estimator=estimator
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Fit:
    """One layer of a source: its choices, and its probes' scores of the spans of every source."""

    core: Core
    scores: list[Float[np.ndarray, "n_behaviours n_folds n"]]


class _Source:
    """One source as the training side: its choices, and the scores that its probes give to all sources."""

    def __init__(
        self,
        activations: Activations,
        behaviours: tuple[str, ...],
        folds: Int[np.ndarray, " n_examples"],
        estimator: str,
        penalties: Sequence[float] | None,
        n_folds: int,
        device: torch.device,
    ) -> None:
        method = method_named(estimator)
        self.shows = np.stack([activations.shows(behaviour) for behaviour in behaviours])
        self.folds, self.problems = folds, np.unique(activations.problems, return_inverse=True)[1]
        none = np.zeros((0, *self.shows.shape), dtype=bool)
        self.protocol = Protocol(
            shows=self.shows,
            folds=folds,
            naive_folds=np.zeros_like(folds),
            n_folds=n_folds,
            method=method,
            penalties=tuple(method.penalties if penalties is None else penalties),
            shuffled=none,
            tasks=none[:, 0],
            held=(),
            permuted=np.zeros((0, len(folds)), dtype=np.int64),
            device=device,
        )
        self.fits: list[_Fit] = []  # of every layer

    def fit(self, acts: torch.Tensor, all_acts: Sequence[torch.Tensor]) -> _Fit:
        protocol = self.protocol
        design = design_of(acts, protocol)
        core = fit_core(design, protocol)
        behaviour, fold = (each.ravel() for each in np.indices((len(self.shows), protocol.n_folds)))
        penalty = np.array(protocol.penalties)[core.inner_penalty].ravel()
        columns = Columns(
            torch.from_numpy(self.shows[behaviour]).to(protocol.device),
            torch.from_numpy(fold).to(protocol.device),
            torch.from_numpy(penalty).to(protocol.device, protocol.dtype),
        )
        weights, biases = protocol.method.solve(design, columns).raw(design)
        scores = [each.to(protocol.device).double() @ weights.T + biases for each in all_acts]
        shape = (len(self.shows), protocol.n_folds, -1)
        return _Fit(core, [each.T.reshape(shape).cpu().numpy() for each in scores])


def _cell(trained: _Source, tested: _Source, place: int, behaviour: int, n_bootstrap: int, seed: int) -> Transfer:
    counts = bootstrap_counts(int(tested.problems.max()) + 1, n_bootstrap, seed)
    positive, own = tested.shows[behaviour], np.arange(len(tested.folds))
    by_layer = [fit.scores[place][behaviour, tested.folds, own] for fit in trained.fits]
    _, places = choose([fit.core for fit in trained.fits], behaviour, trained.folds)
    chosen = np.array([layer for layer, _ in places])[tested.folds]

    def estimate(scores: Float[np.ndarray, " n"]) -> Interval:
        return auroc_given_probes(concordance(scores, positive, tested.problems, tested.folds), counts)

    return Transfer(
        auroc=estimate(np.stack(by_layer)[chosen, own]),
        by_layer=[estimate(scores) for scores in by_layer],
        n_positive=int(positive.sum()),
        n_problems=len(np.unique(tested.problems[positive])),
    )


def _width(activations: Activations) -> int:
    return int(activations.values.shape[-1])


def _common(sources: Mapping[str, Activations], n_folds: int) -> list[str]:
    found = [set(common_labels(each.labels, each.problems, n_folds)) for each in sources.values()]
    common = set.intersection(*found)
    if not common:
        held = "; ".join(f"{name}: {', '.join(each.behaviours)}" for name, each in sources.items())
        raise InputError(f"no behaviour is in at least {n_folds} problems of every source ({held})")
    return [behaviour for behaviour in next(iter(sources.values())).behaviours if behaviour in common]


def _folds(
    sources: Sequence[Activations], behaviours: Sequence[str], n_folds: int, seed: int
) -> list[Int[np.ndarray, " n_examples"]]:
    """The fold of every example of each source; a problem is in the same one everywhere."""
    labels = [label for each in sources for label in each.labels]
    problems = [problem for each in sources for problem in each.problems]
    folds = grouped_folds(labels, problems, behaviours, n_folds, seed)
    return np.split(folds, np.cumsum([len(each.examples) for each in sources])[:-1])
