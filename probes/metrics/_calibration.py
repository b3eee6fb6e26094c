"""Whether a probe's probabilities mean what they say: predicted against observed, in bins of equal size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from ...stats import Interval, percentile_ends
from ._concordance import Matrix

N_BINS = 10


@dataclass(frozen=True, eq=False, slots=True)
class Bin:
    """Examples of like probability."""

    predicted: float  # mean probability
    observed: Interval  # share that shows the behaviour, with its interval over problems
    n: int


def calibration(
    log_odds: Float[np.ndarray, " n_examples"],
    positive: Bool[np.ndarray, " n_examples"],
    problems: Int[np.ndarray, " n_examples"],
    counts: Matrix,
    n_bins: int = N_BINS,
) -> list[Bin]:
    """Bins of out-of-fold probabilities, ascending, of about equal size. Equal probabilities are never parted."""
    predicted = expit(log_odds)
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, n_bins + 1)[1:-1]))
    number = np.searchsorted(edges, predicted, side="left")
    n_problems = counts.shape[1]
    found = []
    for each in np.unique(number):
        here = number == each
        shown = np.bincount(problems[here], positive[here], n_problems)
        there = np.bincount(problems[here], minlength=n_problems)
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = (counts @ shown) / (counts @ there)
        observed = Interval(float(positive[here].mean()), *percentile_ends(drawn), int((there > 0).sum()))
        found.append(Bin(float(predicted[here].mean()), observed, int(here.sum())))
    return found
