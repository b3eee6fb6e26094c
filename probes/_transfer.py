"""Train probes on one source of activations and test them on another: other traces, another model, the same before RL.

1. Split the problems once for all sources, so that a problem is in the same fold of each source that holds it.
2. For every fold, choose penalty and layer on the training source's other folds, fit the probe on them, and score the
   test source's raw spans of that fold. No problem of any source is on both sides.

On the diagonal this is ordinary nested cross-validation. AUROC compares spans inside one fold only, so a shift between
the sources costs nothing; a rotation or a change of scale does. Off it intervals are wider than the luck of the tested
problems by as much as at home, where the training set's part is known (`metrics/expected.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Int
from threadpoolctl import threadpool_limits

from ..activations import Activations, ActivationsSource, open_activations
from ..models.device import device_of
from ..rundir import InputError, listed, names_of, shown
from ..rundir.progress import with_progress
from ..stats import Interval, bootstrap_counts
from .core import Core, changes_over
from .folds import check_sizes, common_labels, grouped_folds
from .layer_fit import design_of, fit_core
from .metrics import CrossValidated
from .nested import choose
from .protocol import Protocol
from .single_threads import map_layers
from .solver import Columns, method_named
from .transfer_matrix import Transfer, TransferMatrix


def transfer(
    sources: Mapping[str, ActivationsSource],
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
    """Train probes on each source and test them on each.

    Args:
        sources: Name -> activations, or where they are; all at the same layers.
        behaviours: The behaviours to probe; None means all that every source has in at least `n_folds` problems.
        estimator: logistic, ridge, lda or mean-difference.
        penalties: The penalties to choose from on inner folds, strongest first; None means those of the estimator.
        n_folds: How many folds the problems are split into, at least 3.
        n_bootstrap: How many resamples of the problems the intervals are based on.
        seed: Seed of folds and bootstrap.
        device: Where probes are fitted.
        progress: Show progress bars, over layers and over pairs of sources.

    Returns:
        The AUROC of every two sources and behaviour, with intervals.

    Raises:
        InputError: There are fewer than two sources, or they differ in layers or width, or have no behaviour in common.
    """
    if not isinstance(sources, Mapping):
        raise InputError(f"sources takes a dictionary of name and activations, and not {shown(sources)}; give one")
    check_sizes(n_folds, n_bootstrap, seed)
    device = device_of(device)
    names = tuple(sources)
    opened = {name: open_activations(source) for name, source in sources.items()}
    all_activations = list(opened.values())
    if len(names) < 2:
        raise InputError(f"a transfer needs at least two sources, and {len(names)} was given")
    for name, activations in opened.items():
        shape = activations.layers, _width(activations)
        first = all_activations[0].layers, _width(all_activations[0])
        if shape != first:
            raise InputError(
                f"{name} was read at layers {list(shape[0])} of width {shape[1]}, and {names[0]} at {list(first[0])} "
                f"of width {first[1]}: only activations of the same layers and width can be compared"
            )
        if activations.site != all_activations[0].site:
            raise InputError(
                f"{name} was read at {activations.site}, and {names[0]} at {all_activations[0].site}: only activations "
                "of the same site can be compared"
            )
    chosen = tuple(_common(opened, n_folds) if behaviours is None else names_of(behaviours, "behaviours"))
    folds = _folds(all_activations, chosen, n_folds, seed)
    parts = [
        _Source(activations, chosen, fold, estimator, penalties, n_folds, device)
        for activations, fold in zip(all_activations, folds, strict=True)
    ]
    layers = all_activations[0].layers

    def fit(layer: int) -> list[_Fit]:
        at_layer = [activations.layer(layer) for activations in all_activations]
        return [part.fit(own, at_layer) for part, own in zip(parts, at_layer, strict=True)]

    for fits in map_layers(fit, layers, device, progress):
        for part, source_fit in zip(parts, fits, strict=True):
            part.fits.append(source_fit)
    pairs = list(product(range(len(names)), repeat=2))
    with threadpool_limits(1):
        cells = {
            (names[a], names[b], behaviour): _cell(parts[a], parts[b], b, index, n_bootstrap, seed)
            for a, b in with_progress(pairs, desc="intervals", unit="pair", progress=progress)
            for index, behaviour in enumerate(chosen)
        }
    return TransferMatrix(
        cells=cells, sources=names, behaviours=chosen, layers=layers, n_folds=n_folds, estimator=estimator
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Fit:
    """One layer of a source: its cross-validation, and its probes' scores of the spans of every source."""

    core: Core
    scores: list[Float[np.ndarray, "n_behaviours n_folds n"]]


