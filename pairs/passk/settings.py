"""Settings of pass@k."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ...generation import Sampling
from ...rundir import InputError, brief, number_between, seed_of, truth_of, whole_number
from .coverage import TAUS

N_SAMPLES = 64


@dataclass(frozen=True, kw_only=True)
class PasskSettings:
    """Hold how much is sampled, and what is estimated from it.

    Attributes:
        sampling: Of both models; `n_samples` responses are drawn to each question.
        n_test: Problems that are answered, at most.
        n_rows: Responses that are written together; results depend on it by rounding alone.
        step_by_step: Whether the base is asked to reason step by step.
        measures_chance: Whether organisms' chance is measured with the models' own words, beside the closed form.
        ks: Numbers of samples at which is estimated; None: all up to the fewest samples of any problem.
        taus: Shares of right samples, for Cover@tau.
        chance: Success rate of a sample that is a guess; None: from the problems, where it can be known.
        least_samples: Problems with fewer samples of either model are left out.
        n_resamples: Resamples of the problems.
        seed: Of all draws.
    """

    sampling: Sampling = field(
        default_factory=lambda: Sampling(n_samples=N_SAMPLES, temperature=1.0, top_p=1.0, max_new_tokens=287)
    )
    n_test: int = 100
    n_rows: int = 250
    step_by_step: bool = False
    measures_chance: bool = False
    ks: tuple[int, ...] | None = None
    taus: tuple[float, ...] = TAUS
    chance: float | None = None
    least_samples: int = 1
    n_resamples: int = 4000
    seed: int = 0

    __repr__ = brief

    def __post_init__(self) -> None:
        if not isinstance(self.sampling, Sampling):
            raise InputError(f"sampling takes a Sampling, and not {self.sampling!r:.60}; give Sampling(n_samples=128)")
        for name, least in (("n_test", 2), ("n_rows", 1), ("least_samples", 1), ("n_resamples", 100)):
            whole_number(getattr(self, name), name, least)
        for name in ("step_by_step", "measures_chance"):
            truth_of(getattr(self, name), name)
        seed_of(self.seed)
        if self.ks is not None:
            if not self.ks:
                raise InputError("ks names no number of samples; give some, such as (1, 8, 64), or None for all")
            object.__setattr__(self, "ks", tuple(whole_number(k, "ks") for k in self.ks))
        if not self.taus:
            raise InputError("taus names no share of samples; give some, such as (0.1, 0.5, 1.0)")
        for tau in self.taus:
            if number_between(tau, "taus", 0, 1) == 0:
                raise InputError("taus are above 0: at least none of the samples are right of every problem")
        if self.chance is not None:
            number_between(self.chance, "chance", 0, 1)
        if self.sampling.is_greedy:
            raise InputError(
                "pass@k needs samples that differ, and greedily a model has but one; choose a temperature above 0"
            )

    def quicker(self) -> PasskSettings:
        """Return the same with half as many problems and half as many samples of each."""
        fewer = replace(self.sampling, n_samples=max(2, self.sampling.n_samples // 2))
        return replace(self, sampling=fewer, n_test=max(2, self.n_test // 2))

    def of_responses(self) -> dict[str, Any]:
        """List the settings that decide what models write; a run with others is another run."""
        sampling = {name: value for name, value in asdict(self.sampling).items() if name != "n_samples"}
        return {"sampling": sampling, "n_test": self.n_test, "step_by_step": self.step_by_step, "seed": self.seed}

    def of_estimates(self) -> Mapping[str, Any]:
        """List the settings that may change while responses stay: how many samples, and what is estimated from them."""
        return {
            "n_samples": self.sampling.n_samples,
            **{name: getattr(self, name) for name in ("measures_chance", "ks", "taus", "chance", "least_samples")},
            "n_resamples": self.n_resamples,
        }
