"""Steering against a naive reference: each row alone, without padding, without a cache, with one plain hook."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from reasonlens.models import LanguageModel
from reasonlens.vectors import Direction
from reasonlens.vectors.steering import Steering, When, steer
from tests.conftest import CONFIGS
from tests.vectors.steering.conftest import N_PROMPT, PROMPTS, padded

STRENGTH, LAYER, N_NEW = 0.01, 1, 6  # so little that the text still depends on everything before it


def naive_logits(model: LanguageModel, ids: list[int], vector: Tensor, steered: list[bool]) -> Tensor:
    """Of one row, given whole, with `vector` added at the output of block LAYER to the tokens that are `steered`."""

    def hook(module: object, args: object, output: object) -> object:
        hidden = output[0] if isinstance(output, tuple) else output
        assert isinstance(hidden, Tensor)
        changed = hidden + torch.tensor(steered)[None, :, None] * vector
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = model.blocks[LAYER].register_forward_hook(hook)
    with torch.no_grad():
        logits = model.model(torch.tensor([ids]), use_cache=False).logits[0]
    handle.remove()
    return logits


def naive_response(model: LanguageModel, row: int, vector: Tensor, when: str) -> tuple[list[int], Tensor]:
    """Greedy, the whole text anew for every token; and the logits of each."""
    ids, found = list(PROMPTS[row]), []
    for _ in range(N_NEW):
        n_prompt = N_PROMPT[row]
        steered = [
            {
                "all": True,
                "prompt": place < n_prompt,
                "response": place >= n_prompt - 1,
                "response:2": place >= n_prompt + 1,
                "from:4": place >= 4,
            }[when]
            for place in range(len(ids))
        ]
        found.append(naive_logits(model, ids, vector, steered)[-1])
        ids.append(int(found[-1].argmax()))
    return ids[N_PROMPT[row] :], torch.stack(found)


def expected_count(when: str) -> int:
    """Tokens that are run and steered: all but the last of each response is fed back."""
    return sum(
        {
            "all": n + N_NEW - 1,
            "prompt": n,
            "response": N_NEW,
            "response:2": N_NEW - 2,
            "from:4": n + N_NEW - 1 - 4,
        }[when]
        for n in N_PROMPT
    )


def generated(model: LanguageModel, **options: object) -> tuple[list[list[int]], Tensor]:
    """What the padded batch writes, and the logits of every token: (row, token, vocabulary)."""
    settings = {"do_sample": False, "max_new_tokens": N_NEW, "min_new_tokens": N_NEW, "pad_token_id": 1}
    told = {"output_logits": True, "return_dict_in_generate": True}
    found = model.model.generate(**padded("left"), **settings, **told, **options)
    return found.sequences[:, max(N_PROMPT) :].tolist(), torch.stack(found.logits, dim=1)


@pytest.mark.parametrize("architecture", CONFIGS)
@pytest.mark.parametrize("when", ["all", "prompt", "response", "response:2", "from:4"])
def test_a_padded_batch_under_a_cache_writes_what_each_row_writes_alone_without_one(
    tiny: Callable[..., LanguageModel], direction: Direction, architecture: str, when: str
) -> None:
    model = tiny(architecture)
    vector = direction.unit(LAYER) * STRENGTH * 4.0
    with steer(model, direction, layer=LAYER, strength=STRENGTH, when=when) as steered:
        written, logits = generated(model)
    for row in range(3):
        expected, its_logits = naive_response(model, row, vector, when)
        assert written[row] == expected
        torch.testing.assert_close(logits[row], its_logits, atol=1e-5, rtol=1e-4)
    assert len({tuple(tokens) for tokens in written}) == 3
    assert (logits - generated(model)[1]).abs().max() > 1e-3
    assert steered.n_steered == expected_count(when)
    assert steered.n_tokens == sum(N_PROMPT) + 3 * (N_NEW - 1)
    assert steered.n_forwards == N_NEW


@pytest.mark.parametrize("when", ["all", "prompt", "response", "response:2", "from:4"])
@pytest.mark.parametrize("options", [{"use_cache": False}, {"cache_implementation": "static"}])
def test_counts_and_text_are_the_same_without_a_cache_and_with_a_static_one(
    tiny: Callable[..., LanguageModel], direction: Direction, when: str, options: dict[str, object]
) -> None:
    model = tiny("llama")
    counts = []
    for each in ({}, options):
        with steer(model, direction, layer=LAYER, strength=STRENGTH, when=when) as steered:
            written, _ = generated(model, **each)
        counts.append((written, steered.n_steered, steered.n_tokens))
    assert counts[0] == counts[1]


def test_a_token_is_not_counted_twice_for_two_layers_or_two_directions(
    tiny: Callable[..., LanguageModel], direction: Direction
) -> None:
    model = tiny("llama")
    other = Steering(direction=direction, layers=(2,), strength=0.5, when=When.prompt())
    with steer(model, direction, other, layer=[0, 1], strength=0.5, when="response") as steered:
        generated(model)
    assert steered.n_steered == steered.n_tokens == expected_count("all")
    assert [(each["layer"], each["n_steered"]) for each in steered.by_layer()] == [
        (0, expected_count("response")),
        (1, expected_count("response")),
        (2, expected_count("prompt")),
    ]


def test_several_steerings_act_in_order_and_at_their_own_layers(
    tiny: Callable[..., LanguageModel], direction: Direction
) -> None:
    model, ids = tiny("llama"), torch.tensor([PROMPTS[0]])
    with steer(model, direction, layer=[0, 1, 2], strength=1.0):
        together = model.model(ids).logits
    with (
        steer(model, direction, layer=0),
        steer(model, Steering(direction=direction, layers=(1,)), Steering(direction=direction, layers=(2,))),
    ):
        apart = model.model(ids).logits
    torch.testing.assert_close(together, apart, rtol=0, atol=0)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_neither_steered_nor_counted_in_a_plain_forward_pass(
    tiny: Callable[..., LanguageModel], direction: Direction, side: str
) -> None:
    model, batch = tiny("llama"), padded(side)
    positions = (batch["attention_mask"].cumsum(1) - 1).clamp_min(0)
    vector = direction.unit(LAYER) * STRENGTH * 4.0
    with steer(model, direction, layer=LAYER, strength=STRENGTH) as steered, torch.no_grad():
        logits = model.model(**batch, position_ids=positions).logits
    assert steered.n_steered == steered.n_tokens == sum(N_PROMPT)
    for row, prompt in enumerate(PROMPTS):
        expected = naive_logits(model, prompt, vector, [True] * len(prompt))
        found = logits[row][batch["attention_mask"][row].bool()]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_loop_of_ones_own_over_a_cache_is_followed(tiny: Callable[..., LanguageModel], direction: Direction) -> None:
    model = tiny("llama")
    with steer(model, direction, layer=LAYER, strength=STRENGTH, when="response") as steered, torch.no_grad():
        out, ids = model.model(torch.tensor([PROMPTS[0]])), []
        for _ in range(N_NEW - 1):
            ids.append(int(out.logits[0, -1].argmax()))
            out = model.model(torch.tensor([[ids[-1]]]), past_key_values=out.past_key_values)
        ids.append(int(out.logits[0, -1].argmax()))
    vector = direction.unit(LAYER) * STRENGTH * 4.0
    assert ids == naive_response(model, 0, vector, "response")[0]
    assert steered.n_steered == N_NEW


def test_texts_given_whole_are_parted_by_the_number_of_prompt_tokens(
    tiny: Callable[..., LanguageModel], direction: Direction
) -> None:
    model, batch = tiny("llama"), padded("left")
    for when, expected in (("prompt", 2 + 1 + 3), ("response", sum(N_PROMPT) - 6 + 3)):
        with steer(model, direction, layer=LAYER, when=when, n_prompt_tokens=torch.tensor([2, 1, 3])) as steered:
            model.model(**batch)
        assert steered.n_steered == expected


def test_rows_that_have_ended_are_nobodys_tokens(tiny: Callable[..., LanguageModel], direction: Direction) -> None:
    """As many are counted in a batch as in its rows run one by one, where one row ends long before the others."""
    model = tiny("llama")
    model.model.generation_config.eos_token_id = None
    with steer(model, direction, layer=LAYER, strength=STRENGTH):
        written, _ = generated(model)
    end, row = next(
        (token, row)
        for row, tokens in enumerate(written)
        for token in tokens[: N_NEW - 2]
        if not any(token in others for number, others in enumerate(written) if number != row)
    )
    settings = {"do_sample": False, "max_new_tokens": N_NEW, "pad_token_id": 1, "eos_token_id": end}
    model.model.generation_config.eos_token_id = end
    left_out = N_NEW - 1 - written[row].index(end)  # of what is fed: the end itself, and all that stands after it
    for when, everything in (("all", sum(N_PROMPT) + 3 * (N_NEW - 1)), ("response", 3 * N_NEW)):
        with steer(model, direction, layer=LAYER, strength=STRENGTH, when=when) as together:
            model.model.generate(**padded("left"), **settings)
        with steer(model, direction, layer=LAYER, strength=STRENGTH, when=when) as alone:
            for prompt in PROMPTS:
                model.model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), **settings)
        assert (together.n_steered, together.n_tokens) == (alone.n_steered, alone.n_tokens)
        assert together.n_steered == everything - left_out
