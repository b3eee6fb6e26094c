"""How much of the gap between base and thinking model an arm recovers, with its interval over problems.

    gap recovered = (arm - base) / (thinking - base)        of accuracies on the same questions, never clipped

Problems are resampled for all arms together (a paired bootstrap; a problem's questions stay together). Two made-up
problems, spread evenly over all outcomes that a question can have, are in the pool that is drawn from: they leave the
ratio as it is, and keep an interval from shrinking to a point where an arm differs from the base on a handful of
questions (Agresti & Min 2005 do the same for one difference of pairs). Without them intervals meant to cover 95%
covered 71% in the worst of 336 simulated cases, an arm that is the base but for a few questions; with them 92% to 99%.

A ratio over a gap that may be nothing says nothing. While fewer than 2.5% of the resamples have thinking <= base, the
percentiles of arm - base - R (thinking - base) bound R from both sides, as Fieller's (1954) do; otherwise there is no
gap to recover, and no interval is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import binomtest

from ...rundir import InputError
from ...stats import Figure

# Whether each question was solved, or the share of several runs that solved it.
Solved = Bool[np.ndarray, " n_questions"] | Float[np.ndarray, " n_questions"]
Floats = np.ndarray[Any, np.dtype[np.float64]]

N_RESAMPLES = 10_000
OUTSIDE = 0.025  # of the resamples, on each side of an interval
MADE_UP = 2.0  # problems added to the pool


@dataclass(frozen=True, slots=True)
class Gap:
    """The share of the gap that is recovered; NaN, with a reason, where there is none."""

    value: float
    low: float = nan
    high: float = nan
    no_gap: str = ""  # why there is none to recover


@dataclass(frozen=True, slots=True)
class McNemar:
    """Questions on which two arms differ, and how likely so uneven a split is if neither is better (exact)."""

    n_better: int  # only the first is right
    n_worse: int  # only the second is right
    p: float  # two-sided


def resampled(
    columns: Sequence[Solved], groups: Sequence[str] | None = None, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> Float[np.ndarray, "n_resamples n_columns"]:
    """Accuracy of several arms in each resample of the problems.

    groups: the problem of each question; None: each is one of its own. Raises InputError for fewer than two problems
    and for arms that were not asked the same questions.
    """
    table = _table(columns, groups)  # (problem, questions and solved ones of each arm)
    kinds, times = np.unique(table, axis=0, return_counts=True)
    n_arms = len(columns)
    cells = np.array([[1.0, *(outcome >> arm & 1 for arm in range(n_arms))] for outcome in range(2**n_arms)])
    weights = np.concatenate([times, np.full(len(cells), MADE_UP / len(cells))])
    drawn = np.random.default_rng(seed).multinomial(len(table), weights / weights.sum(), size=n_resamples)
    sums: Floats = drawn.astype(np.float64) @ np.concatenate([kinds, cells])
    return sums[:, 1:] / sums[:, :1]


def accuracy(solved: Solved, groups: Sequence[str] | None = None, seed: int = 0) -> Figure:
    """Share of the questions that are answered rightly."""
    return _figure(float(np.mean(solved)), resampled([solved], groups, seed)[:, 0], len(solved))


def difference(arm: Solved, other: Solved, groups: Sequence[str] | None = None, seed: int = 0) -> Figure:
    """By how much the accuracy of `arm` is above that of `other`."""
    drawn = resampled([arm, other], groups, seed)
    return _figure(float(np.mean(arm) - np.mean(other)), drawn[:, 0] - drawn[:, 1], len(arm))


def gap_recovered(
    base: Solved,
    thinking: Solved,
    arm: Solved,
    groups: Sequence[str] | None = None,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> Gap:
    """The share of the gap from base to thinking model that `arm` recovers; below 0 where it is worse than the base."""
    drawn = resampled([base, thinking, arm], groups, seed, n_resamples)
    gap, gain = drawn[:, 1] - drawn[:, 0], drawn[:, 2] - drawn[:, 0]
    if np.mean(gap <= 0) >= OUTSIDE:
        whole = difference(thinking, base, groups, seed)
        verb = "is worse than the base" if whole.high < 0 else "is not shown to be better than the base"
        return Gap(nan, no_gap=f"the thinking model {verb}: {whole} (n = {whole.n})")
    value = (np.mean(arm) - np.mean(base)) / (np.mean(thinking) - np.mean(base))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = gain / gap
    low = np.quantile(np.where(gap > 0, ratios, -np.inf), OUTSIDE, method="inverted_cdf")
    high = np.quantile(np.where(gap > 0, ratios, np.inf), 1 - OUTSIDE, method="inverted_cdf")
    return Gap(float(value), float(low), float(high))


def mcnemar(arm: Bool[np.ndarray, " n_questions"], other: Bool[np.ndarray, " n_questions"]) -> McNemar:
    """The exact test of the questions that just one of two arms solves (McNemar 1947)."""
    n_better, n_worse = int(np.sum(arm & ~other)), int(np.sum(other & ~arm))
    differing = n_better + n_worse
    return McNemar(n_better, n_worse, float(binomtest(n_better, differing).pvalue) if differing else 1.0)


def _table(columns: Sequence[Solved], groups: Sequence[str] | None) -> Floats:
    sizes = sorted({len(column) for column in columns} | ({len(groups)} if groups is not None else set()))
    if len(sizes) != 1:
        raise InputError(
            f"arms are compared on the same questions, and these have {' and '.join(map(str, sizes))} of them; "
            "measure them on the questions that all have answered"
        )
    each = np.stack([np.ones(sizes[0]), *(np.asarray(column, dtype=np.float64) for column in columns)], axis=1)
    if groups is not None:
        number = np.unique(np.asarray(groups), return_inverse=True)[1]
        each = np.stack([np.bincount(number, column) for column in each.T], axis=1)
    if len(each) < 2:
        raise InputError(f"an interval needs at least two problems, and there are {len(each)}")
    return each


def _figure(value: float, drawn: Floats, n: int) -> Figure:
    low, high = np.quantile(drawn, [OUTSIDE, 1 - OUTSIDE])
    return Figure(value, float(low), float(high), n)
