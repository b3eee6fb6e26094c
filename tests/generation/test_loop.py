"""The step loop against loops that know no batch and no cache, and with interventions planted in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reasonlens.generation import (
    CachedModel,
    Change,
    Intervention,
    Sampling,
    StepState,
    end_tokens,
    generate,
    replacement,
    takeover,
)
from reasonlens.models import LanguageModel
from reasonlens.models.causality import check_causal
from tests.generation.conftest import CACHED, EVERY, UNCACHED

PROMPTS = [[7, 8, 9, 10, 11, 12], [20, 21, 22], [30, 31, 32, 33], [40], [20, 21, 22], [51, 52, 53, 54, 55, 56, 57]]
N_NEW = 12
GREEDY = Sampling(temperature=0, max_new_tokens=N_NEW)
SAMPLED = Sampling(temperature=1.0, top_p=0.9, max_new_tokens=N_NEW)
LAYER = 1

Speaker = Callable[..., LanguageModel]


def logits_after(model: LanguageModel, ids: list[int], output: Tensor | None = None) -> Tensor:
    """Of the next token, from the whole text; with another output of the block at the last token, if one is given."""

    def hook(module: object, args: object, block_output: Any) -> Any:
        hidden = (block_output[0] if isinstance(block_output, tuple) else block_output).clone()
        if output is not None:
            hidden[:, -1] = output
        return (hidden, *block_output[1:]) if isinstance(block_output, tuple) else hidden

    handle = model.blocks[LAYER].register_forward_hook(hook)
    with torch.no_grad():
        logits: Tensor = model.model(torch.tensor([ids]), use_cache=False).logits[0, -1]
    handle.remove()
    return logits


def output_at(model: LanguageModel, ids: list[int]) -> Tensor:
    """The block's output at the last token, from the whole text."""
    outputs: list[Any] = []
    handle = model.blocks[LAYER].register_forward_hook(lambda module, args, output: outputs.append(output))
    with torch.no_grad():
        model.model(torch.tensor([ids]), use_cache=False)
    handle.remove()
    hidden: Tensor = outputs[0][0] if isinstance(outputs[0], tuple) else outputs[0]
    return hidden[0, -1]


def draw(logits: Tensor, uniform: float | None, sampling: Sampling = SAMPLED) -> int:
    """The likeliest token, or the one of the nucleus that a number in [0, 1) falls on; an independent reference."""
    if uniform is None:
        return int(logits.argmax())
    p = np.exp((logits.double() / sampling.temperature).log_softmax(-1).numpy())
    order = np.argsort(-p, kind="stable")
    total = np.cumsum(p[order])
    n = int(np.searchsorted(total, sampling.top_p)) + 1
    return int(order[np.searchsorted(total[:n], uniform * total[n - 1], side="right")])


def naive(model: LanguageModel, prompt: list[int], n_tokens: int, uniforms: np.ndarray | None = None) -> list[int]:
    ids, stops = list(prompt), end_tokens(model)
    for step in range(n_tokens):
        ids.append(draw(logits_after(model, ids), None if uniforms is None else uniforms[step]))
        if ids[-1] in stops:
            break
    return ids[len(prompt) :]


def with_ends(speaker: Speaker, architecture: str) -> LanguageModel:
    """A model some of whose greedy texts end early, and others not at all."""
    texts = generate(speaker(architecture), PROMPTS, GREEDY)
    (first, *_) = sorted({texts[0][3], texts[1][6]} - {token for text in texts[2:4] for token in text[:2]})
    return speaker(architecture, ends=[first])


@contextmanager
def passes(model: LanguageModel) -> Iterator[list[tuple[int, int]]]:
    """Rows and tokens of every pass, but for the one that finds out, once a model, that it reads from left to right."""
    check_causal(model)
    shapes: list[tuple[int, int]] = []
    handle = model.model.get_input_embeddings().register_forward_hook(
        lambda module, args, output: shapes.append(tuple(args[0].shape))
    )
    yield shapes
    handle.remove()


@pytest.mark.parametrize("architecture", EVERY)
def test_a_batch_writes_what_a_loop_without_cache_and_batch_writes(speaker: Speaker, architecture: str) -> None:
    model = with_ends(speaker, architecture)
    expected = [naive(model, prompt, N_NEW) for prompt in PROMPTS]
    assert generate(model, PROMPTS, GREEDY) == expected
    assert len({len(text) for text in expected}) > 1, "rows leave the batch at different times"


@pytest.mark.parametrize("architecture", ["llama", "window", "lfm2", "mamba"])
def test_a_sampled_row_draws_by_its_own_numbers(speaker: Speaker, architecture: str) -> None:
    model = with_ends(speaker, architecture)
    uniforms = [np.random.default_rng([3, number]).random(N_NEW).astype(np.float32) for number in range(len(PROMPTS))]
    expected = [naive(model, prompt, N_NEW, numbers) for prompt, numbers in zip(PROMPTS, uniforms, strict=True)]
    assert generate(model, PROMPTS, SAMPLED, seed=3) == expected
    assert expected[1] != expected[4], "equal prompts have numbers of their own"


