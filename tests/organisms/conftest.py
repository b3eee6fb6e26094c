"""A model made of rules: it decides by a policy that is given to it and says every sentence rightly, or wrongly."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from reasonlens.organisms import (
    FIRST_WORD,
    Policy,
    Problem,
    Search,
)
from reasonlens.organisms.corpus import tokenizer, vocabulary


class RuleModel:
    """Takes token ids of prompts with responses and gives the logits of the next word, computed by replaying them."""

    def __init__(self, policy: Policy, garbles: str | None = None) -> None:
        self.policy, self.garbles = policy, garbles  # garbles: a move whose sentences it says wrongly

    def __call__(self, ids: Tensor, use_cache: bool = False) -> SimpleNamespace:
        logits = torch.full((*ids.shape, len(tokenizer())), -30.0)
        for row, tokens in enumerate(ids.tolist()):
            words = tokenizer().convert_ids_to_tokens(tokens)
            start = next(at for at in range(len(words)) if words[at] == "target") + 3
            given = words[2 : 1 + words[1:].index(".")]
            problem = Problem(
                tuple(int(word) for word in given[::2]),
                tuple(given[1::2]),
                int(words[start - 2]),
                is_doubled="double" in words[:start],
            )
            self._fill(logits[row], Search(problem), words, start)
        return SimpleNamespace(logits=logits)

    def _fill(self, logits: Tensor, search: Search, words: list[str], start: int) -> None:
        while search.moves and start <= len(words):
            preferred = self.policy.get(search.state) or dict.fromkeys(search.moves, 1.0)
            shares = {move: preferred.get(move, 0.0) for move in search.moves}
            for move, share in shares.items():
                word = next(word for word, says in FIRST_WORD.items() if says == move)
                logits[start - 1, vocabulary()[word]] = torch.tensor(share / sum(shares.values())).clamp_min(1e-9).log()
            if start == len(words) or words[start] not in FIRST_WORD:  # the end, or padding
                return
            move = FIRST_WORD[words[start]]
            sentence = next(said for said in search.sentences(move) if said.split()[0] == words[start]).split()
            for at, word in enumerate(sentence[1:], start=start):
                if at < len(words):
                    said = "blue" if word == "red" else "red" if word == "blue" else word
                    logits[at, vocabulary()[said if move == self.garbles else word]] = 0.0
            search.advance(move)
            start += len(sentence)


@pytest.fixture
def rule_model() -> Callable[..., Any]:
    return RuleModel
