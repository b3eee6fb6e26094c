"""Several threads and tasks that read one model at a time get what each gets alone."""

from __future__ import annotations

import asyncio
import os
import signal
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread

import pytest
import torch
from torch import Tensor

import reasonlens
from reasonlens.generation.cached_model import CachedModel
from reasonlens.models import LanguageModel
from reasonlens.models.one_pass import one_pass
from reasonlens.rundir import InputError
from reasonlens.traces import Trace

N_THREADS = 4


@pytest.fixture
def model(tiny: Callable[..., LanguageModel]) -> LanguageModel:
    return tiny("llama")


def collected(model: LanguageModel, traces: list[Trace], **options: object) -> Tensor:
    activations = reasonlens.collect(model, traces, progress=False, **options)
    return torch.stack([torch.as_tensor(activations.layer(layer)) for layer in activations.layers])


def test_threads_that_collect_from_one_model_get_what_each_gets_alone(
    model: LanguageModel, traces: list[Trace]
) -> None:
    parts = [traces[number::N_THREADS] for number in range(N_THREADS)]
    alone = [collected(model, part, tokens_per_batch=64) for part in parts]
    with ThreadPoolExecutor(N_THREADS) as pool:
        for _ in range(6):
            together = list(pool.map(lambda part: collected(model, part, tokens_per_batch=64), parts))
            assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


def test_a_plain_pass_elsewhere_is_not_read_and_not_stopped(model: LanguageModel, traces: list[Trace]) -> None:
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        logits = model.model(ids).logits
    expected = collected(model, traces, layers=[0, 1])
    is_over, wrong = Event(), []

    def run_plain() -> None:
        while not is_over.is_set():
            with torch.no_grad():
                wrong.append(not torch.equal(model.model(ids).logits, logits))

    thread = Thread(target=run_plain)
    thread.start()
    try:
        for _ in range(6):
            assert torch.equal(collected(model, traces, layers=[0, 1]), expected)
    finally:
        is_over.set()
        thread.join()
    assert len(wrong) > 3 and not any(wrong)


def test_tasks_in_threads_collect_and_write_at_a_time(model: LanguageModel, traces: list[Trace]) -> None:
    def outputs(start: int) -> Tensor:
        cached = CachedModel(model, [list(range(start, start + 6))])
        seen = []
        with torch.no_grad(), cached.reading(1):
            for token in range(8):
                cached.step()
                seen.append(cached.activations)
                cached.extend(torch.tensor([5 + token]), None)
        return torch.cat(seen)

    expected = [outputs(start) for start in (5, 50, 100)]
    activations = collected(model, traces)

    async def together() -> list[Tensor]:
        jobs = [asyncio.to_thread(outputs, start) for start in (5, 50, 100)]
        return await asyncio.gather(*jobs, asyncio.to_thread(collected, model, traces))

    for _ in range(4):
        found = asyncio.run(together())
        assert all(torch.equal(one, other) for one, other in zip(found, [*expected, activations], strict=True))


def test_the_lock_is_free_again_after_an_error_and_may_be_held_twice_by_one_thread(
    model: LanguageModel, traces: list[Trace]
) -> None:
    with pytest.raises(RuntimeError, match="mine"), one_pass(model), one_pass(model):
        raise RuntimeError("mine")
    with pytest.raises(RuntimeError, match="in the pass"):
        hook = model.blocks[1].register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("in the pass")))
        try:
            collected(model, traces)
        finally:
            hook.remove()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(collected, model, traces).result(timeout=60).isfinite().all()


def test_handles_on_one_model_share_its_lock_and_others_do_not(
    model: LanguageModel, tiny: Callable[..., LanguageModel]
) -> None:
    def is_free(handle: LanguageModel) -> bool:
        def run() -> None:
            with one_pass(handle):
                pass

        thread = Thread(target=run)
        thread.start()
        thread.join(timeout=0.5)
        waiting.append(thread)
        return not thread.is_alive()

    waiting: list[Thread] = []
    with one_pass(model):
        assert is_free(tiny("llama"))
        assert not is_free(reasonlens.load(model.model, model.tokenizer))
    for thread in waiting:
        thread.join(timeout=30)


def test_a_block_that_runs_twice_in_a_pass_is_refused(model: LanguageModel) -> None:
    with (
        pytest.raises(InputError, match="block 1 of tiny-llama ran several times in one forward pass"),
        torch.no_grad(),
        one_pass(model, {1: lambda *_: None}),
    ):
        for _ in range(2):
            model.model(torch.tensor([[5, 6, 7]]))


def test_a_child_that_is_forked_while_a_thread_reads_has_free_locks(model: LanguageModel, traces: list[Trace]) -> None:
    held, release = Event(), Event()

    def hold() -> None:
        with one_pass(model):
            held.set()
            release.wait(30)

    holder = Thread(target=hold)
    holder.start()
    held.wait(30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of forks beside threads
        child = os.fork()
    if not child:
        signal.alarm(20)  # a lock that nobody frees ends the child by a signal
        with one_pass(model):
            os._exit(0)
    _, status = os.waitpid(child, 0)
    release.set()
    holder.join()
    assert status == 0


def test_a_model_in_training_is_read_in_evaluation_mode_and_goes_on_training(
    tiny: Callable[..., LanguageModel], traces: list[Trace]
) -> None:
    model = tiny("gpt2")  # has dropout
    expected = collected(model, traces)
    model.model.train()
    model.blocks[1].eval()
    assert torch.equal(collected(model, traces), expected)
    assert model.model.training and not model.blocks[1].training
    fresh = tiny("gpt2")
    fresh.model.train()  # from its first pass on, which finds out that it reads from left to right
    assert torch.equal(collected(fresh, traces), expected)


def test_threads_that_run_each_others_model_inside_their_own_do_not_wait_for_ever(
    tiny: Callable[..., LanguageModel],
) -> None:
    first, second = tiny("llama"), tiny("gpt2")
    both_hold, errors = Barrier(2), []

    def nested(outer: LanguageModel, inner: LanguageModel) -> None:
        with one_pass(outer):
            both_hold.wait(30)
            try:
                with one_pass(inner), one_pass(outer):
                    pass
            except InputError as error:
                errors.append(str(error))

    threads = [Thread(target=nested, args=pair, daemon=True) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert len(errors) == 1 and "would wait for each other" in errors[0]
    with one_pass(first), one_pass(second), one_pass(first):
        pass
