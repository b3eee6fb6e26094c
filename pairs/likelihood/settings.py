"""Settings of a likelihood measurement."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ...generation import Sampling
from ...rundir import InputError, brief

RANKS = (1, 5, 10)  # among so many likeliest tokens of the reader


@dataclass(frozen=True, kw_only=True)
class LikelihoodSettings:
    """Hold how much is sampled and read.

    Attributes:
        sampling: Of both models; `n_samples` responses are drawn to each question, and all are matched.
        n_read: Of these, so many of each question are read by both models.
        n_test: Problems, at most.
        n_rows: Responses that are written together; results depend on it by rounding alone.
        has_vectors: Whether a vector for each behaviour is optimised in the base as well, to see to which loss it gets.
        seed: Of all draws.
    """

    sampling: Sampling = field(
        default_factory=lambda: Sampling(n_samples=16, temperature=1.0, top_p=1.0, max_new_tokens=287)
    )
    n_read: int = 2
    n_test: int = 100
    n_rows: int = 250
    has_vectors: bool = False
    seed: int = 0

    __repr__ = brief

    def __post_init__(self) -> None:
        if min(self.n_read, self.n_test, self.n_rows) < 1:
            raise InputError(
                f"responses, problems and rows are counted from 1: not {self.n_read} responses that are read, "
                f"{self.n_test} problems, {self.n_rows} rows"
            )

    def quicker(self) -> LikelihoodSettings:
        """Return the same on a quarter of the problems, with half as many responses."""
        n_samples = max(1, self.sampling.n_samples // 2)
        return replace(
            self,
            n_test=max(2, self.n_test // 4),
            sampling=replace(self.sampling, n_samples=n_samples),
            n_read=min(self.n_read, n_samples),
        )
