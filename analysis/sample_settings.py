"""Define the settings of `sample`."""

from __future__ import annotations

from dataclasses import dataclass

from ..generation import Sampling
from ..generation.engines import Manner
from ..rundir import InputError, brief, members_of, seed_of, shown, whole_number
from ..traces import Template


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """Settings of `sample`: how many problems and samples, and how they are drawn."""

    n_samples: int = 4  # responses to each problem; greedily they would all be one, so one is drawn
    n_problems: int = 200  # the first so many of the problem set, at most
    temperature: float = 1.0  # what logits are divided by; 0: greedy
    top_p: float = 1.0  # probability of the likeliest tokens among which is drawn; 1: all tokens
    max_new_tokens: int = 1024
    template: Template = "auto"  # whether prompts go through the chat template
    system: str = ""  # what the system is told before each problem
    stop: tuple[str, ...] = ()  # texts that end a response; they are cut off
    seed: int = 0
    n_rows: int = 128  # prompts that are run together; changes nothing but rounding

    __repr__ = brief

    def __post_init__(self) -> None:
        whole_number(self.n_samples, "n_samples")
        whole_number(self.n_problems, "n_problems")
        whole_number(self.n_rows, "n_rows")
        seed_of(self.seed)
        if not isinstance(self.system, str):
            raise InputError(f"system takes a text, and {shown(self.system)} is none")
        remedy = "give the texts that end a response: ['Question:']"
        object.__setattr__(self, "stop", members_of(self.stop, str, "stop", remedy))
        if "" in self.stop:
            raise InputError(f"stop holds an empty text, which would end every response at once: {remedy}")
        if self.sampling.n_samples < self.n_samples:
            object.__setattr__(self, "n_samples", 1)

    @property
    def sampling(self) -> Sampling:
        """How each response is drawn."""
        return Sampling(
            n_samples=self.n_samples,
            temperature=self.temperature,
            top_p=self.top_p,
            max_new_tokens=self.max_new_tokens,
        )

    @property
    def manner(self) -> Manner:
        """The same for an engine."""
        return Manner(
            sampling=self.sampling, seed=self.seed, template=self.template, system=self.system, stop=self.stop
        )
