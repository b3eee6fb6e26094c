"""When is what was trained on memorised, and what is gained on other problems after that?

Memorised is the first step from which on nearly all responses to the training problems are right. Its interval
resamples these problems, or where there is one, the responses to it (whose random numbers are the same at all steps).
The late gain is what is gained on test problems after that step; where none were asked, after the accuracy jumped. A
step that is chosen where accuracy is high (or low) by chance makes the gain after it look small (or large): so whether
and where it jumped is decided on a half of the problems, and the gain is measured on the others. The step has to be
before the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np
from jaxtyping import Float

from ...rundir import brief
from ...stats import Interval, bootstrap_counts, ratio_difference_over_groups
from .changes import changes_of_shares
from .collapse import known_interval, onsets
from .curve import Shares

MEMORISED, JUMP = "memorised", "jump"
LEAST = 2  # problems in a half


@dataclass(frozen=True, slots=True, kw_only=True)
class Memorised:
    """When the training problems are memorised.

    Attributes:
        threshold: Share of right responses that counts as memorised.
        at: The step; NaN: at none; an upper end of NaN: in some resamples at none.
        n_problems: Training problems that were asked.
    """

    threshold: float
    at: Interval
    n_problems: int

    __repr__ = brief


@dataclass(frozen=True, slots=True, kw_only=True)
class LateGain:
    """What is gained on test problems late in training.

    Attributes:
        since: The step from which on.
        after: What happened by then: `memorised` or `jump`.
        gain: Accuracy at the last step, less that at `since`, on problems by which `since` was not chosen.
    """

    since: float
    after: str
    gain: Interval

    __repr__ = brief


def memorised_at(
    right: Sequence[Float[np.ndarray, "n_problems n_samples"]],
    steps: Sequence[float],
    threshold: float,
    seed: int = 0,
    n_resamples: int = 1000,
) -> Memorised:
    """Find the step at which training problems are memorised.

    Args:
        right: Whether each response is right, at each step.
        steps: The steps.
        threshold: Share of right responses from which on.
        seed: Of the resamples.
        n_resamples: Resamples to draw.

    Returns:
        The step, with its interval.
    """
    cubes = np.stack([np.asarray(one, dtype=np.float64) for one in right], axis=-1)  # (problems, samples, steps)
    rows = cubes[0] if len(cubes) == 1 else cubes.mean(axis=1)
    counts = np.concatenate([np.ones((1, len(rows))), bootstrap_counts(len(rows), n_resamples, seed)])
    first = onsets(counts @ rows / len(rows) >= threshold - 1e-9, steps)
    ends = np.quantile(first[1:], [0.025, 0.975], method="inverted_cdf")
    at = known_interval((first[0], *ends), len(rows))
    return Memorised(threshold=threshold, at=at, n_problems=len(cubes))


def late_gain(
    accuracy: Shares, steps: Sequence[float], memorised: Memorised | None, seed: int = 0, n_resamples: int = 1000
) -> LateGain | None:
    """Estimate what is gained late.

    Args:
        accuracy: On test problems.
        steps: The steps.
        memorised: When the training problems are; None: not measured, and the jump of the accuracy counts.
        seed: Of halves and resamples.
        n_resamples: Of each.

    Returns:
        The gain; None where nothing came before, nothing was read after, or there are too few problems to halve.
    """
    if memorised is not None:
        since, after, is_measured = memorised.at.value, MEMORISED, np.ones(len(accuracy.above), dtype=bool)
    else:
        order = np.random.default_rng([seed, 2]).permutation(len(accuracy.above))
        if len(order) < 2 * LEAST:
            return None
        is_measured = order % 2 == 0
        (jump,) = changes_of_shares([accuracy.of(~is_measured)], steps, seed, n_resamples)
        since, after = (jump.last if jump.shape == JUMP else nan), JUMP
    if isnan(since) or since >= steps[-1]:
        return None
    measured, place = accuracy.of(is_measured), list(steps).index(since)
    columns = (measured.above[:, -1], measured.below[:, -1], measured.above[:, place], measured.below[:, place])
    return LateGain(since=since, after=after, gain=ratio_difference_over_groups(*columns))
