"""Settings of a comparison of ways to elicit reasoning."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ...generation import Sampling
from ...rundir import InputError, brief, names_of, seed_of, whole_number
from ...traces import Template

COUNTS = {
    "n_train": 1,
    "n_validation": 2,
    "n_test": 2,
    "n_wordings": 1,
    "n_reworded": 2,
    "n_off_task": 2,
    "n_examples": 2,
    "steps": 1,
    "reward_steps": 0,
    "n_rows": 1,
}


@dataclass(frozen=True, kw_only=True)
class ElicitSettings:
    """Hold which arms run, and on how much they are prepared and measured.

    Attributes:
        arms: Their names; empty: all that the models allow.
        sampling: Of every call; `n_samples` responses of the plain prompt, from which the control takes as many as an
            arm costs.
        template: How the base is given its prompts.
        n_train: Problems that arms learn from.
        n_validation: Problems on which is chosen.
        n_test: Problems on which everything is measured, at most.
        n_wordings: Ways in which problems are put, the usual one among them; 1: no others.
        n_reworded: Test problems that are put in the other ways, at most.
        n_off_task: Texts off the task that are read, at most.
        behaviours: Whose directions are tried; None: all that there are.
        layers: Blocks to try, as `0,4,10:20:2`; None: a quarter, a half and three quarters of the way up.
        strengths: To try, in mean residual norms.
        kl_limit_nats: A token written: layers and strengths that move the base by more are dropped.
        n_examples: Responses to the one problem that fine-tuning learns from.
        steps: Of fine-tuning.
        learning_rate: Of fine-tuning, at its peak.
        reward_steps: Of vectors trained by reward, where no file of them is given; 0: none are trained.
        thinking_examples: Responses that the thinking model learnt from; None: not known.
        thinking_flops: Of its training; None: not known.
        n_rows: Prompts that are answered together; results depend on it by rounding alone.
        seed: Of all draws.
    """

    arms: tuple[str, ...] = ()
    sampling: Sampling = field(
        default_factory=lambda: Sampling(n_samples=16, temperature=1.0, top_p=1.0, max_new_tokens=287)
    )
    template: Template = "auto"
    n_train: int = 100
    n_validation: int = 40
    n_test: int = 100
    n_wordings: int = 3
    n_reworded: int = 50
    n_off_task: int = 40
    behaviours: tuple[str, ...] | None = None
    layers: str | None = None
    strengths: tuple[float, ...] = (0.5, 1.0, 1.5)
    kl_limit_nats: float = 1.0
    n_examples: int = 32
    steps: int = 40
    learning_rate: float = 1e-4
    reward_steps: int = 0
    thinking_examples: int | None = None
    thinking_flops: float | None = None
    n_rows: int = 250
    seed: int = 0

    __repr__ = brief

    def __post_init__(self) -> None:
        if not isinstance(self.sampling, Sampling):
            raise InputError(f"sampling takes a Sampling, and not {self.sampling!r:.60}; give Sampling(n_samples=16)")
        for name, least in COUNTS.items():
            whole_number(getattr(self, name), name, least)
        seed_of(self.seed)
        if self.arms:
            object.__setattr__(self, "arms", names_of(self.arms, "arms"))
        if self.behaviours is not None:
            object.__setattr__(self, "behaviours", names_of(self.behaviours, "behaviours"))
        if not self.strengths:
            raise InputError("strengths names none to try; give some, such as (0.5, 1.0)")
        if not self.learning_rate > 0 or not self.kl_limit_nats > 0:
            raise InputError(
                f"a learning rate and a limit of KL are above 0, and not {self.learning_rate:g} and "
                f"{self.kl_limit_nats:g}"
            )

    def quicker(self) -> ElicitSettings:
        """Return the same on a quarter of the problems, with half as many samples of the plain prompt."""
        sampling = replace(self.sampling, n_samples=max(1, self.sampling.n_samples // 2))
        fewer = {name: max(COUNTS[name], getattr(self, name) // 4) for name in ("n_test", "n_reworded", "n_off_task")}
        return replace(self, sampling=sampling, **fewer)

    def compared(self) -> dict[str, Any]:
        """List the settings that decide what each arm writes; a run with others is another run."""
        return {name: value for name, value in asdict(self).items() if name not in ("arms", "n_rows", *STATED)}

    def changeable(self) -> dict[str, Any]:
        """List the settings that may change while responses stay."""
        return {name: getattr(self, name) for name in ("arms", *STATED)}


STATED = ("thinking_examples", "thinking_flops")  # what the user says of the thinking model
