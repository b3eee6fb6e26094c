"""Which problems each model solves at least once, and how reliably: coverage sets and Cover@tau.

    coverage sets   problems with a right sample of both models, of one only, of neither
    test            sign flips of pass@m of the two models, m the fewest samples of any problem: with as many samples
                    everywhere that is McNemar's exact test on the problems of one model only
    Cover@tau       share of problems of which at least tau of the samples are right (arXiv 2510.08325)

A problem without a right sample in n is not unsolvable: with a success rate up to 1 - 0.05^(1/n), about 3 / n, that
happens in 5% of experiments or more. So a problem of one model only says little by itself. `surely` counts those whose
samples differ beyond chance: Fisher's exact test, Holm's correction over all problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import hypergeom

from ...rundir import brief
from ...stats import (
    LEVEL,
    Groups,
    Interval,
    accuracy_difference_over_groups,
    accuracy_over_groups,
    holm,
    pass_curves,
    sign_flip_test_over_groups,
)
from .counts import Numbers

TAUS: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The problems that have a right sample.

    Attributes:
        both: Problems that both models solve at least once.
        only_base: Problems that the base alone does.
        only_thinking: Problems that the thinking model alone does.
        neither: Problems without a right sample.
        surely_only_base: Problems of `only_base` on which the base is better beyond chance.
        surely_only_thinking: Problems of `only_thinking` on which the thinking model is.
        difference: pass@m of the thinking model less that of the base.
        p: Of the test that they cover as many problems, two-sided.
        is_exact: Whether p is exact, or of drawn sign flips.
        m: The fewest samples of any problem.
        hidden_rate: Success rate up to which a problem goes without a right sample in m in 5% of experiments or more.
    """

    both: int
    only_base: int
    only_thinking: int
    neither: int
    surely_only_base: int
    surely_only_thinking: int
    difference: float
    p: float
    is_exact: bool
    m: int
    hidden_rate: float

    __repr__ = brief

    @classmethod
    def of(
        cls,
        base: tuple[Numbers, Numbers],
        thinking: tuple[Numbers, Numbers],
        groups: Groups | None = None,
        seed: int = 0,
    ) -> Coverage:
        """Count the problems of each set, and test.

        Args:
            base: Right samples and samples of each problem, of the base.
            thinking: The same of the thinking model.
            groups: The problem of each question; None: each is one of its own.
            seed: Of sign flips, where they cannot all be counted.

        Returns:
            The sets.
        """
        by_base, by_thinking = base[0] > 0, thinking[0] > 0
        m = int(min(base[1].min(), thinking[1].min()))
        test = sign_flip_test_over_groups(
            pass_curves(*thinking, [m])[:, 0], pass_curves(*base, [m])[:, 0], groups, seed
        )
        is_better = [holm(_better(one, other)) < 1 - LEVEL for one, other in ((base, thinking), (thinking, base))]
        only_base, only_thinking = by_base & ~by_thinking, by_thinking & ~by_base
        return cls(
            both=int((by_base & by_thinking).sum()),
            only_base=int(only_base.sum()),
            only_thinking=int(only_thinking.sum()),
            neither=int((~by_base & ~by_thinking).sum()),
            surely_only_base=int((only_base & is_better[0]).sum()),
            surely_only_thinking=int((only_thinking & is_better[1]).sum()),
            difference=test.difference,
            p=test.p,
            is_exact=test.is_exact,
            m=m,
            hidden_rate=float(1 - (1 - LEVEL) ** (1 / m)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverAt:
    """The share of problems of which at least `tau` of the samples are right; the difference is thinking less base."""

    tau: float
    base: Interval
    thinking: Interval
    difference: Interval

    __repr__ = brief


def cover_at(
    base: tuple[Numbers, Numbers],
    thinking: tuple[Numbers, Numbers],
    taus: Sequence[float],
    groups: Groups | None = None,
    seed: int = 0,
) -> tuple[CoverAt, ...]:
    """Estimate Cover@tau of the shares that were sampled.

    Args:
        base: Right samples and samples of each problem, of the base.
        thinking: The same of the thinking model.
        taus: Shares of the samples.
        groups: The problem of each question; None: each is one of its own.
        seed: Of the resamples.

    Returns:
        The estimates, in the order of `taus`.
    """
    rows = []
    for tau in taus:
        reached = [right >= tau * samples - ROUNDING * samples for right, samples in (base, thinking)]
        rows.append(
            CoverAt(
                tau=tau,
                base=accuracy_over_groups(reached[0], groups, seed),
                thinking=accuracy_over_groups(reached[1], groups, seed),
                difference=accuracy_difference_over_groups(reached[1], reached[0], groups, seed),
            )
        )
    return tuple(rows)


def _better(one: tuple[Numbers, Numbers], other: tuple[Numbers, Numbers]) -> np.ndarray:
    """Compute Fisher's one-sided p of each problem: as many right samples of one model or more, if both are alike."""
    (right, samples), (other_right, other_samples) = one, other
    p: np.ndarray = hypergeom.sf(right - 1, samples + other_samples, right + other_right, samples)
    return p
