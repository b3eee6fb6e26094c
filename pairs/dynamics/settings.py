"""Settings of the dynamics of a training."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from ...activations import Read
from ...generation import Sampling
from ...rundir import InputError, brief, entry_of, number_between, seed_of, whole_number
from ...traces.encoding import Template
from .form import FORMS, FormName

Texts = Literal["base", "own", "none"]


@dataclass(frozen=True, kw_only=True)
class DynamicsSettings:
    """Hold how much is sampled at every checkpoint, and what is estimated from it.

    Attributes:
        sampling: At all steps, with the same random numbers; `n_samples` responses are drawn to each question.
        n_test: Problems that are answered, at most.
        attempts: pass@k is followed at this k beside k = 1; at most `n_samples`.
        form: How an answer has to be put; see `FORMS`. `auto`: any of them, of organisms their own.
        template: Of prompts, the same at all steps; organisms have their own.
        texts: Whose responses are read for directions and probes: the `base`'s at every step, the step's `own`, `none`.
        n_read: Responses to each question that are read.
        layer: 0-based block that is read; None: the middle one.
        direction_read: Which tokens of a sentence make directions.
        probe_read: Which tokens of a sentence are probed.
        shown: Behaviours that the figure shows: those whose rates change most. Tables hold all.
        memorised: Share of right responses from which on the training problems are memorised.
        when_at: Steps at which sentences are exchanged with the base (`exchange`), which is costly.
        n_exchanged: Problems of such an exchange, at most.
        condition: Of published tables: the runs that are read; empty: all.
        evaluations: Of published tables of problems: how many evaluations of each problem are read, and problems with
            fewer left out; None: as many as all problems have.
        n_resamples: Resamples of the problems, and permutations of the steps.
        n_rows: Responses that are written together; results depend on it by rounding alone.
        seed: Of all draws.
    """

    sampling: Sampling = field(
        default_factory=lambda: Sampling(n_samples=16, temperature=1.0, top_p=1.0, max_new_tokens=287)
    )
    n_test: int = 60
    attempts: int = 16
    form: FormName = "auto"
    template: Template = "plain"
    texts: Texts = "base"
    n_read: int = 1
    layer: int | None = None
    direction_read: str = "mean"
    probe_read: str = "before:1"
    shown: int = 4
    memorised: float = 0.9
    when_at: tuple[float, ...] = ()
    n_exchanged: int = 60
    condition: tuple[str, ...] = ()
    evaluations: int | None = None
    n_resamples: int = 1000
    n_rows: int = 250
    seed: int = 0

    __repr__ = brief

    def __post_init__(self) -> None:
        if not isinstance(self.sampling, Sampling):
            raise InputError(f"sampling takes a Sampling, and not {self.sampling!r:.60}; give Sampling(n_samples=16)")
        least = {"n_test": 2, "n_rows": 1, "attempts": 1, "n_read": 1, "shown": 1, "n_exchanged": 2, "n_resamples": 100}
        for name, smallest in least.items():
            whole_number(getattr(self, name), name, smallest)
        seed_of(self.seed)
        number_between(self.memorised, "memorised", 0, 1)
        entry_of(FORMS, self.form, "there is no form {}")
        entry_of(dict.fromkeys(get_args(Texts)), self.texts, "there are no texts {}")
        if self.evaluations is not None:
            whole_number(self.evaluations, "evaluations", 3)
        for read in (self.direction_read, self.probe_read):
            Read.parse(read)
        if self.sampling.is_greedy:
            raise InputError(
                "pass@k needs samples that differ, and greedily a model has but one; choose a temperature above 0"
            )

    def quicker(self) -> DynamicsSettings:
        """Return the same with a third of the problems and half as many samples of each."""
        n_samples = max(2, self.sampling.n_samples // 2)
        return replace(
            self,
            sampling=replace(self.sampling, n_samples=n_samples),
            attempts=min(self.attempts, n_samples),
            n_test=max(2, self.n_test // 3),
        )

    def of_responses(self) -> dict[str, Any]:
        """List the settings that decide what models write; a run with others is another run."""
        sampling = {name: value for name, value in asdict(self.sampling).items() if name != "n_samples"}
        return {"sampling": sampling, "n_test": self.n_test, "template": self.template, "seed": self.seed}

    def of_estimates(self) -> dict[str, Any]:
        """List the settings that may change while responses stay."""
        fixed = {"sampling", "n_test", "template", "seed", "n_rows"}
        estimates = {name: value for name, value in asdict(self).items() if name not in fixed}
        return {"n_samples": self.sampling.n_samples, **estimates}
