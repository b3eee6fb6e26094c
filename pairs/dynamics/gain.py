"""Split the gain in accuracy into what came of the form of the answers and what lies beyond it, exactly.

    accuracy = f r + (1 - f) s        f: in form, r: right given form, s: right given none
    gain     = df (mean of r - s) + dr (mean of f) + ds (1 - mean of f)        d: last less first, means of both

The first part is the form's; the others are beyond it. They are Shapley shares, and add up to the gain with no rest.
Where one end has no response in form (or none out of form), what such responses would be worth is taken from the other
end. A grader that finds an answer in any form gives s > 0, and then less of the gain can come of the form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ...rundir import brief
from ...stats import Interval, bootstrap_counts, percentile_ends
from .step_run import StepCounts

Draws = Float[np.ndarray, " n_draws"]
ENOUGH = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class GainSplit:
    """The gain from the base to a step.

    Attributes:
        step: The step.
        gain: Accuracy less that of the base.
        form: The part that came of more (or fewer) answers in form.
        beyond: The rest.
        form_share: `form` as a share of the gain; NaN where the gain is not away from 0 by its interval.
    """

    step: float
    gain: Interval
    form: Interval
    beyond: Interval
    form_share: Interval

    __repr__ = brief


def split_gain(step: float, base: StepCounts, now: StepCounts, n_resamples: int, seed: int = 0) -> GainSplit:
    """Split the gain from the base to a step, with intervals over problems, which are resampled for both together.

    Args:
        step: The step.
        base: Counts of the base.
        now: Counts of the step.
        n_resamples: Resamples to draw.
        seed: Of the resamples.

    Returns:
        The parts.
    """
    n = len(base.n)
    counts = np.concatenate([np.ones((1, n)), bootstrap_counts(n, n_resamples, seed)])
    form, beyond = gain_parts(counts @ _columns(base), counts @ _columns(now))
    gain = form + beyond
    total = _interval(gain, n)
    share = Interval(float("nan"), n=n)
    if total.low > 0 or total.high < 0:
        share = _interval(form / np.where(np.abs(gain) < ENOUGH, np.nan, gain), n)
    return GainSplit(step=step, gain=total, form=_interval(form, n), beyond=_interval(beyond, n), form_share=share)


def split_gain_open(
    step: float, base: StepCounts, now: StepCounts, n_resamples: int, seed: int = 0
) -> tuple[GainSplit, ...]:
    """Split the gain as it would be if responses that were cut off had ended like the others.

    Args:
        step: The step.
        base: Counts of the base, whose open responses count as wrong.
        now: Counts of the step, likewise.
        n_resamples: Resamples to draw.
        seed: Of the resamples.

    Returns:
        The parts with the open responses of the base, of the step, and of both left out; empty where none is open, or
        where every response of a model is.
    """
    if not (base.open.any() or now.open.any()):
        return ()
    pairs = ((base.settled, now), (base, now.settled), (base.settled, now.settled))
    if any(not one.n.any() for pair in pairs for one in pair):
        return ()
    return tuple(split_gain(step, one, other, n_resamples, seed) for one, other in pairs)


def gain_parts(base: Float[np.ndarray, "n_draws 4"], now: Float[np.ndarray, "n_draws 4"]) -> tuple[Draws, Draws]:
    """Compute the part of the form and that beyond it.

    Args:
        base: Responses, those in form, those right and in form, and those right and out of form; one row a draw.
        now: The same of the step.

    Returns:
        The two parts; they add up to the difference of the accuracies.
    """
    f0, f1 = base[:, 1] / base[:, 0], now[:, 1] / now[:, 0]
    r0, r1 = _both(base[:, 2], base[:, 1], now[:, 2], now[:, 1])
    s0, s1 = _both(base[:, 3], base[:, 0] - base[:, 1], now[:, 3], now[:, 0] - now[:, 1])
    f = (f0 + f1) / 2
    form = (f1 - f0) * ((r0 - s0) + (r1 - s1)) / 2
    return form, (r1 - r0) * f + (s1 - s0) * (1 - f)


def _both(above: Draws, below: Draws, other_above: Draws, other_below: Draws) -> tuple[Draws, Draws]:
    """Compute two rates, each taken from the other where it has nothing below the line."""
    one = np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
    other = np.divide(other_above, other_below, out=np.zeros(len(above)), where=other_below > 0)
    return np.where(below > 0, one, other), np.where(other_below > 0, other, one)


def _columns(counts: StepCounts) -> Float[np.ndarray, "n_problems 4"]:
    return np.stack([counts.n, counts.in_form, counts.right_in_form, counts.right - counts.right_in_form], axis=1)


def _interval(draws: Draws, n: int) -> Interval:
    return Interval(float(draws[0]), *percentile_ends(draws[1:]), n)
