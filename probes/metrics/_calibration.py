"""Compare a probe's predicted probabilities with observed shares, in bins of equal size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from ...rundir import brief
from ...stats import Interval, percentile_ends
from ._concordance import Matrix

N_BINS = 10


@dataclass(frozen=True, eq=False, slots=True)
class Bin:
    """Examples of similar predicted probability."""

    predicted: float  # mean probability
    observed: Interval  # share that shows the behaviour, with its interval over problems
    n: int

    __repr__ = brief


def calibration(
    log_odds: Float[np.ndarray, " n_examples"],
    positive: Bool[np.ndarray, " n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    counts: Matrix,
    n_bins: int = N_BINS,
) -> list[Bin]:
    """Bin out-of-fold probabilities; equal probabilities are never in different bins.

    Args:
        log_odds: Out-of-fold log odds of each example.
        positive: Whether the example shows the behaviour.
        problems: The problem of each example, as a number.
        counts: How often each problem is in each resample (`stats.bootstrap_counts`).
        n_bins: How many bins of about equal size.

    Returns:
        The bins, ascending.
    """
    predicted = expit(log_odds)
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, n_bins + 1)[1:-1]))
    bin_index = np.searchsorted(edges, predicted, side="left")
    n_problems = counts.shape[1]
    bins = []
    for index in np.unique(bin_index):
        is_member = bin_index == index
        n_positive = np.bincount(problems[is_member], positive[is_member], n_problems)
        n_members = np.bincount(problems[is_member], minlength=n_problems)
        with np.errstate(divide="ignore", invalid="ignore"):
            resampled_shares = (counts @ n_positive) / (counts @ n_members)
        observed = Interval(
            float(positive[is_member].mean()), *percentile_ends(resampled_shares), int((n_members > 0).sum())
        )
        bins.append(Bin(float(predicted[is_member].mean()), observed, int(is_member.sum())))
    return bins
