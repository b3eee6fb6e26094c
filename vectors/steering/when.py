"""Which tokens are steered.

    all             every token, of prompt and response
    from:N          every token from the N-th of its row on, counted from 0
    prompt          the tokens of the prompt
    response        the tokens at which the response is chosen: the last of the prompt, whose output is the first
                    token of the response, and every token of the response
    response:N      the same but for the first N of them

Positions count the real tokens of a row: padding is never steered, and cached steps go on where the last one ended. The
last token of the prompt belongs to both sides: a tool that leaves it out never steers the first token it generates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool
from torch import Tensor

from ...rundir import InputError
from .step import Step

Side = Literal["all", "prompt", "response"]


@dataclass(frozen=True, slots=True)
class When:
    """The tokens of one side, but for its first `skip`."""

    side: Side = "all"
    skip: int = 0

    def __post_init__(self) -> None:
        if self.side not in ("all", "prompt", "response") or self.skip < 0:
            raise InputError(
                f"tokens are skipped on all, prompt or response, 0 or more; not {self.skip} on {self.side!r}"
            )

    @classmethod
    def all(cls) -> When:
        return cls()

    @classmethod
    def from_token(cls, position: int) -> When:
        return cls("all", position)

    @classmethod
    def prompt(cls) -> When:
        return cls("prompt")

    @classmethod
    def response(cls, skip: int = 0) -> When:
        return cls("response", skip)

    @classmethod
    def parse(cls, text: str) -> When:
        """What `str(when)` writes. Raises InputError for anything else."""
        name, _, number = text.partition(":")
        try:
            match name, number:
                case "all" | "prompt" | "response", "":
                    return cls(name)
                case "from", _:
                    return cls.from_token(int(number))
                case "response", _:
                    return cls.response(int(number))
        except ValueError:
            pass
        raise InputError(
            f"unknown tokens {text!r} to steer: use all, prompt, response, response:N or from:N (N from 0)"
        )

    @property
    def needs_prompt(self) -> bool:
        """Whether it must be known where the prompt ends."""
        return self.side != "all"

    def of(self, step: Step) -> Bool[Tensor, "rows tokens"]:
        """The tokens of a forward pass that are steered. Raises InputError where the end of the prompt is not known."""
        if self.side == "all":
            return step.is_real if not self.skip else step.is_real & (step.positions >= self.skip)
        n_prompt = step.prompt_tokens()[:, None]
        if self.side == "prompt":
            return step.is_real & (step.positions < n_prompt) & (step.positions >= self.skip)
        return step.is_real & (step.positions >= n_prompt - 1 + self.skip)

    def __str__(self) -> str:
        if self.side == "all":
            return f"from:{self.skip}" if self.skip else "all"
        return f"{self.side}:{self.skip}" if self.skip else self.side
