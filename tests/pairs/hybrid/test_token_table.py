"""Base and thinking model compared at every token of a rollout, whatever their tokenizers and templates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from reasonlens.generation import encode_prompts
from reasonlens.organisms import organisms_traces
from reasonlens.pairs import Pair, organism_pair
from reasonlens.pairs.hybrid.token_table import token_table
from reasonlens.traces import Trace
from tests.generation.test_across import renumbered


@pytest.fixture(scope="module")
def pair() -> Pair:
    return organism_pair("organism/rl-timing", n_train=2, n_validation=2, n_test=2)


@pytest.fixture(scope="module")
def traces() -> list[Trace]:
    return organisms_traces("organism/rl-timing", 24, split="train")


@torch.inference_mode()
def naive(pair: Pair, traces: list[Trace]) -> list[bool]:
    """Row by row, without padding."""
    found = []
    for trace in traces:
        (begin,) = encode_prompts(pair.base, [trace.prompt])
        ids = pair.base.tokenizer(f" {trace.text}", add_special_tokens=False)["input_ids"]
        whole = torch.tensor([[*begin, *ids]])
        said = [model.model(whole).logits[0].argmax(dim=-1) for model in (pair.base, pair.thinking)]
        places = range(len(begin) - 1, whole.shape[1] - 1)
        found += [bool(said[0][place] != said[1][place]) for place in places]
    return found


def test_models_are_compared_where_each_token_of_the_response_is_predicted(pair: Pair, traces: list[Trace]) -> None:
    acts, differs, problem = token_table(pair, traces, [1, 2])
    assert differs.tolist() == naive(pair, traces) and 0 < differs.mean() < 0.2
    assert acts.shape == (len(differs), 2, pair.base.d_model)
    assert sorted(set(problem.tolist())) == list(range(len({trace.problem for trace in traces})))


def test_the_activation_is_that_of_the_token_before(pair: Pair, traces: list[Trace]) -> None:
    acts, _, _ = token_table(pair, traces[:3], [1])
    (begin,) = encode_prompts(pair.base, [traces[0].prompt])
    ids = pair.base.tokenizer(f" {traces[0].text}", add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        states = pair.base.model(torch.tensor([[*begin, *ids]]), output_hidden_states=True).hidden_states[2]
    torch.testing.assert_close(acts[: len(ids), 0], states[0, len(begin) - 1 : -1], atol=1e-5, rtol=1e-5)


def test_other_numbers_for_the_same_words_are_no_disagreement(pair: Pair, traces: list[Trace]) -> None:
    _, same, _ = token_table(replace(pair, thinking=renumbered(pair.base)), traces, [1])
    assert not same.any()
    _, expected, _ = token_table(pair, traces, [1])
    _, found, _ = token_table(replace(pair, thinking=renumbered(pair.thinking)), traces, [1])
    assert np.array_equal(found, expected)
