"""Whom a `steer` block acts on: the context that entered it, what is carried into other threads, and nobody else."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread

import pytest
import torch
from torch import Tensor
from transformers import TextIteratorStreamer

import reasonlens
from reasonlens.models import LanguageModel
from reasonlens.rundir import InputError
from reasonlens.traces import Trace
from reasonlens.vectors import Direction
from reasonlens.vectors.steering import steer
from tests.vectors.steering.conftest import N_PROMPT, PROMPTS, padded

STRENGTH = 2.0


@pytest.fixture
def model(tiny: Callable[..., LanguageModel]) -> LanguageModel:
    return tiny("llama")


def logits(model: LanguageModel) -> Tensor:
    with torch.no_grad():
        return model.model(**padded("left")).logits


def in_thread(function: Callable[[], Tensor]) -> Tensor:
    results: list[Tensor] = []
    thread = Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_a_pass_of_another_thread_is_neither_steered_nor_counted(model: LanguageModel, direction: Direction) -> None:
    plain = logits(model)
    with steer(model, direction, layer=1, strength=STRENGTH) as steered:
        assert torch.equal(in_thread(lambda: logits(model)), plain)
        assert not torch.equal(logits(model), plain)
    assert steered.n_forwards == 1 and steered.n_tokens == sum(N_PROMPT)


def test_threads_that_steer_one_model_at_a_time_each_get_their_own_strength(
    model: LanguageModel, direction: Direction
) -> None:
    strengths = [0.0, 0.5, 1.0, 2.0]

    def steered_logits(strength: float) -> tuple[Tensor, int]:
        with steer(model, direction, layer=1, strength=strength, when="response") as steered:
            return logits(model), steered.n_tokens

    alone = [steered_logits(strength) for strength in strengths]
    barrier = Barrier(len(strengths))

    def at_once(strength: float) -> list[tuple[Tensor, int]]:
        barrier.wait(timeout=30)
        return [steered_logits(strength) for _ in range(10)]

    with ThreadPoolExecutor(len(strengths)) as pool:
        for (expected, n_tokens), repeats in zip(alone, pool.map(at_once, strengths), strict=True):
            assert all(torch.equal(found, expected) and n == n_tokens for found, n in repeats)
    assert len({tuple(found[0, -1, :4].tolist()) for found, _ in alone}) == len(strengths)


def test_asyncio_tasks_that_take_turns_are_steered_each_by_its_own_block(
    model: LanguageModel, direction: Direction
) -> None:
    plain = logits(model)
    expected = {}
    for strength in (0.5, 2.0):
        with steer(model, direction, layer=1, strength=strength):
            expected[strength] = logits(model)

    async def steered_task(strength: float) -> bool:
        with steer(model, direction, layer=1, strength=strength):
            same = []
            for _ in range(5):
                await asyncio.sleep(0)
                same.append(torch.equal(logits(model), expected[strength]))
            same.append(torch.equal(await asyncio.to_thread(logits, model), expected[strength]))
        return all(same)

    async def plain_task() -> bool:
        same = []
        for _ in range(7):
            await asyncio.sleep(0)
            same.append(torch.equal(logits(model), plain))
        return all(same)

    async def together() -> list[bool]:
        return await asyncio.gather(steered_task(0.5), plain_task(), steered_task(2.0))

    assert asyncio.run(together()) == [True, True, True]


def test_a_function_that_is_carried_into_a_thread_is_steered_there_as_a_streamer_needs_it(
    model: LanguageModel, direction: Direction
) -> None:
    ids = torch.tensor([PROMPTS[0]])
    settings = {
        "do_sample": False,
        "max_new_tokens": 5,
        "min_new_tokens": 5,
        "pad_token_id": 1,
        "attention_mask": torch.ones_like(ids),
    }
    with steer(model, direction, layer=1, strength=STRENGTH, when="response") as here:
        expected = model.model.generate(ids, **settings)
    written: list[Tensor] = []
    streamer = TextIteratorStreamer(model.tokenizer)
    with steer(model, direction, layer=1, strength=STRENGTH, when="response") as steered:
        generate = steered.carry(lambda: written.append(model.model.generate(ids, streamer=streamer, **settings)))
        thread = Thread(target=generate)
        thread.start()
        text = "".join(streamer)
        thread.join()
    assert torch.equal(written[0], expected) and text == model.tokenizer.decode(expected[0])
    assert (steered.n_steered, steered.n_tokens) == (here.n_steered, here.n_tokens)


def test_carried_threads_at_work_at_once_keep_their_steps_apart(model: LanguageModel, direction: Direction) -> None:
    def written(row: int) -> list[int]:
        ids = torch.tensor([PROMPTS[row]])
        options = {"do_sample": False, "max_new_tokens": 12, "min_new_tokens": 12, "pad_token_id": 1}
        return model.model.generate(ids, attention_mask=torch.ones_like(ids), **options)[0].tolist()

    with steer(model, direction, layer=1, strength=0.05, when="response") as alone:
        expected = [written(row) for row in range(3)]
    with (
        steer(model, direction, layer=1, strength=0.05, when="response") as steered,
        ThreadPoolExecutor(3) as pool,
    ):
        assert list(pool.map(steered.carry(written), [0, 1, 2] * 3)) == expected * 3
        assert written(0) == expected[0]  # a carried function has not closed the block here
    assert steered.n_steered == 3 * alone.n_steered + 12


def test_a_model_that_ran_only_elsewhere_is_an_error_and_one_that_still_runs_too(
    model: LanguageModel, direction: Direction
) -> None:
    with (
        pytest.raises(
            InputError, match=r"ran in another thread or task only.* give the thread steered.carry\(function\)"
        ),
        steer(model, direction, layer=1),
    ):
        in_thread(lambda: logits(model))
    barrier = Barrier(2)
    thread = None
    with (
        pytest.raises(InputError, match="still runs in another thread where its steering ends.* join the thread"),
        steer(model, direction, layer=1) as steered,
    ):
        logits(model)
        thread = Thread(target=steered.carry(lambda: barrier.wait(timeout=30)))
        thread.start()
        while not steered._scope.n_carried:
            pass
    barrier.wait(timeout=30)
    assert thread is not None
    thread.join()


def test_no_error_of_its_own_hides_that_of_the_block(model: LanguageModel, direction: Direction) -> None:
    with pytest.raises(RuntimeError, match="mine"), steer(model, direction, layer=1):
        in_thread(lambda: logits(model))
        raise RuntimeError("mine")


def test_collecting_inside_steer_is_steered_and_collecting_elsewhere_is_not(
    model: LanguageModel, direction: Direction, traces: list[Trace]
) -> None:
    def collected() -> Tensor:
        return torch.as_tensor(reasonlens.collect(model, traces[:4], progress=False).layer(1))

    plain = collected()
    with steer(model, direction, layer=1, strength=STRENGTH) as steered:
        assert torch.equal(in_thread(collected), plain)
        assert steered.n_forwards == 0
        inside = collected()
    torch.testing.assert_close(inside - plain, (STRENGTH * 4.0 * direction.unit(1)).expand_as(plain))


def test_a_pass_that_a_controller_runs_is_left_alone(model: LanguageModel, direction: Direction) -> None:
    plain, seen = logits(model), []

    def asks_the_model(activations: Tensor, step: object) -> Tensor:
        seen.append(logits(model))
        return torch.ones(activations.shape[:2], dtype=torch.bool)

    with steer(model, direction, layer=1, strength=STRENGTH):
        expected = logits(model)
    with steer(model, direction, layer=1, strength=STRENGTH, controller=asks_the_model) as steered:
        assert torch.equal(logits(model), expected)
    assert len(seen) == 1 and torch.equal(seen[0], plain)
    assert steered.n_forwards == 1


def test_a_steer_object_is_entered_once(model: LanguageModel, direction: Direction) -> None:
    once = steer(model, direction, layer=1)
    with once:
        logits(model)
        with pytest.raises(InputError, match=r"has been entered already.* call steer\(\.\.\.\) again"), once:
            pass
        assert not torch.equal(logits(model), in_thread(lambda: logits(model)))
    with pytest.raises(InputError, match="has been entered already"), once:
        pass
    with warnings.catch_warnings(), steer(model, direction, layer=1):
        logits(model)
