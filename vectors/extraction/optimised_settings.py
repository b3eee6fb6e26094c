"""Hold the settings of the search for optimised vectors, apart from its model, traces and layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from ...rundir import InputError
from ...traces import Template


@dataclass(frozen=True, kw_only=True)
class OptimisedSettings:
    """Settings of `optimised_directions`. A strength is a vector's length in units of the mean residual norm."""

    behaviours: tuple[str, ...] | None = None  # None: every label that occurs in enough problems
    where: Literal["before", "sentence"] = "before"
    # before: the vector is added at the last token before a sentence, so that it means "about to start"
    # sentence: it is added there and at every token of the sentence that predicts another one
    bias: bool = False  # optimise a frozen vector for all behaviours first, and add it to those of each
    bias_only: bool = False  # with `bias`: optimise nothing but that general vector
    max_strength: float = 1.0  # the longest that a vector may become
    step: float = 0.05  # the strength by which one step moves a vector at most (Adam's rate, for the whole vector)
    max_steps: int = 200
    check_every: int = 10  # steps between two measurements of the loss on stopping problems
    patience: int = 3  # measurements without improvement after which a vector is finished
    n_folds: int = 5  # the problems are split into this many parts: half of one decides when to stop, half is held out
    sentences_per_step: int = 8  # of each behaviour
    max_spans: int = 256  # of each behaviour, chosen at random
    max_target_tokens: int = 32  # of a sentence; the rest is left out
    n_random: int = 3  # vectors of random direction and the same length, for comparison
    n_resamples: int = 0  # resamples of the training problems, each with its own vector, for the bootstrap cosine
    tokens_per_batch: int = 4096  # of a forward pass, padding included
    cache_gigabytes: float = 4.0  # for the keys and values of prefixes, which then run once; 0: run them at every step
    template: Template = "auto"
    truncate: bool = False
    seed: int = 0

    @classmethod
    def of(cls, options: Mapping[str, Any], **settings: Any) -> Self:
        """Make settings of options that a user has named, beside those that the caller sets.

        Args:
            options: Name -> value.
            **settings: Settings that are no options.

        Returns:
            The settings; what is not named has its default.

        Raises:
            InputError: There is no such option, or a value cannot be taken.
        """
        known = {field.name for field in fields(cls)} - {"behaviours", "seed", "n_resamples"}
        for name in options:
            if name not in known:
                raise InputError(f"optimised has no option {name!r}; it has {', '.join(sorted(known))}")
        return cls(**settings, **options)

    def __post_init__(self) -> None:
        for name in (
            *("max_steps", "check_every", "patience", "sentences_per_step", "max_spans", "max_target_tokens"),
            *("n_random", "tokens_per_batch"),
        ):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, and {getattr(self, name)} is not")
        for name in ("max_strength", "step"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} is a strength above 0, and {getattr(self, name)} is not")
        if self.bias_only and not self.bias:
            raise InputError(
                "bias_only keeps the general vector alone, and without `bias` there is none; give bias=True"
            )
        if self.n_resamples < 0:
            raise InputError(f"n_resamples must not be below 0, and {self.n_resamples} is")
        if self.where not in ("before", "sentence"):
            raise InputError(f"a vector is added `before` a sentence or along the `sentence`, not {self.where!r}")
