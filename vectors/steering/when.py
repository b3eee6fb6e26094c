"""Select the tokens that are steered.

    all             every token, of prompt and response
    from:N          every token from the N-th of its row on, counted from 0
    prompt          the tokens of the prompt
    response        the tokens at which the response is chosen: the last of the prompt, whose output is the first
                    token of the response, and every token of the response
    response:N      the same without the first N of them

`steer` also takes `sentences`: the tokens of the response at which a sentence is chosen, and `sentences:SHARE`: from
there to the sentence's end (`sentence_ends.py`).

Positions count the real tokens of a row: padding is never steered, and cached steps continue where the last one ended.
The last token of the prompt belongs to both sides: a tool that leaves it out never steers the first generated token.
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
    """The tokens of one side, without its first `skip`."""

    side: Side = "all"
    skip: int = 0

    def __post_init__(self) -> None:
        if self.side not in ("all", "prompt", "response") or self.skip < 0:
            raise InputError(
                f"tokens are skipped on all, prompt or response, 0 or more; not {self.skip} on {self.side!r}"
            )

    @classmethod
    def all(cls) -> When:
        """Select every token of prompt and response."""
        return cls()

    @classmethod
    def from_token(cls, position: int) -> When:
        """Select every token from one position on.

        Args:
            position: The first position, counted from 0 among the real tokens of the row.

        Returns:
            The selection.

        Raises:
            InputError: The position is negative.
        """
        return cls("all", position)

    @classmethod
    def prompt(cls) -> When:
        """Select the tokens of the prompt."""
        return cls("prompt")

    @classmethod
    def response(cls, skip: int = 0) -> When:
        """Select the tokens at which the response is chosen.

        Args:
            skip: How many of the first ones are left alone.

        Returns:
            The selection.

        Raises:
            InputError: `skip` is negative.
        """
        return cls("response", skip)

    @classmethod
    def parse(cls, text: str) -> When:
        """Parse what `str(when)` writes.

        Args:
            text: all, prompt, response, response:N or from:N.

        Returns:
            The selection.

        Raises:
            InputError: The text is none of these.
        """
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
            f"unknown tokens {text!r} to steer: use all, prompt, response, response:N, from:N (N from 0), sentences or "
            "sentences:SHARE"
        )

    @property
    def needs_prompt(self) -> bool:
        """Whether the end of the prompt has to be known."""
        return self.side != "all"

    def of(self, step: Step) -> Bool[Tensor, "rows tokens"]:
        """Mark the selected tokens of a forward pass.

        Args:
            step: The forward pass.

        Returns:
            True for the tokens to steer.

        Raises:
            InputError: The end of the prompt has to be known, and is not.
        """
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
