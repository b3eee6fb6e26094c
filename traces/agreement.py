"""Measure how far two graders agree about the same responses.

The share of responses on which both agree, and Cohen's kappa (`stats.cohen_kappa_over_groups`), which is 1 for perfect
agreement and 0 for agreement by chance. Two graders that always give one and the same grade have no kappa.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..rundir import InputError, brief
from ..stats import cohen_kappa_over_groups, proportion_over_groups, without_nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The agreement of one grader with another; intervals are 95%, over problems."""

    n: int  # responses that both graded
    n_ungraded: int  # responses that one of them did not grade
    share: float  # of the responses on which both agree
    share_low: float
    share_high: float
    kappa: float
    kappa_low: float
    kappa_high: float
    n_only_first: int  # right by the first grader only
    n_only_second: int  # right by the second grader only

    __repr__ = brief

    def to_json(self) -> dict[str, Any]:
        """Convert to a dictionary with None for what is not known."""
        return {name: without_nan(value) if isinstance(value, float) else value for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return (
            f"the same on {self.share:.1%} [{self.share_low:.1%}, {self.share_high:.1%}], kappa {self.kappa:.2f} "
            f"[{self.kappa_low:.2f}, {self.kappa_high:.2f}] (n = {self.n}, {self.n_ungraded} not graded)"
        )


def agreement(
    first: Sequence[bool | None], second: Sequence[bool | None], problems: Sequence[str] | None = None
) -> Agreement:
    """Compare two graders of the same responses.

    Args:
        first: Whether each response is right by the first grader; None where it gave no grade.
        second: The same by the second grader.
        problems: The problem of each response; responses of one are resampled together. None: each is one of its own.

    Returns:
        The share of agreement and kappa, with intervals.

    Raises:
        InputError: The lists differ in length, or no response was graded by both.
    """
    if len(first) != len(second):
        raise InputError(f"graders are compared on the same responses, and graded {len(first)} and {len(second)}")
    if problems is not None and len(problems) != len(first):
        raise InputError(f"each response has one problem, and there are {len(first)} and {len(problems)}")
    graded = [row for row, grades in enumerate(zip(first, second, strict=True)) if None not in grades]
    both = [(first[row], second[row]) for row in graded]
    if not both:
        raise InputError(f"none of {len(first)} responses was graded by both: there is nothing to compare")
    n = len(both)
    groups = graded if problems is None else [problems[row] for row in graded]
    share = proportion_over_groups(np.array([a == b for a, b in both]), groups)
    codes = np.array(both, dtype=np.int64)  # (n, 2)
    kappa = cohen_kappa_over_groups(codes[:, 0], codes[:, 1], groups)
    return Agreement(
        n=n,
        n_ungraded=len(first) - n,
        **share.columns("share"),
        **kappa.columns("kappa"),
        n_only_first=both.count((True, False)),
        n_only_second=both.count((False, True)),
    )
