"""Probes trained on a part of the spans and tested on problems that were held out: on that part of them, and on all.

All training sets share their folds, and all intervals their resamples of the problems, so the difference of two AUROCs
has an interval of its own. The control draws as many spans of each label and fold at random.
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

Rows = Bool[np.ndarray, " n_examples"]  # some of the examples
Folds = Int[np.ndarray, " n_examples"]  # the test fold of each
TESTED = ("auroc_before", "auroc_after", "auroc_gain", "auroc_before_on_all", "auroc_after_on_all", "auroc_random")
NO_AUROC = dict.fromkeys((f"{name}{end}" for name in TESTED for end in ("", "_low", "_high")), float("nan"))


class Drawn(NamedTuple):
    """A figure, and the same of every resample of the problems."""

    value: float
    draws: Float[np.ndarray, " n_bootstrap"]


def subset_folds(activations: Activations, stable: Rows, probed: Sequence[str], n_folds: int, seed: int) -> Folds:
    """Folds by problem that spread the stable and the other spans of every behaviour; one fold if none is probed."""
    if not probed:
        return np.zeros(len(stable), dtype=np.int64)
    tagged = [
        label if is_stable else f"{label} (unstable)"
        for label, is_stable in zip(activations.labels, stable, strict=True)
    ]
    return grouped_folds(tagged, activations.problems, probed, n_folds, seed)


def as_many(labels: np.ndarray[Any, Any], folds: Folds, stable: Rows, generator: np.random.Generator) -> Rows:
    """Random examples: of each label and fold as many as are stable."""
    kept = np.zeros_like(stable)
    for label in np.unique(labels):
        for fold in np.unique(folds):
            candidates = np.flatnonzero((labels == label) & (folds == fold))
            n_stable = int(stable[candidates].sum())
            kept[generator.choice(candidates, n_stable, replace=False)] = True
    return kept


def held_out_scores(
    acts: Float[np.ndarray, "n_examples d_model"],
    shows: Bool[np.ndarray, "n_behaviours n_examples"],
    folds: Folds,
    kept: Rows,
) -> Float[np.ndarray, "n_behaviours n_examples"]:
    """Scores of every example, by probes trained on those of the other folds that are `kept`."""
    scores = np.empty(shows.shape)
    for fold in np.unique(folds):
        train, test = (folds != fold) & kept, folds == fold
        for index, positive in enumerate(shows):
            scores[index, test] = LogisticProbe().fit(acts[train], positive[train]).decision_function(acts[test])
    return scores


def subset_aurocs(
    scores: Sequence[Float[np.ndarray, " n_examples"]],
    positive: Rows,
    stable: Rows,
    problems: Int[np.ndarray, " n_examples"],
    folds: Folds,
    counts: Float[np.ndarray, "n_bootstrap n_problems"],
) -> dict[str, float]:
    """The AUROCs of one behaviour by their names (`TESTED`), each with its ends; `BeforeAfter.to_frame` explains them.

    scores: of probes trained on all, on the stable, and on each random draw. problems: by number. counts: resamples.
    """

    def tested(trained: Float[np.ndarray, " n_examples"], kept: Rows | None = None) -> Drawn:
        pairs = concordance(trained, positive, problems, folds, kept)
        return Drawn(auroc(pairs), auroc_draws(pairs, counts))

    before, after, *random = (tested(each, stable) for each in scores)
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
    return row | mean_and_range(np.array([each.value for each in random])).columns("auroc_random")
