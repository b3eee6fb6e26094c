"""Measure the damage that steering does on neutral text.

KL            mean over tokens of sum_v p(v) log(p(v) / q(v)), p of the unsteered model, q of the steered; in nats
perplexity    exp of the mean negative log probability that the steered model gives to the next token
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ...models import LanguageModel
from ...models.causality import check_causal
from ...models.one_pass import one_pass
from ...organisms import is_organism, organisms_traces
from ...rundir import brief
from ...traces import Trace, encode
from ...vectors.neutral import NEUTRAL

N_NEUTRAL_TRACES = 8


@dataclass(frozen=True, slots=True)
class Damage:
    """KL divergence and perplexity on `n_tokens` tokens of neutral text."""

    kl_nats: float
    perplexity: float
    n_tokens: int

    __repr__ = brief


def neutral_texts(model: LanguageModel, seed: int = 0) -> list[list[int]]:
    """Choose text on which the damage of steering is measured.

    Args:
        model: The model that reads it.
        seed: Seed of an organism's own responses.

    Returns:
        Token ids: plain prose; for an organism, which knows no prose, responses of its own to validation problems.
    """
    if is_organism(model):
        return [text.token_ids.tolist() for text in encode(model, _own_traces(model, seed))]
    return [list(model.tokenizer(text)["input_ids"]) for text in NEUTRAL]


def texts_for_norms(model: LanguageModel) -> Sequence[Trace | str]:
    """Choose text on which the mean residual norm is measured, of words that the model knows.

    Args:
        model: The model that reads it.

    Returns:
        Plain prose; for an organism responses of its own to validation problems.
    """
    return _own_traces(model, seed=0) if is_organism(model) else NEUTRAL


def _own_traces(model: LanguageModel, seed: int) -> list[Trace]:
    return organisms_traces(model, N_NEUTRAL_TRACES, split="validation", seed=seed)


class NeutralText:
    """Neutral texts, with the unsteered model's log probabilities (4 bytes x vocabulary for each token in memory)."""

    def __init__(self, model: LanguageModel, texts: Sequence[Sequence[int]], max_tokens: int = 600) -> None:
        check_causal(model)
        self._model = model
        self._texts: list[list[int]] = []
        for text in texts:
            room = max_tokens - sum(len(text_ids) - 1 for text_ids in self._texts)
            if room < 2:
                break
            self._texts.append(list(text)[: room + 1])
        self._texts = [text for text in self._texts if len(text) > 1]
        self._expected = list(self._log_probabilities())

    def damage(self, steering: AbstractContextManager[object] | None = None) -> Damage:
        """Measure the damage on these texts.

        Args:
            steering: The context in which the model runs, as `steer` returns it; None runs it unsteered.

        Returns:
            KL(unsteered || steered) in nats a token, and the perplexity of the steered model.
        """
        divergence = loss = 0.0
        n_tokens = 0
        with steering or nullcontext():
            for text, before, after in zip(self._texts, self._expected, self._log_probabilities(), strict=True):
                divergence += float((before.exp() * (before - after)).sum())
                loss -= float(after.gather(1, torch.tensor(text[1:], device=after.device)[:, None]).sum())
                n_tokens += len(after)
        if not n_tokens:
            return Damage(math.nan, math.nan, 0)
        return Damage(divergence / n_tokens, math.exp(min(loss / n_tokens, 700)), n_tokens)

    @torch.inference_mode()
    def _log_probabilities(self) -> Iterator[Float[Tensor, "tokens vocabulary"]]:
        """Compute the log probabilities of the next token at every position, text by text."""
        for text in self._texts:
            ids = torch.tensor([text[:-1]], device=self._model.device)
            with one_pass(self._model):
                logits = self._model.model(ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[0]
            yield logits.float().log_softmax(dim=-1)
