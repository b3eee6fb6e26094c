"""Later passes are steered where they should be, after one that was stopped and over caches that count no tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, MambaConfig, MiniMaxConfig, PreTrainedTokenizerFast

from reasonlens.models import LanguageModel, wrap
from reasonlens.rundir import InputError
from reasonlens.vectors import Direction
from reasonlens.vectors.steering import steer
from tests.conftest import D_MODEL, N_LAYERS, VOCABULARY
from tests.vectors.steering.test_steer import LAYER, STRENGTH

IDS = torch.arange(5, 15)[None]
N_NEW = 6
SHAPE = {"vocab_size": VOCABULARY, "hidden_size": D_MODEL, "num_hidden_layers": N_LAYERS, "eos_token_id": None}
RECURRENT: dict[str, Callable[[], object]] = {
    "mamba": lambda: MambaConfig(**SHAPE, state_size=8, pad_token_id=1),
    "minimax": lambda: MiniMaxConfig(
        **SHAPE,
        intermediate_size=48,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=2,
        layer_types=["linear_attention", "full_attention", "linear_attention"],
    ),
}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_passes_after_one_that_was_stopped_are_steered_and_counted(
    tiny: Callable[..., LanguageModel], direction: Direction, error: type[BaseException]
) -> None:
    model = tiny("llama")
    with torch.no_grad(), steer(model, direction, layer=LAYER, strength=STRENGTH):
        expected = model.model(IDS).logits
    n_calls = 0

    def stop_once(module: nn.Module, args: object, output: object) -> None:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 1:
            raise error

    handle = model.blocks[LAYER].register_forward_hook(stop_once)
    with torch.no_grad(), steer(model, direction, layer=LAYER, strength=STRENGTH) as steered:
        with pytest.raises(error):
            model.model(IDS)
        assert torch.equal(model.model(IDS).logits, expected)
        assert torch.equal(model.model(IDS).logits, expected)
    handle.remove()
    assert (steered.n_forwards, steered.n_steered) == (2, 2 * IDS.numel())


def recurrent(kind: str, tokenizer: PreTrainedTokenizerFast) -> LanguageModel:
    torch.manual_seed(0)
    return wrap(AutoModelForCausalLM.from_config(RECURRENT[kind]()).eval(), tokenizer, name=kind)


@pytest.mark.parametrize("kind", RECURRENT)
@pytest.mark.parametrize(
    ("when", "n_expected"),
    [("all", 15), ("prompt", 10), ("response", 6), ("response:2", 4), ("from:12", 3)],
)
def test_a_cache_that_counts_no_tokens_is_followed(
    kind: str, when: str, n_expected: int, tokenizer: PreTrainedTokenizerFast, direction: Direction
) -> None:
    model = recurrent(kind, tokenizer)
    texts = []
    for use_cache in (True, False):
        with steer(model, direction, layer=LAYER, strength=STRENGTH, when=when) as steered:
            text = model.model.generate(
                IDS,
                attention_mask=torch.ones_like(IDS),
                max_new_tokens=N_NEW,
                do_sample=False,
                use_cache=use_cache,
                output_logits=True,
                return_dict_in_generate=True,
            )
        assert (steered.n_steered, steered.n_tokens) == (n_expected, IDS.shape[1] + N_NEW - 1)
        texts.append(torch.stack(text.logits))
    torch.testing.assert_close(*texts, rtol=1e-3, atol=1e-4)


def test_a_recurrent_cache_that_was_filled_before_is_refused_where_places_matter(
    tokenizer: PreTrainedTokenizerFast, direction: Direction
) -> None:
    model = recurrent("mamba", tokenizer)
    with torch.no_grad():
        cache = model.model(IDS, use_cache=True).cache_params
        with (
            pytest.raises(InputError, match="cannot be counted"),
            steer(model, direction, layer=LAYER, strength=STRENGTH, when="response"),
        ):
            model.model(IDS[:, :1], cache_params=cache, use_cache=True)
