"""Measure how few positions hold the divergence of two models, and which ones they are.

Lorenz curve, Gini coefficient and top shares of the Jensen-Shannon divergence over all positions of one model's own
texts (`stats.lorenz_over_groups`), the share of positions near zero, and for each group of positions

    lift = mean divergence in the group / mean divergence of all positions        1: as much as anywhere

with intervals over problems. Published: near zero at more than 83% to 98% of tokens (arXiv 2603.22446). Where much of
the divergence is says how the models differ, not what it is worth: for that tokens are swapped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...rundir import brief
from ...stats import Interval, lorenz_over_groups, ratio_over_groups, ratio_quotient_over_groups
from .answers import SwapAnswer
from .places import ORDERS
from .settings import TOP_SHARES

CURVE_AT = tuple(number / 20 for number in range(20)) + (0.97, 0.98, 0.99, 0.995, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDivergence:
    """The divergence in one group of positions.

    Attributes:
        dimension: What positions are grouped by.
        group: The group.
        n_tokens: Positions in it.
        token_share: Their share of all positions.
        nats: Mean Jensen-Shannon divergence of a position.
        divergence_share: Share of the divergence of all positions.
        lift: Mean divergence in units of that of all positions; NaN where the models never diverge.
    """

    dimension: str
    group: str
    n_tokens: int
    token_share: Interval
    nats: Interval
    divergence_share: Interval
    lift: Interval

    __repr__ = brief


@dataclass(frozen=True, slots=True, kw_only=True)
class Concentration:
    """How the divergence of two models is spread over one model's own texts.

    Attributes:
        writer: Whose texts they are: `base` or `thinking`.
        n_tokens: Positions.
        js: Mean Jensen-Shannon divergence of a position, nats.
        kl_thinking_base: Mean KL(thinking || base), nats.
        kl_base_thinking: Mean KL(base || thinking), nats.
        near_zero: Share of the positions whose divergence is near zero.
        gini: 0: all positions alike; near 1: one holds all. NaN where the models never diverge.
        top: Share of all divergence that the top 1, 5 and 10% of the positions hold.
        curve: Lorenz curve at `CURVE_AT`.
        groups: Where it is.
    """

    writer: str
    n_tokens: int
    js: Interval
    kl_thinking_base: Interval
    kl_base_thinking: Interval
    near_zero: Interval
    gini: Interval
    top: tuple[Interval, ...]
    curve: tuple[Interval, ...]
    groups: tuple[GroupDivergence, ...]

    __repr__ = brief

    def group(self, dimension: str, group: str) -> GroupDivergence:
        """Give one group."""
        return next(one for one in self.groups if (one.dimension, one.group) == (dimension, group))


def concentration_of(
    writer: str,
    answers: Sequence[SwapAnswer],
    problems: Sequence[str],
    places: Mapping[str, Sequence[str]],
    near_zero: float,
) -> Concentration:
    """Compute how the divergence is spread.

    Args:
        writer: Whose texts they are.
        answers: Its responses, with divergences.
        problems: That each of them answers.
        places: Dimension -> group of each position.
        near_zero: Divergence below which a position counts as near zero, nats.

    Returns:
        The figures.
    """
    names, of_answer = np.unique(np.array(problems), return_inverse=True)
    problem = np.repeat(of_answer, [len(one.js) for one in answers])  # of each position
    ones = np.ones(len(problem))
    js, forward, backward = (
        np.array([nats for one in answers for nats in getattr(one, name)], dtype=np.float64)
        for name in ("js", "kl_thinking_base", "kl_base_thinking")
    )

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(problem, values, minlength=len(names))

    n_tokens, total = sums(ones), sums(js)
    lorenz = lorenz_over_groups(js, problem, at=CURVE_AT, top=TOP_SHARES)
    groups = []
    for dimension, of_position in places.items():
        labels = np.array(of_position, dtype=object)
        for group in _in_order(dimension, of_position):
            inside = (labels == group).astype(np.float64)
            n_inside, nats = sums(inside), sums(js * inside)
            groups.append(
                GroupDivergence(
                    dimension=dimension,
                    group=group,
                    n_tokens=int(inside.sum()),
                    token_share=ratio_over_groups(n_inside, n_tokens),
                    nats=ratio_over_groups(nats, n_inside),
                    divergence_share=_share(nats, total),
                    lift=ratio_quotient_over_groups(nats, n_inside, total, n_tokens),
                )
            )
    return Concentration(
        writer=writer,
        n_tokens=len(problem),
        js=ratio_over_groups(total, n_tokens),
        kl_thinking_base=ratio_over_groups(sums(forward), n_tokens),
        kl_base_thinking=ratio_over_groups(sums(backward), n_tokens),
        near_zero=ratio_over_groups(sums((js < near_zero).astype(np.float64)), n_tokens),
        gini=lorenz.gini,
        top=tuple(lorenz.top),
        curve=tuple(lorenz.curve),
        groups=tuple(groups),
    )


def _share(part: np.ndarray, total: np.ndarray) -> Interval:
    return ratio_over_groups(part, total) if total.sum() else Interval(float("nan"), n=len(total))


def _in_order(dimension: str, of_position: Sequence[str]) -> list[str]:
    """List the groups: fifths in their order, others by size."""
    fifths = ORDERS.get(dimension, ())
    counts = Counter(of_position)
    return [fifth for fifth in fifths if fifth in counts] if fifths else [group for group, _ in counts.most_common()]