@pytest.mark.parametrize("architecture", EVERY)
@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
def test_neither_the_batch_nor_the_order_nor_other_rows_change_what_a_row_writes(
    speaker: Speaker, architecture: str, sampling: Sampling
) -> None:
    model = with_ends(speaker, architecture)
    together = generate(model, PROMPTS, sampling, seed=3)
    assert generate(model, PROMPTS, sampling, seed=3, n_rows=1) == together
    order = [4, 0, 5, 2]
    some = generate(model, [PROMPTS[place] for place in order], sampling, seed=3, numbers=order, n_rows=3)
    assert some == [together[place] for place in order]
    if sampling is SAMPLED:
        assert generate(model, PROMPTS, sampling, seed=4) != together


@pytest.mark.parametrize("architecture", CACHED)
@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
def test_without_a_cache_the_same_is_written(
    speaker: Speaker, architecture: str, sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = with_ends(speaker, architecture)
    with passes(model) as cached:
        expected = generate(model, PROMPTS, sampling, seed=3)
    monkeypatch.setattr(CachedModel, "_take_cache", lambda *_: None)
    with passes(model) as uncached:
        assert generate(model, PROMPTS, sampling, seed=3) == expected
    assert {n_tokens for _, n_tokens in cached[1:]} == {1}
    assert [n_tokens for _, n_tokens in uncached] == list(range(7, 7 + len(uncached)))


@pytest.mark.parametrize("architecture", UNCACHED)
def test_a_model_that_fills_no_plain_cache_is_run_whole(speaker: Speaker, architecture: str) -> None:
    model = speaker(architecture)
    with passes(model) as shapes:
        generate(model, PROMPTS[:1], GREEDY)
    assert [n_tokens for _, n_tokens in shapes] == list(range(6, 6 + N_NEW))


@pytest.mark.parametrize("architecture", CACHED)
def test_greedy_texts_are_those_of_transformers_own_generate(speaker: Speaker, architecture: str) -> None:
    model = speaker(architecture, ends=[1])
    for prompt, text in zip(PROMPTS, generate(model, PROMPTS, GREEDY), strict=True):
        ids = torch.tensor([prompt])
        theirs = model.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=N_NEW, do_sample=False, pad_token_id=1
        )
        assert theirs[0, len(prompt) :].tolist() == text


def test_equal_prompts_are_run_once_and_rows_that_have_ended_no_more(speaker: Speaker) -> None:
    model = with_ends(speaker, "llama")
    with passes(model) as shapes:
        texts = generate(model, PROMPTS, GREEDY)
    lengths = [len(text) for text in texts]
    ended = [len(text) if text[-1] in end_tokens(model) else N_NEW for text in texts]
    expected = [(5, 7)] + [(sum(length > step for length in ended), 1) for step in range(1, max(lengths))]
    assert shapes == expected
    assert len({rows for rows, _ in shapes[1:]}) > 1


def test_hooks_see_every_row_of_equal_prompts(speaker: Speaker) -> None:
    """What a hook does may depend on the row: a hook on one of two equal rows leaves the other alone."""
    model = speaker("llama")
    (alone,) = generate(model, PROMPTS[:1], GREEDY)

    def hook(module: object, args: object, output: Tensor) -> Tensor:
        return torch.cat([output[:1], -output[1:]])

    handle = model.blocks[LAYER].register_forward_hook(hook)
    one, other = generate(model, [PROMPTS[0]] * 2, GREEDY)
    handle.remove()
    assert one == alone != other


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_each_row_writes_up_to_the_end_of_the_context_whatever_stands_beside_it(
    speaker: Speaker, architecture: str
) -> None:
    model = speaker(architecture)
    context = model.context_tokens or 0
    long = np.random.default_rng(0).integers(3, 400, context).tolist()
    prompts = [long[: context - 3], [7, 8], long, long[: context - 7], long[: context - 1] + [5, 6]]
    texts = generate(model, prompts, Sampling(temperature=0, max_new_tokens=5))
    assert [len(text) for text in texts] == [3, 5, 0, 5, 0]
    assert texts == [generate(model, [prompt], Sampling(temperature=0, max_new_tokens=5))[0] for prompt in prompts]


def test_a_limit_of_its_own_ends_a_row_and_no_other(speaker: Speaker) -> None:
    model = speaker("llama")
    whole = generate(model, PROMPTS, GREEDY)
    limits = [3, 0, 100, 1, 12, -4]
    cut = generate(model, PROMPTS, GREEDY, limits=limits)
    assert cut == [text[: max(limit, 0)] for text, limit in zip(whole, limits, strict=True)]


