"""The profile of one model: rates and transitions of its behaviours, and how they differ from the base's."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan

from ...rundir import brief
from ...stats import Interval
from .policy import Count, Policy

RATE = ""  # in the place of the behaviour before


@dataclass(frozen=True, slots=True)
class Share:
    """A rate or a transition.

    Attributes:
        before: The behaviour that is followed; empty: this is a rate.
        behaviour: The behaviour, or what follows.
        share: Of sentences, or of what follows.
        difference: From the base, on the same problems; NaN for the base itself and where either has none.
    """

    before: str
    behaviour: str
    share: Interval
    difference: Interval

    __repr__ = brief

    @property
    def is_changed(self) -> bool:
        """Whether the difference from the base is away from 0 by its interval."""
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProfile:
    """The profile of one model.

    Attributes:
        model: Its name.
        responses: Which were counted: `all`, `right` or `wrong`.
        sentences: Of a response.
        n_responses: That were counted.
        accuracy: Of all of the model's responses.
        shares: Rates, then transitions.
    """

    model: str
    responses: str
    sentences: Interval
    n_responses: int
    accuracy: Interval
    shares: tuple[Share, ...]

    LOOK = ".shares, .accuracy"
    __repr__ = brief

    def rate(self, behaviour: str) -> Share:
        """Give the rate of a behaviour."""
        return next(share for share in self.shares if (share.before, share.behaviour) == (RATE, behaviour))

    def transition(self, before: str, behaviour: str) -> Share:
        """Give how often one behaviour follows another."""
        return next(share for share in self.shares if (share.before, share.behaviour) == (before, behaviour))

    @property
    def n_differing(self) -> tuple[int, int]:
        """How many shares differ from the base's by their intervals, and of how many."""
        compared = [share for share in self.shares if not isnan(share.difference.low)]
        return sum(share.is_changed for share in compared), len(compared)


def profile_of(
    model: str, responses: str, accuracy: Interval, policy: Policy, base: Policy | None = None
) -> ModelProfile:
    """Make a profile of a policy.

    Args:
        model: Whose it is.
        responses: Which of its responses were counted.
        accuracy: Of all of them.
        policy: Of these.
        base: Of the base's responses of the same kind; None: this is the base.

    Returns:
        Rates and transitions, with their differences from the base.
    """
    shares = [_share(RATE, name, policy.rate(name), base.rate(name) if base else None) for name in policy.behaviours]
    for before, after in dict.fromkeys([*policy.transitions, *(base.transitions if base else ())]):
        count = policy.transition(before, after)
        shares.append(_share(before, after, count, base.transition(before, after) if base else None))
    return ModelProfile(
        model=model,
        responses=responses,
        sentences=policy.sentences,
        n_responses=int(policy.n_responses.sum()),
        accuracy=accuracy,
        shares=tuple(shares),
    )


def _share(before: str, behaviour: str, count: Count, other: Count | None) -> Share:
    difference = count.less(other) if other else Interval(nan, n=len(count.chances))
    return Share(before, behaviour, count.interval, difference)
