"""Choose tokens greedily, or from the nucleus (Holtzman et al. 2020, arXiv 1904.09751).

Of the tokens in descending order of p = softmax(logits / temperature), the nucleus are the first whose p together reach
top_p. A uniform number u in [0, 1) picks

    token = the first at which the running sum of p exceeds u * (sum of p over the nucleus)

Every row has uniform numbers of its own, from the seed and its number among all prompts, so that what it draws depends
neither on the batch nor on which other rows there are. Generation settings that came with a model (a repetition
penalty, a top k) have no part in it, and the global random state is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..rundir import InputError


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How responses are drawn."""

    n_samples: int = 4  # continuations of each text; greedily they would all be one, so one is drawn
    temperature: float = 0.7  # what logits are divided by; 0: greedy
    top_p: float = 0.95  # probability of the likeliest tokens among which is drawn; 1: all tokens
    max_new_tokens: int = 32

    def __post_init__(self) -> None:
        if self.n_samples < 1 or self.max_new_tokens < 1:
            raise InputError(
                f"at least one continuation of one token is needed, not {self.n_samples} of {self.max_new_tokens}"
            )
        if not 0 <= self.temperature < float("inf"):
            raise InputError(f"a temperature is 0 (greedy) or above, and {self.temperature} is not")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p is a share of the probability, above 0 and up to 1, and {self.top_p} is not")
        if self.temperature == 0:
            object.__setattr__(self, "n_samples", 1)
            object.__setattr__(self, "top_p", 1.0)

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is taken, and no random number is needed."""
        return self.temperature == 0


def choose_tokens(
    logits: Float[Tensor, "rows vocabulary"], sampling: Sampling, uniforms: Float[Tensor, " rows"] | None
) -> Int[Tensor, " rows"]:
    """Choose the next token of each row.

    Args:
        logits: Of the next token.
        sampling: Temperature and nucleus.
        uniforms: A number in [0, 1) for each row; may be None at temperature 0.

    Returns:
        The likeliest token at temperature 0, else the one of the nucleus that the row's number falls on.
    """
    if sampling.is_greedy or uniforms is None:
        return logits.argmax(dim=-1)
    probability, tokens = (logits / sampling.temperature).softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    total = probability.cumsum(dim=-1)
    last = (total < sampling.top_p).sum(dim=-1, keepdim=True).clamp(max=total.shape[1] - 1)  # of the nucleus
    threshold = uniforms.to(logits.device)[:, None] * total.gather(1, last)
    place = torch.searchsorted(total, threshold, right=True).minimum(last)
    return tokens.gather(1, place)[:, 0]


def row_uniforms(seed: int, numbers: Sequence[int], n_tokens: int) -> Float[Tensor, "rows n_tokens"]:
    """Draw the uniform numbers of some rows, in [0, 1): the same for a row whatever other rows there are.

    Args:
        seed: Of all rows together.
        numbers: Of the rows among all prompts.
        n_tokens: Numbers for each row, one a token.

    Returns:
        float32, on the CPU.
    """
    uniforms = np.stack([np.random.default_rng([seed, number]).random(n_tokens) for number in numbers])
    return torch.from_numpy(uniforms).float()