def at(step: int, *rows: int) -> Callable[[StepState], Tensor]:
    """A gate that opens at one step of some rows."""
    return lambda state: torch.isin(state.rows, torch.tensor(rows)) & (state.step == step)


@pytest.mark.parametrize("architecture", EVERY)
@pytest.mark.parametrize("step", [0, 4])
def test_a_planted_token_is_emitted_and_the_text_goes_on_from_it(
    speaker: Speaker, architecture: str, step: int
) -> None:
    model = speaker(architecture)

    def plant(state: StepState) -> Change | None:
        rows = at(step, 1, 5)(state).nonzero()[:, 0]
        return Change(rows, tokens=torch.tensor([333] * len(rows))) if len(rows) else None

    alone = generate(model, PROMPTS, GREEDY)
    changed = generate(model, PROMPTS, GREEDY, interventions=[plant])
    for row, (before, after) in enumerate(zip(alone, changed, strict=True)):
        if row in (1, 5):
            planted = [*before[:step], 333]
            assert after == planted + naive(model, PROMPTS[row] + planted, N_NEW - step - 1)
        else:
            assert after == before


@pytest.mark.parametrize("architecture", EVERY)
@pytest.mark.parametrize("step", [0, 4])
def test_a_replaced_output_changes_the_token_that_follows_and_leaves_cache_and_other_rows_as_they_are(
    speaker: Speaker, architecture: str, step: int
) -> None:
    model = speaker(architecture)
    vector = 9 * torch.randn(32, generator=torch.Generator().manual_seed(0))
    activations: dict[int, Tensor] = {}

    def replace(state: StepState, rows: Tensor) -> Tensor:
        activations.update(zip(state.rows[rows].tolist(), state.activations[rows], strict=True))
        return state.activations[rows] + vector

    steer = replacement(at(step, 1, 5), replace)
    alone = generate(model, PROMPTS, GREEDY)
    changed = generate(model, PROMPTS, GREEDY, layer=LAYER, interventions=[steer])
    n_changed = 0
    for row, (before, after) in enumerate(zip(alone, changed, strict=True)):
        if row not in (1, 5):
            assert after == before
            continue
        ids = PROMPTS[row] + before[:step]
        own = output_at(model, ids)
        torch.testing.assert_close(activations[row], own, atol=1e-4, rtol=1e-4)
        token = int(logits_after(model, ids, own + vector).argmax())
        n_changed += token != before[step]
        rest = naive(model, [*ids, token], N_NEW - step - 1)
        assert after == [*before[:step], token, *rest], "what follows does not know that it was steered"
    assert n_changed


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
def test_a_takeover_emits_the_followers_token_drawn_by_the_same_number(speaker: Speaker, sampling: Sampling) -> None:
    model, other = speaker("llama"), speaker("llama", moved=0.4)

    def follow(writer: CachedModel, places: Any) -> CachedModel:
        return CachedModel(other, [PROMPTS[place] for place in places])

    def everywhere(state: StepState) -> Tensor:
        return torch.ones_like(state.last_ids, dtype=torch.bool)

    taken = generate(model, PROMPTS, sampling, seed=2, follower_of=follow, interventions=[takeover(everywhere)])
    assert taken == generate(other, PROMPTS, sampling, seed=2) != generate(model, PROMPTS, sampling, seed=2)


def test_the_last_intervention_has_the_last_word(speaker: Speaker) -> None:
    def planting(token: int) -> Intervention:
        return lambda state: Change(torch.arange(len(state.rows)), tokens=torch.full_like(state.last_ids, token))

    texts = generate(speaker("llama"), PROMPTS, GREEDY, interventions=[planting(5), planting(6)])
    assert texts == [[6] * N_NEW] * len(PROMPTS)


@pytest.mark.parametrize("n_rows", [2, 128])
def test_an_observer_sees_every_token_once_with_what_was_known_before_it(speaker: Speaker, n_rows: int) -> None:
    model = with_ends(speaker, "llama")
    observed: list[list[int]] = [[] for _ in PROMPTS]

    def observe(state: StepState, places: Sequence[int], tokens: Tensor, numbers: Sequence[int]) -> None:
        assert state.rows.tolist() == list(state.row_numbers) == [place + 10 for place in places]
        assert tokens.tolist() == list(numbers)
        assert state.last_tokens == (None if not state.step else state.last_ids.tolist())
        for place, last, token in zip(places, state.last_ids.tolist(), numbers, strict=True):
            assert len(observed[place]) == state.step
            assert last == (PROMPTS[place] + observed[place])[-1]
            observed[place].append(token)

    numbers = [10 + place for place in range(len(PROMPTS))]
    assert generate(model, PROMPTS, GREEDY, numbers=numbers, n_rows=n_rows, observe=observe) == observed
