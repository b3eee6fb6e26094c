"""Texts as the organisms read them: token ids, and which of them are decisions and which are content.

The two words that open a sentence, and the way of a plan, are decisions; all other words of a response, full stops and
the end of the text among them, are content.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from .language import OPENERS, SECONDS, tokenizer
from .task import MAX_RESPONSE_TOKENS, Problem
from .world import WAYS


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts with responses, padded on the right (a causal model needs no mask for that)."""

    ids: Int[Tensor, "texts tokens"]
    is_decision: Bool[Tensor, "texts tokens"]
    is_content: Bool[Tensor, "texts tokens"]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_response(self) -> Bool[Tensor, "texts tokens"]:
        """Whether a token belongs to a response."""
        return self.is_decision | self.is_content


@cache
def vocabulary() -> dict[str, int]:
    """Map each word to its token id."""
    return dict(tokenizer().get_vocab())


@cache
def words_of() -> tuple[str, ...]:
    """List the word of each token id."""
    return tuple(sorted(vocabulary(), key=vocabulary().__getitem__))


@cache
def decision_tokens() -> frozenset[int]:
    """List the tokens that are decisions wherever they stand in a response."""
    return frozenset(vocabulary()[word] for word in (*OPENERS, *SECONDS, *WAYS))


def encode_prompt(problem: Problem) -> list[int]:
    """Encode a problem as the organisms are asked it."""
    ids = vocabulary()
    return [tokenizer().bos_token_id, *(ids[word] for word in problem.prompt.split())]


def encode_response(words: Sequence[str], *, is_ended: bool) -> list[int]:
    """Encode a response.

    Args:
        words: Of the response; cut at the token limit.
        is_ended: Whether the end token follows, where the limit leaves room for the words.

    Returns:
        Its token ids.
    """
    ids = vocabulary()
    end = [tokenizer().eos_token_id] if is_ended and len(words) <= MAX_RESPONSE_TOKENS else []
    return [*(ids[word] for word in words[:MAX_RESPONSE_TOKENS]), *end]


def decode(ids: Sequence[int]) -> list[str]:
    """Decode a response to its words, without its end token."""
    words = words_of()
    ends = tokenizer().eos_token_id
    return [words[token] for token in ids if token != ends]


def make_batch(prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]) -> Batch:
    """Pad token ids of prompts and responses to one batch."""
    n_tokens = max(len(prompt) + len(response) for prompt, response in zip(prompts, responses, strict=True))
    ids = torch.full((len(prompts), n_tokens), tokenizer().pad_token_id)
    is_response = torch.zeros(ids.shape, dtype=torch.bool)
    for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        n_prompt, n_text = len(prompt), len(prompt) + len(response)
        ids[row, :n_text] = torch.tensor([*prompt, *response])
        is_response[row, n_prompt:n_text] = True
    is_decision = is_response & torch.isin(ids, torch.tensor(sorted(decision_tokens())))
    return Batch(ids, is_decision, is_response & ~is_decision)
