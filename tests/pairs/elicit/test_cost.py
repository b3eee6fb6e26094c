"""Tokens, forward passes and operations against a count by hooks, and the meter against the formula."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from reasonlens.generation import Sampling
from reasonlens.models import LanguageModel
from reasonlens.pairs.elicit.cost import ResponseCost, n_parameters, response_cost, samples_for, total
from reasonlens.pairs.elicit.meter import Meter
from reasonlens.pairs.elicit.prompting import answers


def answered(model: LanguageModel, prompts: list[str], n_tokens: int = 5) -> list[ResponseCost]:
    sampling = Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=n_tokens)
    numbers = list(range(len(prompts)))
    return [one.cost for one in answers(model, prompts, "plain", sampling, seed=0, n_rows=8, numbers=numbers)]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_passes_and_tokens_are_those_that_the_model_runs(architecture: str, tiny: Callable[..., LanguageModel]) -> None:
    model = tiny(architecture)
    passes: list[int] = []

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: object) -> None:
        passes.append(int(inputs[0].shape[1]))

    (cost,) = answered(model, ["What is 7 doubled?"])
    handle = model.blocks[0].register_forward_hook(count)
    try:
        assert answered(model, ["What is 7 doubled?"]) == [cost]
    finally:
        handle.remove()
    assert cost.passes == len(passes) == cost.output_tokens
    assert passes[0] == cost.prompt_tokens and sum(passes[1:]) == cost.output_tokens - 1
    assert cost.prompt_flops == 2 * n_parameters(model) * passes[0]
    assert cost.output_flops == 2 * n_parameters(model) * sum(passes[1:])


def test_parameters_are_those_that_every_token_is_multiplied_by(tiny: Callable[..., LanguageModel]) -> None:
    untied, tied = tiny("llama"), tiny("gpt2")
    assert not untied.model.config.tie_word_embeddings and tied.model.config.tie_word_embeddings
    blocks = sum(weight.numel() for weight in untied.blocks.parameters())
    assert n_parameters(untied) == blocks + 32 + 400 * 32  # final norm, output layer
    assert n_parameters(tied) == sum(weight.numel() for weight in tied.model.parameters())


def test_costs_add_up_and_a_call_without_room_costs_nothing(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny()
    one, other = response_cost(model, 10, 4), response_cost(model, 20, 1)
    both = total([one, other])
    assert (both.calls, both.prompt_tokens, both.output_tokens, both.passes) == (2, 30, 5, 5)
    assert both.flops == pytest.approx(2 * n_parameters(model) * (10 + 3 + 20))
    assert response_cost(model, 10, 0) == ResponseCost(calls=1)


def test_a_control_gets_as_many_samples_as_cost_at_least_as_much() -> None:
    assert samples_for(100, 40, 30) == 2 and samples_for(101, 40, 30) == 3
    assert samples_for(10, 40, 30) == 1 and samples_for(1000, 40, 0) == 1


def test_the_meter_counts_what_runs_twice_where_a_gradient_goes_back(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny()
    weights = sum(weight.numel() for weight in model.blocks.parameters()) + 400 * 32
    ids = torch.arange(14).view(2, 7)
    meter, with_gradient = Meter(), Meter()
    with meter.watching([model]), torch.inference_mode():
        model.model(ids)
    assert meter.flops == 2 * weights * 14
    with with_gradient.watching([model]):
        model.model(ids)
    assert with_gradient.flops == 2 * meter.flops
    model.model(ids)
    assert with_gradient.flops == 2 * meter.flops
