"""Settings of a profile."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ...generation import Sampling
from ...rundir import InputError, brief


@dataclass(frozen=True, kw_only=True)
class ProfileSettings:
    """Hold how much is sampled.

    Attributes:
        sampling: Of all models; `n_samples` responses are drawn to each question, two or more: the control compares
            every other one of the base's with those between.
        n_test: Problems, at most.
        n_rows: Responses that are written together; results depend on it by rounding alone.
        seed: Of all draws.
    """

    sampling: Sampling = field(
        default_factory=lambda: Sampling(n_samples=4, temperature=1.0, top_p=1.0, max_new_tokens=287)
    )
    n_test: int = 200
    n_rows: int = 250
    seed: int = 0

    __repr__ = brief

    def __post_init__(self) -> None:
        if min(self.n_test, self.n_rows) < 1:
            raise InputError(f"problems and rows are counted from 1: not {self.n_test} problems and {self.n_rows} rows")
        if self.sampling.n_samples < 2:
            raise InputError(
                "a profile compares the base with itself, and needs two responses to each question for that: give "
                "2 samples or more, and a temperature above 0"
            )

    def quicker(self) -> ProfileSettings:
        """Return the same on a quarter of the problems."""
        return replace(self, n_test=max(2, self.n_test // 4))
