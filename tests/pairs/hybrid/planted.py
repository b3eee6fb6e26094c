"""A pair whose gap is one vector: the base is the thinking model, pushed off at every token of its first block.

Both are greedy, in rollouts too: where words are drawn, models disagree about wordings, and vectors learn these.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import cache

import torch
from torch.nn import Parameter

from reasonlens.models import LanguageModel, load, wrap
from reasonlens.pairs import Pair, organism_pair

THINKING = "organism/rl-timing"
LENGTH = 32.0  # so long that greedily it loses three problems of four that it would solve


@cache
def planted_vector() -> torch.Tensor:
    """What is added to the output of block 0."""
    drawn = torch.randn(128, generator=torch.Generator().manual_seed(0))
    return LENGTH * drawn / drawn.norm()


@cache
def spoilt_base() -> LanguageModel:
    """The thinking model with the vector added."""
    thinking = load(THINKING, device="cpu")
    model = deepcopy(thinking.model)
    model.model.layers[0].mlp.down_proj.bias = Parameter(planted_vector())
    return wrap(model, thinking.tokenizer, name="spoilt")


def planted_pair(*, n_train: int, n_validation: int, n_test: int) -> Pair:
    """The pair on problems of the organisms."""
    pair = organism_pair(THINKING, n_train=n_train, n_validation=n_validation, n_test=n_test)
    return replace(pair, base=spoilt_base())
