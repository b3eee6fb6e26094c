"""Find the step from which on the base solves more with many samples while the trained model solves more with one.

    onset      the first step from which on, to the last one, pass@k is below the base's and pass@1 above it
    sure from  the same by the bands over all steps: that of pass@k wholly below 0, that of pass@1 wholly above

The interval of the onset resamples problems; where it never comes in some resamples, the interval has no upper end.
(Yue et al. 2025, arXiv 2504.13837, for two models.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from jaxtyping import Bool, Float

from ...rundir import brief
from ...stats import Groups, Interval, bootstrap_counts, paired_curves_over_groups, sum_by_group
from .curve import ATTEMPTS, PASS_MANY, PASS_ONE, Curve

Curves = Float[np.ndarray, "n n_steps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collapse:
    """Where pass@k falls below the base's while pass@1 rises.

    Attributes:
        k: The k.
        onset: Step of the onset, with its interval (the ends are steps; NaN: not in so many resamples); NaN: never.
        sure_from: The first step from which on it is sure by the bands; NaN: never.
        share: Share of the resamples in which there is an onset.
    """

    k: int
    onset: Interval
    sure_from: float
    share: float

    __repr__ = brief


def collapse_of(
    once: Curves,
    often: Curves,
    k: int,
    steps: Sequence[float],
    groups: Groups | None,
    seed: int = 0,
    n_resamples: int = 1000,
) -> tuple[Collapse, tuple[Curve, Curve]]:
    """Find the onset of a collapse.

    Args:
        once: pass@1 of each question at each step, the base first.
        often: pass@k likewise.
        k: The k.
        steps: The steps.
        groups: The problem of each question; None: each is one of its own.
        seed: Of the resamples.
        n_resamples: Resamples to draw.

    Returns:
        The collapse, and the curves of pass@1 and pass@k, of which the differences from the base have a band that
        holds at all steps at once.
    """
    curves, is_sure = [], []
    for name, values, sign in ((PASS_ONE, once, 1), (PASS_MANY.format(k=k), often, -1)):
        paired = paired_curves_over_groups(np.repeat(values[:, :1], len(steps), axis=1), values, groups, seed)
        band = paired.difference_band
        is_sure.append([sign * one.value > 0 and min(sign * one.low, sign * one.high) > 0 for one in band])
        itself = Interval(0.0, 0.0, 0.0, band[0].n)
        curves.append(
            Curve(measure=ATTEMPTS, series=name, values=tuple(paired.second), differences=(itself, *band[1:]))
        )
    both = np.array([[one and other for one, other in zip(*is_sure, strict=True)]])
    sure = onsets(both, steps)[0]
    sums = sum_by_group(np.concatenate([once, often], axis=1), groups)
    counts = np.concatenate([np.ones((1, len(sums))), bootstrap_counts(len(sums), n_resamples, seed)])
    draws = counts @ sums
    drawn_once, drawn_often = draws[:, : len(steps)], draws[:, len(steps) :]
    is_collapsed: Bool[np.ndarray, "n_draws n_steps"] = (drawn_once > drawn_once[:, :1] + 1e-9) & (
        drawn_often < drawn_often[:, :1] - 1e-9
    )
    first = onsets(is_collapsed, steps)
    ends = np.quantile(first[1:], [0.025, 0.975], method="inverted_cdf")  # of steps, and never: no mean of two
    onset = known_interval((first[0], *ends), len(sums))
    share = float(np.isfinite(first[1:]).mean())
    sure_from = float("nan") if np.isinf(sure) else float(sure)
    return Collapse(k=k, onset=onset, sure_from=sure_from, share=share), (curves[0], curves[1])


def known_interval(places: Sequence[float], n: int) -> Interval:
    """Make an interval of a place and its ends, NaN where one is at infinity: at no step.

    Args:
        places: The value, the lower and the upper end.
        n: What was resampled.

    Returns:
        The interval.
    """
    value, low, high = (float("nan") if np.isinf(place) else float(place) for place in places)
    return Interval(value, low, high, n)


def onsets(is_so: Bool[np.ndarray, "n_draws n_steps"], steps: Sequence[float]) -> Float[np.ndarray, " n_draws"]:
    """Find the first step from which on something is so, to the last one.

    Args:
        is_so: At each step, one row a draw.
        steps: The steps.

    Returns:
        The step of each draw; infinite where it is not so at the last one.
    """
    lasts = np.logical_and.accumulate(is_so[:, ::-1], axis=1)[:, ::-1]
    places: Float[np.ndarray, " n_draws"] = np.array([*steps, inf])[
        np.where(lasts.any(axis=1), lasts.argmax(axis=1), len(steps))
    ]
    return places
