"""Settings of a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from ...generation import Sampling
from ...rundir import InputError, brief, seed_of, whole_number

ClockName = Literal["wall", "processor"]
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}


@dataclass(frozen=True, kw_only=True)
class VerdictSettings:
    """Hold how much time there is, and how models write.

    Attributes:
        budget_seconds: That all pieces may take together. More in a later call goes on from what was measured.
        clock: What counts: `wall` time, or time of the `processor` in this process, where others are at work on the
            machine as well and no GPU is.
        plans: Behaviours whose sentences say what will be done (`ExchangeSettings`).
        sampling: Of all models; how many responses are drawn is up to the pieces.
        n_test: Problems that are answered in an exchange, at most.
        n_rows: Responses that are written together; results depend on it by rounding alone.
        seed: Of all draws.
    """

    budget_seconds: float = 600.0
    clock: ClockName = "wall"
    plans: tuple[str, ...] = ("subgoal-setting",)
    sampling: Sampling = field(
        default_factory=lambda: Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=287)
    )
    n_test: int = 800
    n_rows: int = 250
    seed: int = 0

    __repr__ = brief

    def __post_init__(self) -> None:
        if not 0 < self.budget_seconds < float("inf"):
            raise InputError(f"a budget is some time, and {self.budget_seconds} seconds are none: give 10m, 90s or 2h")
        if self.clock not in CLOCKS:
            raise InputError(f"there is no clock {self.clock!r}; there are {', '.join(CLOCKS)}")
        if not isinstance(self.sampling, Sampling) or self.sampling.is_greedy:
            raise InputError(
                "a verdict is read from samples that differ, and greedily a model has but one; choose a temperature "
                "above 0"
            )
        whole_number(self.n_test, "n_test", 2)
        whole_number(self.n_rows, "n_rows")
        seed_of(self.seed)
