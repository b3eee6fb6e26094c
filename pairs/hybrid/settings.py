"""What a hybrid experiment is asked to do, beside its pairs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from ...activations.layers import layer_numbers, parse_layers
from ...generation import Sampling
from ...models import LanguageModel
from ...rundir import InputError, brief, names_of
from ...vectors.steering.sentence_ends import check_decay
from .arms import ALL, ARMS, REQUIRED
from .gate import gate_named

MechanismName = Literal["optimised", "mean-difference", "joint"]
StrengthName = Literal["constant", "per-behaviour", "network"]
MECHANISMS: tuple[str, ...] = get_args(MechanismName)
STRENGTHS: tuple[str, ...] = get_args(StrengthName)
FREE = ("arms", "n_seeds", "n_rows")  # what may change when a run is resumed


def default_arms() -> tuple[str, ...]:
    """List the arms that run where none are named: those that a verdict requires."""
    return tuple(name for name, arm in ARMS.items() if arm.by_default)


@dataclass(frozen=True, kw_only=True)
class HybridSettings:
    """How hybrids are made, tuned and measured."""

    # "all": every one; by default those that a verdict requires (docs/verdicts.md).
    arms: tuple[str, ...] = field(default_factory=default_arms)
    mechanism: MechanismName = "optimised"  # how vectors are found (`vector_stage.py`)
    gate: str = "disagreement"  # when the hybrid steers: disagreement, boundary, or divergence:NATS (`gate.py`)
    # Share of its dose that each further token of the sentence gets (`through.py`); 0: the tokens of the gate alone.
    through: float = 0.0
    strength_by: StrengthName = "constant"  # how strongly (`strength.py`, `coefficient.py`)
    # Blocks to try: "all", "0,4,10:20:2", or numbers, negative ones from the end; None: a quarter, a half and three
    # quarters of the way up.
    layers: str | tuple[int, ...] | None = None
    strengths: tuple[float, ...] = (0.5, 1.0, 1.5)  # to try, in mean residual norms; of a network's, multiples
    kl_limit_nats: float = 1.0  # a token written, of steered base from base: layers and strengths beyond it are dropped
    boosts: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)  # of the first words' logits in nats, to try in word-boost
    thresholds: tuple[float, ...] = (-2.0, 0.0, 2.0)  # log odds above which the probe gate opens, to try
    n_train: int = 400  # problems on which the thinking model writes
    n_validation: int = 150  # on which layer, strength and threshold are chosen
    n_test: int = 1000
    n_seeds: int = 3  # of arms that need several
    # Sampled, not greedy: what reward changes are rates, and the likeliest words of a base may lack nothing.
    rollout: Sampling = field(
        default_factory=lambda: Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=287)
    )
    sampling: Sampling = field(
        default_factory=lambda: Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=287)
    )
    cache_gigabytes: float = 4.0  # for keys and values of rollouts while vectors and strengths are found
    n_rows: int = 250  # problems that are decoded together, and kept together
    seed: int = 0

    __repr__ = brief

    def __post_init__(self) -> None:
        object.__setattr__(self, "arms", names_of(self.arms, "arms"))
        if ALL in self.arms:
            object.__setattr__(self, "arms", (*ARMS, *(arm for arm in self.arms if arm != ALL)))
        unknown = [arm for arm in self.arms if arm not in ARMS]
        if unknown:
            raise InputError(f"there is no arm {unknown[0]!r}; there are {', '.join(ARMS)}, and {ALL} for every one")
        if self.mechanism not in MECHANISMS:
            raise InputError(f"there is no mechanism {self.mechanism!r}; there are {', '.join(MECHANISMS)}")
        if self.strength_by not in STRENGTHS:
            raise InputError(f"there is no strength by {self.strength_by!r}; there are {', '.join(STRENGTHS)}")
        gate_named(self.gate, None)
        check_decay(self.through)
        if isinstance(self.layers, str):
            parse_layers(self.layers, 10_000)  # how it is written; which blocks there are, the model knows
        elif self.layers is not None:
            object.__setattr__(self, "layers", layer_numbers(self.layers))
        if min(self.n_train, self.n_validation, self.n_test, self.n_seeds, self.n_rows) < 1:
            raise InputError("problems to train, to choose and to test on, seeds and rows are each at least 1")
        if not self.cache_gigabytes > 0:
            raise InputError(f"a cache has room for something, and {self.cache_gigabytes} GB is none")
        for number in (*self.strengths, *self.boosts, *self.thresholds):
            if not math.isfinite(number):
                raise InputError(f"strengths, boosts and thresholds are numbers, and {number} is none")
        if not self.kl_limit_nats > 0:
            raise InputError(f"the limit of KL must be a number of nats above 0, and {self.kl_limit_nats} is not")
        if not self.strengths or not self.boosts or not self.thresholds:
            raise InputError("a hybrid needs at least one strength, one boost and one threshold to try")
        object.__setattr__(self, "arms", tuple(arm for arm in ARMS if arm in (*REQUIRED, *self.arms)))

    @classmethod
    def quick(cls, **options: Any) -> HybridSettings:
        """Choose fewer problems, and one seed of each arm.

        Args:
            options: Settings that are otherwise than in the quick run.
        """
        quick: dict[str, Any] = {"n_train": 200, "n_validation": 100, "n_test": 200, "n_seeds": 1}
        return cls(**(quick | options))

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """List the blocks of a model that are tried, counted from 0.

        Raises:
            InputError: The model has no such block.
        """
        layers = self.layers or usual_layers(model.n_layers)
        if isinstance(layers, str):
            layers = tuple(parse_layers(layers, model.n_layers))
        return tuple(dict.fromkeys(model.layer_index(layer) for layer in layers))

    def compared(self) -> dict[str, Any]:
        """List the settings that a resumed run must have in common with the earlier one."""
        return {name: value for name, value in asdict(self).items() if name not in FREE}

    def free(self) -> dict[str, Any]:
        """List the settings that may change when a run is resumed."""
        return {name: getattr(self, name) for name in FREE}


def usual_layers(n_layers: int) -> list[int]:
    """List the blocks a quarter, a half and three quarters of the way up."""
    return sorted({max(round(n_layers * share) - 1, 0) for share in (0.25, 0.5, 0.75)})
