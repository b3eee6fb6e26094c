"""Steering at a site equals a plain hook there, and the site goes with the vector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from reasonlens.models import LanguageModel
from reasonlens.models.find_place import place_of
from reasonlens.models.sites import SITES, Site
from reasonlens.rundir import InputError
from reasonlens.vectors import Direction
from reasonlens.vectors.steering import Steering, When, steer
from tests.models.architectures import BY_HAND, PARALLEL, make

LAYER = 1
IDS = torch.tensor([[5, 17, 200, 3, 44, 91], [7, 7, 8, 300, 21, 2]])
VECTOR = torch.randn(32, generator=torch.Generator().manual_seed(2))
STEERED = [
    (architecture, name)
    for architecture in ("llama", "gpt2", "gptj", "neox", "gemma3", "qwen3", "phi", "opt", "mixtral", "granite")
    for name in SITES[:5]
    if name != "hook_resid_mid" or architecture not in PARALLEL
]


@pytest.fixture
def handle(tokenizer: PreTrainedTokenizerFast) -> Callable[[str], LanguageModel]:
    return lambda architecture: make(architecture, tokenizer)


def logits(model: LanguageModel) -> Tensor:
    with torch.no_grad():
        result: Tensor = model.model.eval()(IDS).logits
    return result


def hooked(model: LanguageModel, architecture: str, name: str, tokens: Tensor) -> Tensor:
    """Logits with VECTOR added at some tokens by one hook of torch on the module by hand."""
    attention, _, mlp, factor = BY_HAND[architecture]
    block = model.blocks[LAYER]
    path = {"hook_attn_out": attention, "hook_resid_mid": attention, "hook_mlp_out": mlp}.get(name, "")
    shift = (tokens[:, :, None] * VECTOR) / (factor if path else 1)

    def after(_module: nn.Module, _args: Any, output: Any) -> Any:
        whole = output[0] if isinstance(output, tuple) else output
        changed = whole + shift.reshape(whole.shape)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    if name == "hook_resid_pre":
        handle = block.register_forward_pre_hook(lambda _module, args: (args[0] + shift, *args[1:]))
    else:
        handle = block.get_submodule(path).register_forward_hook(after)
    result = logits(model)
    handle.remove()
    return result


@pytest.mark.parametrize(("architecture", "name"), STEERED)
def test_steering_at_a_site_is_a_plain_hook_there(
    handle: Callable[[str], LanguageModel], architecture: str, name: str
) -> None:
    model = handle(architecture)
    plain = logits(model)
    late = (torch.arange(6) >= 4).expand(2, -1)
    direction = Direction.of(VECTOR, layers=LAYER, site=name)
    for when, tokens in ((When.all(), torch.ones_like(late)), (When.from_token(4), late)):
        expected = hooked(model, architecture, name, tokens)
        with steer(model, direction, absolute=True, when=when) as steered:
            torch.testing.assert_close(logits(model), expected, rtol=1e-5, atol=1e-5)
        assert steered.n_steered == int(tokens.sum())
        assert not torch.allclose(expected, plain, atol=1e-3)
    assert torch.equal(logits(model), plain)


def test_an_operation_sees_the_activations_of_its_site(handle: Callable[[str], LanguageModel]) -> None:
    """Nothing along the direction is left in what attention adds, and much of it in the stream."""
    model = handle("llama")
    unit = VECTOR / VECTOR.norm()
    added: list[Tensor] = []
    with steer(model, Direction.of(VECTOR, layers=LAYER, site="hook_attn_out"), operation="project-out", absolute=True):
        module = model.blocks[LAYER].get_submodule("self_attn")
        reader = module.register_forward_hook(lambda _module, _args, output: added.append(output[0]))
        logits(model)
        reader.remove()
    assert float((added[0] @ unit).abs().max()) < 1e-6 < 1e-3 < float(added[0].abs().max())


def test_two_sites_of_one_block_are_steered_in_one_pass(handle: Callable[[str], LanguageModel]) -> None:
    """The stream between the parts is that which the change before the block has left, whichever is named first."""
    model = handle("llama")
    before = Direction.of(VECTOR, layers=LAYER, site="hook_resid_pre")
    between = Direction.of(VECTOR.flip(0), layers=LAYER, site="hook_resid_mid")
    place_of(model, LAYER, between.site)  # looks at the model once
    streams: list[Tensor] = []
    norm = model.blocks[LAYER].get_submodule("post_attention_layernorm")
    reader = norm.register_forward_pre_hook(lambda _module, args: streams.append(args[0]))
    for directions in ((before, between), (between, before)):
        steerings = [
            Steering(
                direction=direction,
                layers=(LAYER,),
                operation="clamp" if direction is between else "add",
                absolute=True,
            )
            for direction in directions
        ]
        with steer(model, *steerings) as steered:
            logits(model)
        assert [row["site"] for row in steered.by_layer()] == [str(direction.site) for direction in directions]
    reader.remove()
    unit = VECTOR.flip(0) / VECTOR.norm()
    for stream in streams:
        torch.testing.assert_close(stream @ unit, torch.full(IDS.shape, 1.0), rtol=1e-4, atol=1e-4)


def test_a_site_that_the_model_has_not_is_refused_by_name(handle: Callable[[str], LanguageModel]) -> None:
    direction = Direction.of(VECTOR, layers=LAYER, site="hook_resid_mid")
    with pytest.raises(InputError, match="has no site hook_resid_mid"), steer(handle("gptj"), direction, absolute=True):
        pass
    with pytest.raises(InputError, match="unknown site 'hook_mid'.*Did you mean"):
        Direction.of(VECTOR, layers=LAYER, site="hook_mid")


def test_a_single_head_is_steered_as_what_attention_puts_out(handle: Callable[[str], LanguageModel]) -> None:
    model = handle("llama")
    expected = hooked(model, "llama", "hook_attn_out", torch.ones(IDS.shape))
    with steer(model, Direction.of(VECTOR, layers=LAYER, site="attn.hook_result:2"), absolute=True):
        torch.testing.assert_close(logits(model), expected, rtol=1e-5, atol=1e-5)


def test_generate_is_steered_at_a_site_as_without_a_cache(handle: Callable[[str], LanguageModel]) -> None:
    model = handle("opt")
    direction = Direction.of(3 * VECTOR, layers=LAYER, site="hook_mlp_out")
    options = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 1}
    with steer(model, direction, absolute=True, when="response"):
        cached = model.model.generate(IDS[:1], **options)
        whole = model.model.generate(IDS[:1], use_cache=False, **options)
    assert torch.equal(cached, whole)
    assert not torch.equal(cached, model.model.generate(IDS[:1], **options))


def test_the_site_is_kept_by_the_direction_and_shown(handle: Callable[[str], LanguageModel], tmp_path: Path) -> None:
    direction = Direction.of(VECTOR, layers=LAYER, site="hook_attn_out")
    assert direction.site == Site("hook_attn_out") and "at hook_attn_out" in repr(direction)
    assert direction.at_every_layer(LAYER, 3).site == direction.site
    assert "hook_out" not in repr(Direction.of(VECTOR, layers=LAYER))
