"""Settings of a measurement of decision tokens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ...generation import Sampling
from ...rundir import InputError, brief

TOP_SHARES = (0.01, 0.05, 0.10)  # of the positions, those of the greatest divergence
RANKS = (1, 5, 10)  # among so many likeliest tokens of the model that writes
LEAST_VALIDATION = 2


@dataclass(frozen=True, kw_only=True)
class DecisionsSettings:
    """Hold what is swapped, and how much is written.

    Attributes:
        budgets: Shares of a response's tokens that the other model may say, above 0 and below 1; none at all and all of
            them are measured too.
        headline: The budget that the closing sentence is about, one of `budgets`; chosen before anything is seen.
        near_zero: Jensen-Shannon divergence below which a position counts as near zero, nats.
        n_rounds: How often thresholds are set anew from what was written with those before.
        sampling: Of both models; `n_samples` responses are written to each question by every arm.
        n_validation: Problems on which thresholds are chosen.
        n_test: Problems on which everything is measured, at most.
        n_rows: Responses that are written together; results depend on it by rounding alone.
        seed: Of all draws.
    """

    budgets: tuple[float, ...] = (0.01, 0.02, 0.04, 0.08, 0.16)
    headline: float = 0.08
    near_zero: float = 0.001
    n_rounds: int = 1
    sampling: Sampling = field(
        default_factory=lambda: Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=287)
    )
    n_validation: int = 20
    n_test: int = 100
    n_rows: int = 250
    seed: int = 0

    __repr__ = brief

    def __post_init__(self) -> None:
        object.__setattr__(self, "budgets", tuple(sorted(set(self.budgets))))
        if not self.budgets or not all(0 < budget < 1 for budget in self.budgets):
            raise InputError(
                f"budgets are shares of the tokens above 0 and below 1, not {list(self.budgets)}; none and all of them "
                "are measured anyway"
            )
        if self.headline not in self.budgets:
            raise InputError(
                f"the sentence is about one of the budgets, {', '.join(map(str, self.budgets))}, and {self.headline} "
                "is none of them"
            )
        if not self.near_zero > 0:
            raise InputError(f"a divergence is near zero below a number of nats above 0, not {self.near_zero}")
        if self.n_rounds < 0 or min(self.n_test, self.n_rows) < 1 or self.n_validation < LEAST_VALIDATION:
            raise InputError(
                f"rounds are counted from 0, problems and rows from 1, problems to choose on from {LEAST_VALIDATION}: "
                f"not {self.n_rounds} rounds, {self.n_test} problems, {self.n_rows} rows, {self.n_validation} to "
                "choose on"
            )

    def quicker(self) -> DecisionsSettings:
        """Return the same on a quarter of the test problems, with the headline's budget alone."""
        return replace(self, n_test=max(2, self.n_test // 4), budgets=(self.headline,))
