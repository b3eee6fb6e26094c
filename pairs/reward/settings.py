"""Settings of the training of vectors by reward."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ...generation import Sampling
from ...rundir import InputError, brief

Form = Literal["any", "line", "number"]


@dataclass(frozen=True, kw_only=True)
class RewardSettings:
    """Hold how vectors are trained, and on how much they are measured.

    Attributes:
        layers: Blocks that get a vector, as `all` or `0,4,-1`.
        steps: Steps of the optimiser, each on new responses.
        problems: Groups of a step.
        samples: Responses of a group.
        learning_rate: At its peak: what a coordinate moves in a step, in units of the size of a coordinate of the
            residual stream at the block.
        kl_weight: Of the KL to the base, in reward for each nat a token; 0: it is measured only.
        form: The form without which an answer earns nothing: `number` (a bare number, nothing else), `line` (the first
            line is one), or `any`.
        partial: What a right answer in another form earns all the same, of 1: without it, a base that is never right in
            form has nothing to learn from.
        sampling: Of all responses, in training and where accuracy is measured; `n_samples` of each test problem.
        n_train: Problems to train on, asked again from the first where they run out.
        n_test: Problems on which everything is measured, at most.
        ablations: Trained blocks of which the vector is tried alone, and left out, as `layers`; `none`.
        n_random: Draws of random vectors of the same norms.
        n_rows: Responses that are written together; results depend on it by rounding alone.
        seed: Of all draws.
    """

    layers: str = "all"
    steps: int = 60
    problems: int = 8
    samples: int = 8
    learning_rate: float = 0.02
    kl_weight: float = 0.0
    form: Form = "any"
    partial: float = 0.0
    sampling: Sampling = field(
        default_factory=lambda: Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=287)
    )
    n_train: int = 1000
    n_test: int = 200
    ablations: str = "all"
    n_random: int = 2
    n_rows: int = 250
    seed: int = 0

    __repr__ = brief

    def __post_init__(self) -> None:
        counts = {name: getattr(self, name) for name in ("steps", "problems", "n_train", "n_rows")}
        wrong = [name for name, value in counts.items() if value < 1]
        if wrong or self.samples < 2 or self.n_test < 2 or self.n_random < 0:
            counts |= {name: getattr(self, name) for name in ("samples", "n_test", "n_random")}
            raise InputError(
                f"steps, problems, n_train and n_rows are counted from 1, samples and n_test from 2 (a group needs two "
                f"responses to differ), n_random from 0: not {counts}"
            )
        if not self.learning_rate > 0 or not self.kl_weight >= 0:
            raise InputError(
                f"a learning rate is above 0 and the weight of the KL at least 0, not {self.learning_rate} and "
                f"{self.kl_weight}"
            )
        if self.sampling.is_greedy or self.sampling.top_p < 1:
            raise InputError(
                f"responses are sampled from the whole distribution of the model, whose gradient it is: temperature "
                f"above 0 and top_p 1, not {self.sampling.temperature} and {self.sampling.top_p}"
            )
        if not 0 <= self.partial <= 1:
            raise InputError(f"a right answer in another form earns a share of 1, 0 to 1, and not {self.partial}")
        if self.form not in ("any", "line", "number"):
            raise InputError(f"there is no form {self.form!r} of answers; there are any, line, number")
