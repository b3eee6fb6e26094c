"""Every layout of rows and positions in which transformers runs texts: each row steered as it is alone, or refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import ContinuousBatchingConfig, DynamicCache, GenerationConfig, MistralConfig, MistralForCausalLM

from reasonlens.models import LanguageModel, wrap
from reasonlens.rundir import InputError
from reasonlens.vectors import Direction
from reasonlens.vectors.steering import steer
from tests.vectors.steering.conftest import N_PROMPT, PROMPTS, padded
from tests.vectors.steering.test_steer import LAYER, N_NEW, STRENGTH, expected_count, naive_logits, naive_response

WHENS = ["all", "prompt", "response", "response:2", "from:4"]
SETTINGS: dict[str, Any] = {
    "do_sample": False,
    "max_new_tokens": N_NEW,
    "min_new_tokens": N_NEW,
    "pad_token_id": 1,
    "eos_token_id": None,
}


@pytest.fixture
def model(tiny: Callable[..., LanguageModel]) -> LanguageModel:
    return tiny("llama")


def vector(direction: Direction) -> Tensor:
    return direction.unit(LAYER) * STRENGTH * 4.0


def one(row: int) -> dict[str, Tensor]:
    ids = torch.tensor([PROMPTS[row]])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def refused(
    model: LanguageModel, direction: Direction, message: str, run: Callable[[], object], **options: Any
) -> None:
    with (
        pytest.raises(InputError, match=message) as error,
        torch.no_grad(),
        steer(model, direction, layer=LAYER, strength=STRENGTH, **options),
    ):
        run()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("use_cache", [True, False])
def test_reordered_beams_write_what_each_prompt_writes_alone(
    model: LanguageModel, direction: Direction, when: str, use_cache: bool
) -> None:
    options = SETTINGS | {"num_beams": 3, "num_return_sequences": 3, "use_cache": use_cache}
    with steer(model, direction, layer=LAYER, strength=STRENGTH * 8, when=when):
        together = model.model.generate(**padded("left"), **options)[:, max(N_PROMPT) :]
    for row in range(3):
        with steer(model, direction, layer=LAYER, strength=STRENGTH * 8, when=when):
            alone = model.model.generate(**one(row), **(options | {"use_cache": True}))[:, N_PROMPT[row] :]
        assert torch.equal(together[3 * row : 3 * row + 3], alone)


@pytest.mark.parametrize("when", ["prompt", "response", "response:2"])
def test_rows_of_a_cache_in_another_order_keep_their_own_prompts(
    model: LanguageModel, direction: Direction, when: str
) -> None:
    order = torch.tensor([2, 0, 1, 1])
    batch = padded("left")
    mask = torch.cat([batch["attention_mask"][order], torch.ones(4, 1, dtype=torch.long)], dim=1)
    token = torch.tensor([[41], [42], [43], [44]])
    with torch.no_grad(), steer(model, direction, layer=LAYER, strength=STRENGTH * 50, when=when):
        positions = (batch["attention_mask"].cumsum(1) - 1).clamp_min(0)
        cache = model.model(**batch, position_ids=positions).past_key_values
        cache.reorder_cache(order)
        positions = mask.sum(1, keepdim=True) - 1
        logits = model.model(token, attention_mask=mask, position_ids=positions, past_key_values=cache).logits[:, -1]
    for number, row in enumerate(order.tolist()):
        n_prompt = N_PROMPT[row]
        steered = {
            "prompt": [True] * n_prompt + [False],
            "response": [False] * (n_prompt - 1) + [True, True],
            "response:2": [False] * (n_prompt + 1),
        }[when]
        ids = [*PROMPTS[row], 41 + number]
        expected = naive_logits(model, ids, vector(direction) * 50, steered)[-1]
        torch.testing.assert_close(logits[number], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("options", [{"mask": torch.tensor([True, False, True])}, {"mask": torch.ones(3, 9)}])
def test_what_is_given_row_by_row_is_refused_once_rows_may_have_moved(
    model: LanguageModel, direction: Direction, options: dict[str, Any]
) -> None:
    batch = padded("left")
    mask = torch.cat([batch["attention_mask"], torch.ones(3, 1, dtype=torch.long)], dim=1)
    token = torch.tensor([[41], [42], [43]])

    def run(order: list[int]) -> None:
        cache = model.model(**batch).past_key_values
        cache.reorder_cache(torch.tensor(order))
        model.model(token, attention_mask=mask[order], past_key_values=cache)

    with torch.no_grad(), steer(model, direction, layer=LAYER, **options) as steered:
        run([0, 1, 2])
    assert steered.n_steered > 0
    refused(model, direction, "cannot tell which row is which", lambda: run([1, 0, 2]), **options)
    stated = {"n_prompt_tokens": torch.tensor(N_PROMPT), "when": "response"}
    refused(model, direction, "cannot tell which row is which", lambda: run([1, 0, 2]), **stated)


def test_texts_packed_into_a_row_are_steered_everywhere_or_not_at_all(
    model: LanguageModel, direction: Direction
) -> None:
    ids = torch.tensor([[token for prompt in PROMPTS for token in prompt]])
    positions = torch.cat([torch.arange(n) for n in N_PROMPT])[None]
    with torch.no_grad(), steer(model, direction, layer=LAYER, strength=STRENGTH * 50):
        logits = model.model(ids, position_ids=positions, use_cache=False).logits[0]
    expected = [naive_logits(model, prompt, vector(direction) * 50, [True] * len(prompt)) for prompt in PROMPTS]
    torch.testing.assert_close(logits, torch.cat(expected), atol=1e-5, rtol=1e-4)
    for options in ({"when": "from:2"}, {"when": "prompt"}, {"when": "response"}, {"mask": torch.ones(1, ids.numel())}):
        for mask in ({}, {"attention_mask": torch.ones_like(ids)}):
            refused(
                model,
                direction,
                "cannot tell the position of each token in its text: the position ids begin anew, or jump",
                lambda mask=mask: model.model(ids, position_ids=positions, use_cache=False, **mask),
                **options,
            )
    flash = {"cu_seq_lens_q": torch.tensor([0, 6, 9, 13], dtype=torch.int32)}
    message = r"several texts are packed into one row \(cu_seq_lens_q\)"
    refused(model, direction, message, lambda: model.model(ids, use_cache=False, **flash), when="response")
    numbered = torch.tensor([[1] * 6 + [2] * 3 + [3] * 4])
    message = "the attention mask numbers several texts in one row"
    refused(model, direction, message, lambda: model.model(ids, attention_mask=numbered), when="response")


def in_thread(run: Callable[[], object]) -> None:
    thread = Thread(target=run)
    thread.start()
    thread.join()


@pytest.mark.long
def test_continuous_batching_is_refused(model: LanguageModel, direction: Direction) -> None:
    def run() -> None:
        settings = GenerationConfig(max_new_tokens=3, do_sample=False, eos_token_id=-1, pad_token_id=0)
        small = ContinuousBatchingConfig(num_blocks=16, max_batch_tokens=64)
        written = model.model.generate_batch(
            PROMPTS, generation_config=settings, continuous_batching_config=small, warmup=False
        )
        assert len(written) == 3

    refused(model, direction, r"ran under continuous batching \(generate_batch\) .* Use generate with a padded", run)


def test_pages_of_a_cache_are_refused_here_and_in_the_thread_of_continuous_batching(
    model: LanguageModel, direction: Direction
) -> None:
    paged = {"read_index": [torch.zeros(1)], "cache": object()}

    def run() -> None:
        model.model(torch.tensor([PROMPTS[0]]), use_cache=False, **paged)

    def run_both() -> None:
        model.model(**padded("left"))
        in_thread(run)

    refused(model, direction, "a model under continuous batching .* cannot be steered", run)
    message = r"ran under continuous batching \(generate_batch\) .* Use generate with a padded batch"
    refused(model, direction, message, lambda: in_thread(run))
    refused(model, direction, message, run_both)


@pytest.mark.parametrize("chunk", [2, 5, 6])
def test_a_prompt_that_runs_in_parts_is_steered_everywhere_and_refused_where_its_end_matters(
    model: LanguageModel, direction: Direction, chunk: int
) -> None:
    def run() -> list[int]:
        return model.model.generate(**one(0), **SETTINGS, prefill_chunk_size=chunk)[0, N_PROMPT[0] :].tolist()

    for when in ("all", "from:4"):
        with steer(model, direction, layer=LAYER, strength=STRENGTH, when=when):
            written = run()
        assert written == naive_response(model, 0, vector(direction), when)[0]
    for when in ("prompt", "response"):
        if chunk < N_PROMPT[0]:
            refused(model, direction, "cannot tell where the prompt ends: .* a part of a prompt", run, when=when)
            options = {"when": when, "n_prompt_tokens": N_PROMPT[0]}
        else:
            options = {"when": when}
        with steer(model, direction, layer=LAYER, strength=STRENGTH, **options):
            written = run()
        assert written == naive_response(model, 0, vector(direction), when)[0]


@pytest.mark.parametrize("n_new", [2, N_NEW])
def test_guesses_of_an_assistant_are_no_part_of_the_prompt(
    model: LanguageModel, direction: Direction, n_new: int
) -> None:
    ids = torch.tensor([[7, 8, 9, 7, 8, 9, 7, 8]])
    settings = SETTINGS | {"max_new_tokens": n_new, "min_new_tokens": n_new, "attention_mask": torch.ones_like(ids)}

    def run() -> list[int]:
        return model.model.generate(ids, prompt_lookup_num_tokens=3, **settings)[0].tolist()

    for options in ({"when": "all"}, {"when": "from:4"}, {"when": "response", "n_prompt_tokens": 8}):
        with steer(model, direction, layer=LAYER, strength=STRENGTH, **options):
            guessed = run()
        with steer(model, direction, layer=LAYER, strength=STRENGTH, **options):
            assert guessed == model.model.generate(ids, **settings)[0].tolist()
    for when in ("prompt", "response"):
        refused(model, direction, "cannot tell where the prompt ends: .* with guesses of an assistant", run, when=when)


def test_a_cache_that_is_cut_back_into_the_prompt_has_no_known_end_of_it(
    model: LanguageModel, direction: Direction
) -> None:
    def run(n_cut: int) -> None:
        cache = model.model(torch.tensor([PROMPTS[0]])).past_key_values
        for token in (41, 42, 43):
            model.model(torch.tensor([[token]]), past_key_values=cache)
        cache.crop(-n_cut)
        model.model(torch.tensor([[44]]), past_key_values=cache)

    with torch.no_grad(), steer(model, direction, layer=LAYER, when="response") as steered:
        run(2)
    assert steered.n_steered == 1 + 3 + 1
    refused(model, direction, "cannot tell where the prompt ends", lambda: run(5), when="response")


def four_dimensional(kind: str, dtype: torch.dtype) -> Tensor:
    """The mask of the padded batch, made by hand."""
    real = padded("left")["attention_mask"].bool()
    places = torch.arange(max(N_PROMPT))
    attends = (places[:, None] >= places) & real[:, None, :] & real[:, :, None]
    if kind == "packed":
        attends &= (places[:, None] >= 4) == (places >= 4)
    if kind == "both-ways":
        attends = real[:, None, :] & real[:, :, None]
    attends = attends[:, None]
    return attends if dtype == torch.bool else torch.zeros(attends.shape).masked_fill(~attends, torch.finfo(dtype).min)


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
@pytest.mark.parametrize("when", WHENS)
def test_a_mask_of_four_dimensions_is_read_where_it_is_that_of_one_text_a_row(
    tiny: Callable[..., LanguageModel], direction: Direction, when: str, dtype: torch.dtype
) -> None:
    model, ids = tiny("llama", attn_implementation="sdpa"), padded("left")["input_ids"]
    positions = (padded("left")["attention_mask"].cumsum(1) - 1).clamp_min(0)
    mask = four_dimensional("causal", dtype)
    with torch.no_grad(), steer(model, direction, layer=LAYER, strength=STRENGTH * 50, when=when):
        logits = model.model(ids, attention_mask=mask, position_ids=positions).logits
    for row, n_prompt in enumerate(N_PROMPT):
        steered = {
            "all": [True] * n_prompt,
            "prompt": [True] * n_prompt,
            "response": [False] * (n_prompt - 1) + [True],
            "response:2": [False] * n_prompt,
            "from:4": [place >= 4 for place in range(n_prompt)],
        }[when]
        expected = naive_logits(model, PROMPTS[row], vector(direction) * 50, steered)
        torch.testing.assert_close(logits[row, -n_prompt:], expected, atol=1e-5, rtol=1e-4)
    if when != "all":
        for kind in ("packed", "both-ways"):
            other = four_dimensional(kind, dtype)
            message = "the attention mask is not that of one text in each row, read from left to right"
            run = partial(model.model, ids, attention_mask=other, position_ids=positions)
            refused(model, direction, message, run, when=when)


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("window", [4, 64])
@pytest.mark.parametrize("options", [{}, {"cache_implementation": "static"}, {"use_cache": False}])
def test_a_sliding_window_hides_no_position(
    model: LanguageModel, direction: Direction, when: str, window: int, options: dict[str, object]
) -> None:
    torch.manual_seed(0)
    shape = {"vocab_size": 400, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3}
    config = MistralConfig(**shape, num_attention_heads=4, num_key_value_heads=2, sliding_window=window)
    mistral = wrap(MistralForCausalLM(config), model.tokenizer, name="mistral")
    with steer(mistral, direction, layer=LAYER, strength=STRENGTH, when=when) as steered:
        written = mistral.model.generate(**padded("left"), **SETTINGS, **options)[:, max(N_PROMPT) :].tolist()
    assert written == [naive_response(mistral, row, vector(direction), when)[0] for row in range(3)]
    assert steered.n_steered == expected_count(when)


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("use_cache", [True, False])
def test_prompts_given_as_embeddings_are_steered_as_those_given_as_ids(
    model: LanguageModel, direction: Direction, when: str, use_cache: bool
) -> None:
    batch = padded("left")
    embeds = model.model.get_input_embeddings()(batch["input_ids"]).detach()
    with steer(model, direction, layer=LAYER, strength=STRENGTH, when=when) as steered:
        written = model.model.generate(
            inputs_embeds=embeds, attention_mask=batch["attention_mask"], use_cache=use_cache, **SETTINGS
        )
    assert written.tolist() == [naive_response(model, row, vector(direction), when)[0] for row in range(3)]
    assert steered.n_steered == expected_count(when)


@pytest.mark.parametrize("when", WHENS)
def test_texts_that_take_turns_without_a_cache_are_told_apart(
    model: LanguageModel, direction: Direction, when: str
) -> None:
    texts = [list(prompt) for prompt in PROMPTS]
    with torch.no_grad(), steer(model, direction, layer=LAYER, strength=STRENGTH, when=when):
        for _ in range(N_NEW):
            for text in texts:
                text.append(int(model.model(torch.tensor([text]), use_cache=False).logits[0, -1].argmax()))
    expected = [naive_response(model, row, vector(direction), when)[0] for row in range(3)]
    assert [text[n:] for text, n in zip(texts, N_PROMPT, strict=True)] == expected


@pytest.mark.parametrize("when", WHENS)
def test_right_padding_is_followed_by_steps_over_a_cache(model: LanguageModel, direction: Direction, when: str) -> None:
    batch = padded("right")
    positions = (batch["attention_mask"].cumsum(1) - 1).clamp_min(0)
    mask = batch["attention_mask"]
    with torch.no_grad(), steer(model, direction, layer=LAYER, strength=STRENGTH, when=when) as steered:
        out = model.model(**batch, position_ids=positions)
        tokens = [out.logits[torch.arange(3), torch.tensor(N_PROMPT) - 1].argmax(-1)]
        for _ in range(N_NEW - 1):
            mask = torch.cat([mask, torch.ones(3, 1, dtype=torch.long)], dim=1)
            out = model.model(
                tokens[-1][:, None],
                attention_mask=mask,
                position_ids=mask.sum(1, keepdim=True) - 1,
                past_key_values=out.past_key_values,
            )
            tokens.append(out.logits[:, -1].argmax(-1))
    expected = [naive_response(model, row, vector(direction), when)[0] for row in range(3)]
    assert torch.stack(tokens, dim=1).tolist() == expected
    assert steered.n_steered == expected_count(when)


def test_masks_that_do_not_cover_the_text_and_caches_that_are_not_known_are_refused(
    model: LanguageModel, direction: Direction
) -> None:
    ids, token = padded("left")["input_ids"], torch.tensor([[41], [42], [43]])

    def unmasked_step() -> None:
        cache = model.model(**padded("left")).past_key_values
        model.model(token, past_key_values=cache)

    message = "the prompts were padded, and this pass has no attention mask"
    refused(model, direction, message, unmasked_step, when="response")

    def short_mask() -> None:
        cache = model.model(ids).past_key_values
        model.model(token, past_key_values=cache, attention_mask=torch.ones(3, 1, dtype=torch.long))

    message = "the attention mask has 1 columns, and the cache and this pass 7"
    refused(model, direction, message, short_mask, when="response")
    with torch.no_grad():
        filled = model.model(ids[:1]).past_key_values
    for when in ("prompt", "response", "from:2"):
        cache = DynamicCache(config=model.model.config)
        cache.layers = filled.layers
        run = partial(model.model, token[:1], past_key_values=cache)
        if when == "from:2":
            with torch.no_grad(), steer(model, direction, layer=LAYER, when=when) as steered:
                run()
            assert steered.n_steered == 1
        else:
            refused(model, direction, "cannot tell where the prompt ends", run, when=when)
