"""Define the settings of a sweep over strengths."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ...activations.layers import layer_numbers
from ...generation import Sampling
from ...rundir import InputError, brief, names_of
from ...traces import Template
from ...vectors.steering import OPERATIONS
from ...vectors.steering.sentence_ends import SENTENCES, check_when

N_RANDOM = 20  # fewer random directions cannot give a p-value below 0.05


@dataclass(frozen=True, kw_only=True)
class EffectSettings:
    """Settings of `steer_sweep`: behaviours, layers, strengths, controls and sampling."""

    behaviours: tuple[str, ...] | None = None  # behaviours whose directions are tried; None means all
    layers: str | tuple[int, ...] | None = None  # 0-based blocks, "0,4,10:20:2"; None: all of the directions
    strengths: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)  # in units of the mean residual norm
    n_random: int = N_RANDOM  # random directions at each layer and strength
    max_kl_nats: float | None = None  # a token of neutral text, all of them steered; stronger directions are not tried
    n_problems: int = 50  # most problems to answer
    operation: str = "add"
    when: str = SENTENCES  # steered tokens: as `steer` takes them
    template: Template = "auto"
    sampling: Sampling = field(default_factory=lambda: Sampling(n_samples=1, max_new_tokens=287))
    seed: int = 0  # of random directions, sampling and problems

    __repr__ = brief

    def __post_init__(self) -> None:
        if self.behaviours is not None:
            object.__setattr__(self, "behaviours", names_of(self.behaviours, "behaviours"))
        if self.layers is not None and not isinstance(self.layers, str):
            object.__setattr__(self, "layers", layer_numbers(self.layers))
        if not self.strengths or not all(math.isfinite(strength) for strength in self.strengths):
            raise InputError(f"strengths must be finite numbers, and {list(self.strengths)} are not")
        if self.n_random < 1 or self.n_problems < 2:
            raise InputError(
                f"a sweep needs random directions to compare with and at least two problems; not {self.n_random} and "
                f"{self.n_problems}"
            )
        if self.max_kl_nats is not None and not self.max_kl_nats > 0:
            raise InputError(f"the limit of KL must be a number of nats above 0, and {self.max_kl_nats} is not")
        if self.operation not in OPERATIONS:
            raise InputError(f"there is no operation {self.operation!r}; there are {', '.join(OPERATIONS)}")
        check_when(self.when)
