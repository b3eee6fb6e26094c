"""Train probes on a subset of the spans, and test them on held-out problems: on the subset, and on all spans.

All training sets have the same folds, and all intervals the same resamples of the problems, so the difference of two
AUROCs has an interval of its own. The control draws as many spans of each label and fold at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ..activations import Activations
from ..probes import LogisticProbe
from ..probes.folds import grouped_folds
from ..probes.metrics import auroc, auroc_draws, concordance
from ..stats import Interval, mean_and_range, percentile_ends

Rows = Bool[np.ndarray, " n_examples"]  # which examples are in a subset
Folds = Int[np.ndarray, " n_examples"]  # the test fold of each
TESTED = ("auroc_before", "auroc_after", "auroc_gain", "auroc_before_on_all", "auroc_after_on_all", "auroc_random")
NO_AUROC = dict.fromkeys((f"{name}{end}" for name in TESTED for end in ("", "_low", "_high")), float("nan"))


class Drawn(NamedTuple):
    """A statistic, and its value in every resample of the problems."""

    value: float
    draws: Float[np.ndarray, " n_bootstrap"]


def subset_folds(activations: Activations, stable: Rows, probed: Sequence[str], n_folds: int, seed: int) -> Folds:
    """Divide problems into folds with similar numbers of stable and unstable spans; one fold if nothing is probed."""
    if not probed:
        return np.zeros(len(stable), dtype=np.int64)
    tagged = [
        label if is_stable else f"{label} (unstable)"
        for label, is_stable in zip(activations.labels, stable, strict=True)
    ]
    return grouped_folds(tagged, activations.problems, probed, n_folds, seed)


def as_many(labels: np.ndarray[Any, Any], folds: Folds, stable: Rows, generator: np.random.Generator) -> Rows:
    """Draw random examples: as many of each label and fold as are stable."""
    rows = np.zeros_like(stable)
    for label in np.unique(labels):
        for fold in np.unique(folds):
            candidates = np.flatnonzero((labels == label) & (folds == fold))
            n_stable = int(stable[candidates].sum())
            rows[generator.choice(candidates, n_stable, replace=False)] = True
    return rows


def held_out_scores(
    activations: Float[np.ndarray, "n_examples d_model"],
    shows: Bool[np.ndarray, "n_behaviours n_examples"],
    folds: Folds,
    training: Rows,
) -> Float[np.ndarray, "n_behaviours n_examples"]:
    """Score every example by probes trained on the examples of the other folds that are in `training`."""
    scores = np.empty(shows.shape)
    for fold in np.unique(folds):
        train, test = (folds != fold) & training, folds == fold
        for index, positive in enumerate(shows):
            probe = LogisticProbe().fit(activations[train], positive[train])
            scores[index, test] = probe.decision_function(activations[test])
    return scores


def subset_aurocs(
    scores: Sequence[Float[np.ndarray, " n_examples"]],
    positive: Rows,
    stable: Rows,
    problems: Int[np.ndarray, " n_examples"],
    folds: Folds,
    counts: Float[np.ndarray, "n_bootstrap n_problems"],
) -> dict[str, float]:
    """Compute the AUROCs of one behaviour with their intervals; `BeforeAfter.to_frame` describes them.

    Args:
        scores: Out-of-fold scores of probes trained on all spans, on stable ones, and on each random draw.
        positive: Examples that show the behaviour.
        stable: Examples that are stable.
        problems: Number of each example's problem.
        folds: Test fold of each example.
        counts: How often each resample contains each problem.

    Returns:
        A value for every name of `TESTED`, with `_low` and `_high`.
    """

    def tested(trained: Float[np.ndarray, " n_examples"], subset: Rows | None = None) -> Drawn:
        pairs = concordance(trained, positive, problems, folds, subset)
        return Drawn(auroc(pairs), auroc_draws(pairs, counts))

    before, after, *random = (tested(trained, stable) for trained in scores)
    figures = {
        "auroc_before": before,
        "auroc_after": after,
        "auroc_gain": Drawn(after.value - before.value, after.draws - before.draws),
        "auroc_before_on_all": tested(scores[0]),
        "auroc_after_on_all": tested(scores[1]),
    }
    row: dict[str, float] = {}
    for name, figure in figures.items():
        row |= Interval(figure.value, *percentile_ends(figure.draws), counts.shape[1]).columns(name)
    return row | mean_and_range(np.array([figure.value for figure in random])).columns("auroc_random")
