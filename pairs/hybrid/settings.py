"""What a hybrid experiment is asked to do, beside its pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from ...generation import Sampling
from ...rundir import InputError
from .arms import ARMS, QUICK
from .gate import gate_named

MECHANISMS = ("optimised", "mean-difference", "joint")
STRENGTHS = ("constant", "per-behaviour", "network")


@dataclass(frozen=True, kw_only=True)
class HybridSettings:
    """How hybrids are made, tuned and measured."""

    arms: tuple[str, ...] = tuple(ARMS)
    mechanism: Literal["optimised", "mean-difference", "joint"] = "optimised"  # how vectors are found (`training.py`)
    gate: str = "disagreement"  # when the hybrid steers: disagreement, boundary, or divergence:NATS (`gate.py`)
    strength: Literal["constant", "per-behaviour", "network"] = "constant"  # how much (`strength.py`, `coefficient.py`)
    layers: tuple[int, ...] | None = None  # blocks to try; None: a quarter, a half and three quarters of the way up
    strengths: tuple[float, ...] = (
        0.5,
        1.0,
        1.5,
    )  # to try, in mean residual norms; of a network's strengths, multiples
    thresholds: tuple[float, ...] = (-2.0, 0.0, 2.0)  # log odds above which the probe gate opens, to try
    n_train: int = 400  # problems on which the thinking model writes
    n_validation: int = 150  # on which layer, strength and threshold are chosen
    n_test: int = 1000
    n_seeds: int = 3  # of random vectors
    rollout: Sampling = field(
        default_factory=lambda: Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=112)
    )
    sampling: Sampling = field(default_factory=lambda: Sampling(n_samples=1, temperature=0.0, max_new_tokens=112))
    cache_gigabytes: float = 4.0  # for keys and values of rollouts while vectors and strengths are found
    n_rows: int = 250  # problems that are decoded together, and kept together
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [arm for arm in self.arms if arm not in ARMS]
        if unknown:
            raise InputError(f"there is no arm {unknown[0]!r}; there are {', '.join(ARMS)}")
        if self.mechanism not in MECHANISMS:
            raise InputError(f"there is no mechanism {self.mechanism!r}; there are {', '.join(MECHANISMS)}")
        if self.strength not in STRENGTHS:
            raise InputError(f"there is no strength {self.strength!r}; there are {', '.join(STRENGTHS)}")
        gate_named(self.gate, None)
        if min(self.n_train, self.n_validation, self.n_test, self.n_seeds, self.n_rows) < 1:
            raise InputError("problems to train, to choose and to test on, seeds and rows are each at least 1")
        if not self.cache_gigabytes > 0:
            raise InputError(f"a cache has room for something, and {self.cache_gigabytes} GB is none")
        for number in (*self.strengths, *self.thresholds):
            if not math.isfinite(number):
                raise InputError(f"strengths and thresholds are numbers, and {number} is none")
        if not self.strengths or not self.thresholds:
            raise InputError("a hybrid needs at least one strength and one threshold to try")
        needed = ("base", "thinking", "hybrid")
        object.__setattr__(self, "arms", tuple(arm for arm in ARMS if arm in (*needed, *self.arms)))

    @classmethod
    def quick(cls, **options: Any) -> HybridSettings:
        """The arms without which the figure means nothing, on fewer problems."""
        given: dict[str, Any] = {"arms": QUICK, "n_test": 200, "n_seeds": 1}
        return cls(**(given | options))
