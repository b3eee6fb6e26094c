"""Texts as the organisms read them: token ids, and which of them are decisions and which are content.

The first word of each sentence of a response is a decision; the words after it, and the end of the text after an
answer, are content. Every figure and every loss of the organisms is split along this line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from .labeller import prompt
from .task import Problem
from .tokenizer import make_tokenizer

MAX_RESPONSE_TOKENS = 112


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts with responses, padded on the right (a causal model needs no mask for that)."""

    ids: Int[Tensor, "texts tokens"]
    is_decision: Bool[Tensor, "texts tokens"]
    is_content: Bool[Tensor, "texts tokens"]

    def __len__(self) -> int:
        return len(self.ids)


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer()


@cache
def vocabulary() -> dict[str, int]:
    return dict(tokenizer().get_vocab())


def encode_words(text: str) -> list[int]:
    ids = vocabulary()
    return [ids[word] for word in text.split()]


def encode_prompt(problem: Problem) -> list[int]:
    return [tokenizer().bos_token_id, *encode_words(prompt(problem))]


def encode_response(text: str) -> list[int]:
    """A response cut at the limit; with its end if it answers within it."""
    words = encode_words(text)
    end = [tokenizer().eos_token_id] if len(words) < MAX_RESPONSE_TOKENS else []
    return [*words[:MAX_RESPONSE_TOKENS], *end]


def make_batch(prompts: Sequence[list[int]], responses: Sequence[list[int]]) -> Batch:
    """Token ids of prompts and responses, as one batch."""
    n_tokens = max(len(prompt) + len(response) for prompt, response in zip(prompts, responses, strict=True))
    ids = torch.full((len(prompts), n_tokens), tokenizer().pad_token_id)
    is_response = torch.zeros(ids.shape, dtype=torch.bool)
    for row, (prompt_ids, response_ids) in enumerate(zip(prompts, responses, strict=True)):
        n_prompt, n_text = len(prompt_ids), len(prompt_ids) + len(response_ids)
        ids[row, :n_text] = torch.tensor([*prompt_ids, *response_ids])
        is_response[row, n_prompt:n_text] = True
    stop, end = vocabulary()["."], tokenizer().eos_token_id
    after_stop = torch.zeros_like(is_response)
    after_stop[:, 1:] = ids[:, :-1] == stop
    is_decision = is_response & after_stop & (ids != end)
    return Batch(ids, is_decision, is_response & ~is_decision)


def batches(texts: Sequence[tuple[Problem, str]], n_texts: int) -> list[Batch]:
    """Texts in batches of `n_texts`, sorted by length so that little is padded."""
    coded = sorted(
        ((encode_prompt(problem), encode_response(text)) for problem, text in texts),
        key=lambda pair: len(pair[0]) + len(pair[1]),
    )
    return [
        make_batch(
            [prompt for prompt, _ in coded[at : at + n_texts]], [response for _, response in coded[at : at + n_texts]]
        )
        for at in range(0, len(coded), n_texts)
    ]
