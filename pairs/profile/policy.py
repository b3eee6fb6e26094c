"""Which behaviours a model shows, and which follows which: its policy over sentences.

    rate(a)             sentences that show a / all sentences
    transition(a, b)    times that b follows a / times that anything follows a, beginning and end of a response included

Each is a ratio of sums over problems, with an interval over them. Two models are compared on the same problems, which
are resampled together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ...rundir import brief
from ...stats import Interval, ratio_difference_over_groups, ratio_over_groups

START, END = "(start)", "(end)"
ALL, RIGHT, WRONG = "all", "right", "wrong"  # responses

LEAST_PROBLEMS = 10  # in which both have chances, for a difference

Behaviours = Sequence[str]  # of one response, in order


@dataclass(frozen=True, slots=True)
class Count:
    """How often something was, of how many times that it could have been, problem by problem."""

    times: Float[np.ndarray, " n_problems"]
    chances: Float[np.ndarray, " n_problems"]

    @property
    def interval(self) -> Interval:
        """The share, over problems; NaN where it could never have been."""
        if not self.chances.any():
            return Interval(float("nan"), n=len(self.chances))
        return ratio_over_groups(self.times, self.chances)

    def less(self, other: Count) -> Interval:
        """Compute by how much this share is above another one of the same problems.

        Args:
            other: The share that is subtracted.

        Returns:
            The difference; NaN where either has chances in fewer than `LEAST_PROBLEMS` problems, since what resampling
            cannot vary looks sure.
        """
        if min(np.count_nonzero(self.chances), np.count_nonzero(other.chances)) < LEAST_PROBLEMS:
            return Interval(float("nan"), n=len(self.chances))
        return ratio_difference_over_groups(self.times, self.chances, other.times, other.chances)


@dataclass(frozen=True, eq=False)
class Policy:
    """The behaviours of a model's responses.

    Attributes:
        behaviours: All that are counted, in their order.
        follows: How often each of (start) and the behaviours is followed by each of the behaviours and (end).
        n_responses: To each problem.
    """

    behaviours: tuple[str, ...]
    follows: Float[np.ndarray, "n_problems n_before n_after"]
    n_responses: Float[np.ndarray, " n_problems"]

    __repr__ = brief

    def rate(self, behaviour: str) -> Count:
        """Count the sentences that show a behaviour."""
        shown = self.follows[:, 1:].sum(axis=2)  # (problems, behaviours): each is followed by something once
        return Count(shown[:, self.behaviours.index(behaviour)], shown.sum(axis=1))

    def transition(self, before: str, after: str) -> Count:
        """Count how often one behaviour follows another."""
        row = self.follows[:, (START, *self.behaviours).index(before)]
        return Count(row[:, (*self.behaviours, END).index(after)], row.sum(axis=1))

    @property
    def transitions(self) -> list[tuple[str, str]]:
        """What follows what at least once."""
        counts = self.follows.sum(axis=0)
        return [
            (before, after)
            for row, before in enumerate((START, *self.behaviours))
            for column, after in enumerate((*self.behaviours, END))
            if counts[row, column]
        ]

    @property
    def sentences(self) -> Interval:
        """Sentences of a response."""
        return Count(self.follows[:, 1:].sum(axis=(1, 2)), self.n_responses).interval


def policy_of(responses: Mapping[str, Sequence[Behaviours]], behaviours: Sequence[str]) -> Policy:
    """Count the behaviours of some responses.

    Args:
        responses: Problem -> behaviours of each response to it; problems without any count nothing.
        behaviours: All that are counted, in their order.

    Returns:
        The policy.
    """
    rows = {name: place for place, name in enumerate((START, *behaviours))}
    columns = {name: place for place, name in enumerate((*behaviours, END))}
    follows = np.zeros((len(responses), len(rows), len(columns)))
    for number, of_problem in enumerate(responses.values()):
        for response in of_problem:
            before, after = [START, *response], [*response, END]
            np.add.at(follows[number], ([rows[name] for name in before], [columns[name] for name in after]), 1)
    n_responses = np.array([len(of_problem) for of_problem in responses.values()], dtype=np.float64)
    return Policy(tuple(behaviours), follows, n_responses)
