"""Define the settings of a search for layer and strength."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...generation import Sampling
from ...rundir import InputError, brief
from ...traces import Template
from ...vectors.steering.sentence_ends import SENTENCES
from .settings import EffectSettings


@dataclass(frozen=True, kw_only=True)
class FindSettings:
    """Settings of `steer_find`: what is tried, within which limit, and sampling."""

    behaviours: tuple[str, ...] | None = None  # whose layer and strength are sought; None means all
    layers: str | tuple[int, ...] | None = None  # 0-based blocks, "0,4,10:20:2"; None: all of the directions
    strengths: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0)  # in units of the mean residual norm
    kl_limit_nats: float = 1.0  # a token written, of the steered model from the unsteered one
    n_problems: int = 50  # most problems to answer
    operation: str = "add"
    when: str = SENTENCES  # steered tokens: as `steer` takes them
    template: Template = "auto"
    sampling: Sampling = field(default_factory=lambda: Sampling(n_samples=1, max_new_tokens=287))
    seed: int = 0  # of sampling and problems

    __repr__ = brief

    def __post_init__(self) -> None:
        same = ("behaviours", "layers", "strengths", "n_problems", "operation", "when")
        checked = EffectSettings(**{name: getattr(self, name) for name in same})
        object.__setattr__(self, "behaviours", checked.behaviours)
        object.__setattr__(self, "layers", checked.layers)
        if not self.kl_limit_nats > 0:
            raise InputError(f"the limit of KL must be a number of nats above 0, and {self.kl_limit_nats} is not")
        if 0 in self.strengths:
            raise InputError("a strength of 0 steers nothing: leave it out of the strengths to try")
