"""A block that does not run has no activations: it is named wherever it is read or steered, never read as zeros."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from transformers import MllamaForCausalLM, PreTrainedTokenizerFast
from transformers.models.mllama.configuration_mllama import MllamaTextConfig

import reasonlens
from reasonlens.generation.cached_model import CachedModel
from reasonlens.models import LanguageModel, wrap
from reasonlens.rundir import InputError
from reasonlens.traces import Trace
from reasonlens.vectors import Direction
from tests.conftest import VOCABULARY

SKIPPED = 1
MESSAGE = "block 1 of mllama did not run on this text .* name layers without them"


@pytest.fixture
def model(tokenizer: PreTrainedTokenizerFast) -> Iterator[LanguageModel]:
    """Llama 3.2 Vision's decoder, whose cross-attention block runs only where there is an image."""
    torch.manual_seed(0)
    config = MllamaTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        cross_attention_layers=[SKIPPED],
        rope_parameters={"rope_type": "default", "rope_theta": 1e4},
        pad_token_id=1,
    )
    yield wrap(MllamaForCausalLM(config), tokenizer, name="mllama")


@pytest.mark.parametrize("read", ["mean", "before:1", "window:-1:10"])
@pytest.mark.parametrize("layers", [None, [SKIPPED], [0, SKIPPED]])
def test_collecting_a_block_that_does_not_run_names_it(
    model: LanguageModel, traces: list[Trace], read: str, layers: list[int] | None
) -> None:
    with pytest.raises(InputError, match=MESSAGE):
        reasonlens.collect(model, traces, layers=layers, read=read, progress=False)
    with pytest.raises(InputError, match=MESSAGE):
        reasonlens.collect_moments(model, traces, layers=layers, read=read, progress=False)


def test_the_other_layers_are_read_as_by_a_plain_hook(model: LanguageModel, traces: list[Trace]) -> None:
    whole = reasonlens.collect(model, traces[:1], layers=[0, 2], progress=False, template="plain")
    assert whole.layers == (0, 2)
    assert (torch.as_tensor(whole.layer(0)).norm(dim=-1) > 0).all()
    assert (torch.as_tensor(whole.layer(2)).norm(dim=-1) > 0).all()


@pytest.mark.parametrize("strength", [9.0, 0.0])
def test_steering_a_block_that_does_not_run_is_refused(model: LanguageModel, strength: float) -> None:
    direction = Direction.of(torch.randn(32), layers=SKIPPED)
    ids = torch.tensor([[5, 6, 7]])
    with (
        pytest.raises(InputError, match=MESSAGE),
        torch.no_grad(),
        reasonlens.steer(model, direction, strength=strength, absolute=True),
    ):
        model.model(input_ids=ids)
    with torch.no_grad():
        plain = model.model(input_ids=ids).logits
        other = Direction.of(torch.randn(32), layers=2)
        with reasonlens.steer(model, other, strength=9.0, absolute=True) as steered:
            assert not torch.equal(model.model(input_ids=ids).logits, plain)
    assert steered.n_steered == 3


def test_an_error_of_the_model_is_not_hidden_by_that_of_the_block(model: LanguageModel) -> None:
    direction = Direction.of(torch.randn(32), layers=SKIPPED)
    hook = model.blocks[2].register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("mine")))
    with pytest.raises(RuntimeError, match="mine"), reasonlens.steer(model, direction, absolute=True):
        model.model(input_ids=torch.tensor([[5, 6, 7]]))
    hook.remove()


def test_writing_from_the_output_of_such_a_block_is_refused(model: LanguageModel) -> None:
    cached = CachedModel(model, [[5, 6, 7]])
    with pytest.raises(InputError, match=MESSAGE), torch.no_grad(), cached.reading(SKIPPED):
        cached.step()