class _Source:
    """One source to train on: its cross-validation, and its probes' scores of all sources."""

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
            penalties=method.penalties_of(penalties),
            shuffled=none,
            tasks=none[:, 0],
            held_out=(),
            permuted=np.zeros((0, len(folds)), dtype=np.int64),
            device=device,
        )
        self.fits: list[_Fit] = []  # of every layer
        self._at_home: dict[int, tuple[CrossValidated, list[CrossValidated]]] = {}

    def fit(self, own: torch.Tensor, all_sources: Sequence[torch.Tensor]) -> _Fit:
        """Fit the probes of one layer on the activations of this source, and score those of all sources."""
        protocol = self.protocol
        design = design_of(own, protocol)
        core = fit_core(design, protocol)
        behaviour, fold = np.indices((len(self.shows), protocol.n_folds)).reshape(2, -1)
        penalty = np.array(protocol.penalties)[core.inner_penalty].ravel()
        columns = Columns(
            torch.from_numpy(self.shows[behaviour]).to(protocol.device),
            torch.from_numpy(fold).to(protocol.device),
            torch.from_numpy(penalty).to(protocol.device, protocol.dtype),
        )
        weights, biases = protocol.method.solve(design, columns).raw(design)
        scores = [activations.to(protocol.device).double() @ weights.T + biases for activations in all_sources]
        shape = (len(self.shows), protocol.n_folds, -1)
        return _Fit(core, [source_scores.T.reshape(shape).cpu().numpy() for source_scores in scores])

    def at_home(self, behaviour: int, n_bootstrap: int, seed: int) -> tuple[CrossValidated, list[CrossValidated]]:
        """Return the AUROC on this source itself, with the layer chosen on inner folds and of every layer."""
        if behaviour not in self._at_home:
            cores = [fit.core for fit in self.fits]
            scores, _ = choose(cores, behaviour, self.folds)
            counts = bootstrap_counts(int(self.problems.max()) + 1, n_bootstrap, seed)

            def cross_validated(
                scores: Float[np.ndarray, " n"], changes: Float[np.ndarray, " n_folds"]
            ) -> CrossValidated:
                return CrossValidated.of(scores, self.shows[behaviour], self.problems, self.folds, counts, changes)

            self._at_home[behaviour] = (
                cross_validated(scores, changes_over(cores, behaviour)),
                [cross_validated(core.reported(self.folds)[behaviour], core.changes(behaviour)) for core in cores],
            )
        return self._at_home[behaviour]


def _cell(
    trained: _Source, tested: _Source, tested_index: int, behaviour: int, n_bootstrap: int, seed: int
) -> Transfer:
    counts = bootstrap_counts(int(tested.problems.max()) + 1, n_bootstrap, seed)
    positive, rows = tested.shows[behaviour], np.arange(len(tested.folds))
    by_layer = [fit.scores[tested_index][behaviour, tested.folds, rows] for fit in trained.fits]
    _, places = choose([fit.core for fit in trained.fits], behaviour, trained.folds)
    chosen = np.array([layer for layer, _ in places])[tested.folds]
    nested_at_home, at_home = trained.at_home(behaviour, n_bootstrap, seed)

    def estimate(scores: Float[np.ndarray, " n"], trained_at_home: CrossValidated) -> Interval:
        if trained is tested:
            return trained_at_home.interval()
        return CrossValidated.of(scores, positive, tested.problems, tested.folds, counts).widened_as(trained_at_home)

    return Transfer(
        auroc=estimate(np.stack(by_layer)[chosen, rows], nested_at_home),
        by_layer=[estimate(scores, layer) for scores, layer in zip(by_layer, at_home, strict=True)],
        n_positive=int(positive.sum()),
        n_problems=len(np.unique(tested.problems[positive])),
    )


def _width(activations: Activations) -> int:
    return int(activations.values.shape[-1])


def _common(sources: Mapping[str, Activations], n_folds: int) -> list[str]:
    frequent = [
        set(common_labels(activations.labels, activations.problems, n_folds)) for activations in sources.values()
    ]
    common = set.intersection(*frequent)
    if not common:
        labels = "; ".join(f"{name}: {listed(activations.behaviours, 10)}" for name, activations in sources.items())
        raise InputError(f"no behaviour is in at least {n_folds} problems of every source ({labels})")
    return [behaviour for behaviour in next(iter(sources.values())).behaviours if behaviour in common]


def _folds(
    sources: Sequence[Activations], behaviours: Sequence[str], n_folds: int, seed: int
) -> list[Int[np.ndarray, " n_examples"]]:
    """Assign every example of each source to a fold; a problem is in the same one everywhere."""
    labels = [label for activations in sources for label in activations.labels]
    problems = [problem for activations in sources for problem in activations.problems]
    folds = grouped_folds(labels, problems, behaviours, n_folds, seed)
    return np.split(folds, np.cumsum([len(activations.examples) for activations in sources])[:-1])
