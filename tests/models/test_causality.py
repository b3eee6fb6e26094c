"""A model in which tokens attend to later ones is refused, whatever its configuration says; others are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertLMHeadModel,
    Gemma3TextConfig,
    PreTrainedTokenizerFast,
)

import reasonlens
from reasonlens.generation.cached_model import CachedModel
from reasonlens.models import LanguageModel, wrap
from reasonlens.models.causality import check_causal
from reasonlens.rundir import InputError
from reasonlens.traces import Trace
from reasonlens.vectors import Direction
from tests.conftest import CONFIGS, VOCABULARY

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 1024,
}
MESSAGE = "attends to later tokens too .* give a causal language model"


def gemma(both_ways: bool) -> nn.Module:
    shape = SHAPE | {"num_key_value_heads": 2, "head_dim": 8, "query_pre_attn_scalar": 8}
    return AutoModelForCausalLM.from_config(Gemma3TextConfig(**shape, use_bidirectional_attention=both_ways))


def bert(is_decoder: bool) -> nn.Module:
    return BertLMHeadModel(BertConfig(**SHAPE, is_decoder=is_decoder))


def handle(make: Callable[[bool], nn.Module], option: bool, tokenizer: PreTrainedTokenizerFast) -> LanguageModel:
    torch.manual_seed(0)
    return wrap(make(option), tokenizer, name="model")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "option", "dtype"),
    [
        (gemma, True, torch.float32),
        (gemma, True, torch.bfloat16),
        (gemma, True, torch.float16),
        (bert, False, torch.float32),
    ],
)
def test_a_model_that_attends_both_ways_is_neither_read_nor_lets_write(
    tokenizer: PreTrainedTokenizerFast,
    traces: list[Trace],
    make: Callable[[bool], nn.Module],
    option: bool,
    dtype: torch.dtype,
) -> None:
    model = handle(make, option, tokenizer)
    model.model.to(dtype)
    for run in (
        lambda: reasonlens.collect(model, traces[:2], progress=False),
        lambda: reasonlens.collect_moments(model, traces[:2], progress=False),
        lambda: CachedModel(model, [[5, 6, 7]]),
    ):
        with pytest.raises(InputError, match=MESSAGE):
            run()


@pytest.mark.parametrize(("make", "option"), [(gemma, False), (bert, True)])
def test_the_same_model_that_reads_from_left_to_right_is_read_alike_alone_together_and_in_parts(
    tokenizer: PreTrainedTokenizerFast, traces: list[Trace], make: Callable[[bool], nn.Module], option: bool
) -> None:
    model = handle(make, option, tokenizer)
    alone = torch.cat(
        [torch.as_tensor(reasonlens.collect(model, [trace], progress=False).layer(2)) for trace in traces[:4]]
    )
    for tokens_per_batch in (4096, 48):
        together = reasonlens.collect(model, traces[:4], progress=False, tokens_per_batch=tokens_per_batch)
        torch.testing.assert_close(torch.as_tensor(together.layer(2)), alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("architecture", CONFIGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_causal_models_pass_in_every_precision(
    tiny: Callable[..., LanguageModel], architecture: str, dtype: torch.dtype
) -> None:
    model = tiny(architecture)
    model.model.to(dtype)
    check_causal(model)


@pytest.mark.parametrize("block", [2, 3, 4, 5, 8, 16, 32])
def test_attention_both_ways_inside_blocks_of_the_text_is_found(
    tiny: Callable[..., LanguageModel], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As block diffusion models attend: to all earlier blocks, and to the whole of their own."""
    model = tiny("llama")
    forward = model.body.forward

    def in_blocks(input_ids: torch.Tensor, **options: Any) -> Any:
        places = torch.arange(input_ids.shape[1])
        attends = (places[:, None] // block >= places // block)[None, None].expand(len(input_ids), 1, -1, -1)
        return forward(input_ids=input_ids, attention_mask=attends, **options)

    monkeypatch.setattr(model.body, "forward", in_blocks)
    with pytest.raises(InputError, match=MESSAGE):
        check_causal(model)


def test_it_is_measured_once_a_model_and_outside_of_steering(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny("llama")
    n_passes: list[int] = []
    model.body.register_forward_pre_hook(lambda *_: n_passes.append(1))
    direction = Direction.of(torch.randn(32), layers=1, residual_norm=1.0)
    with reasonlens.steer(model, direction) as steered:
        check_causal(model)
        check_causal(reasonlens.load(model.model, model.tokenizer))
        assert len(n_passes) == 1 and steered.n_forwards == 0
        model.model(torch.tensor([[5, 6]]))
    assert steered.n_forwards == 1
