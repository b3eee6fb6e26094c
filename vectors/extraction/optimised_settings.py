"""What the search for optimised vectors is asked to do, beside its model, traces and layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ...rundir import InputError
from ...traces import Template


@dataclass(frozen=True, kw_only=True)
class OptimisedSettings:
    """A dose is a vector's length in units of the mean residual norm at its layer."""

    behaviours: tuple[str, ...] | None = None  # None: every label that is in enough problems
    where: Literal["before", "sentence"] = "before"
    # before: added at the last token before a sentence, so that it means "about to start"
    # sentence: added there and at every token of the sentence that predicts another one
    bias: bool = False  # first a vector for all sentences of all behaviours; frozen, and behaviours' vectors on top
    bias_only: bool = False  # with `bias`: nothing but the general vector
    max_dose: float = 1.0  # longest a vector may become
    step: float = 0.05  # dose by which one step can move a vector at most (Adam's rate, for the whole vector)
    max_steps: int = 200
    check_every: int = 10  # steps between two looks at the held-out problems
    patience: int = 3  # looks without a gain after which a vector is done
    n_folds: int = 5  # one of so many parts of the problems is held out, to stop by
    sentences_per_step: int = 8  # of each behaviour
    max_spans: int = 256  # of each behaviour, drawn at random
    max_target_tokens: int = 32  # of a sentence; what follows is left out
    n_random: int = 3  # vectors of random direction and the same lengths, for comparison
    n_resamples: int = 0  # of the training problems, each with a vector of its own, for the bootstrap cosine
    tokens_per_batch: int = 4096  # of a forward pass, padding included
    cache_gigabytes: float = 4.0  # for what stands before sentences, run once; 0: run with every step
    template: Template = "auto"
    truncate: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (
            *("max_steps", "check_every", "patience", "sentences_per_step", "max_spans", "max_target_tokens"),
            *("n_random", "tokens_per_batch"),
        ):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, and {getattr(self, name)} is not")
        for name in ("max_dose", "step"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} is a dose above 0, and {getattr(self, name)} is not")
        if self.bias_only and not self.bias:
            raise InputError("bias_only keeps the general vector alone, and without `bias` there is none")
        if self.n_resamples < 0:
            raise InputError(f"n_resamples must not be below 0, and {self.n_resamples} is")
        if self.where not in ("before", "sentence"):
            raise InputError(f"a vector is added `before` a sentence or along the `sentence`, not {self.where!r}")
