"""Steps over a cache of one shape, as CUDA runs them, against steps over the cache that grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from reasonlens.generation import CachedModel, Sampling, StepState, fixed_cache, generate, replacement, takeover, write
from reasonlens.models import LanguageModel
from reasonlens.vectors.steering import When, steer
from tests.generation.conftest import EVERY
from tests.generation.test_loop import GREEDY, LAYER, N_NEW, PROMPTS, SAMPLED, Speaker, at, passes, with_ends
from tests.generation.test_writing import LONGER, ending_early, steering_of

FIXED = ("llama", "qwen", "phi", "gpt-neox", "gpt2", "opt")


@pytest.fixture
def fix(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`fix()`: from here on the CPU is treated as CUDA is, with room for few columns at once."""

    def begin(block: int = 5, fewer: float = 0.75) -> None:
        monkeypatch.setattr(fixed_cache, "DEVICES", {"cpu"})
        monkeypatch.setattr(fixed_cache, "BLOCK", block)
        monkeypatch.setattr("reasonlens.generation.cached_model.FEWER", fewer)

    return begin


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("architecture", EVERY)
def test_the_tokens_are_those_of_the_cache_that_grows(
    speaker: Speaker, fix: Callable[..., None], architecture: str, sampling: Sampling
) -> None:
    model = with_ends(speaker, architecture)
    grown = generate(model, PROMPTS, sampling, seed=3)
    fix()
    writer = CachedModel(model, PROMPTS)
    writer.step()
    writer.extend(torch.arange(len(PROMPTS)), None)
    assert (writer._room is not None) == (architecture in FIXED)
    assert generate(model, PROMPTS, sampling, seed=3) == grown
    assert sampling is SAMPLED or len({len(text) for text in grown}) > 1, "rows end at different times"


@pytest.mark.parametrize("architecture", FIXED)
def test_without_free_columns_and_ended_rows_every_logit_is_the_same_bit_for_bit(
    speaker: Speaker, fix: Callable[..., None], architecture: str
) -> None:
    model = with_ends(speaker, architecture)
    model.model.set_attn_implementation("eager")  # which adds zeros where sdpa would go without a mask
    vector = torch.linspace(-1, 1, model.d_model)
    steering = replacement(at(3, 1, 2), lambda state, rows: state.activations[rows] + vector)

    def states() -> list[Tensor]:
        seen: list[Tensor] = []

        def observe(state: StepState, places: Sequence[int], tokens: Tensor, numbers: Sequence[int]) -> None:
            seen.extend([state.logits.clone(), state.activations.clone(), tokens])

        generate(model, PROMPTS, GREEDY, layer=LAYER, interventions=[steering], observe=observe)
        return seen

    grown = states()
    fix(block=1, fewer=1.0)
    assert all(map(torch.equal, states(), grown))


def test_steps_have_one_shape_until_rows_that_have_ended_are_many(speaker: Speaker, fix: Callable[..., None]) -> None:
    model = with_ends(speaker, "llama")
    lengths = [len(text) for text in generate(model, PROMPTS, GREEDY)]
    fix(fewer=0.5)
    with passes(model) as shapes:
        generate(model, PROMPTS, GREEDY)
    n_slots, expected = len(PROMPTS), [(5, 7)]
    for step in range(1, max(lengths)):
        n_going = sum(length > step for length in lengths)
        n_slots = n_going if step > 1 and n_going <= n_slots / 2 else n_slots
        expected.append((n_going if step == 1 else n_slots, 1))
        n_slots = n_going if step == 1 else n_slots
    assert shapes == expected
    assert any(sum(length > step for length in lengths) < rows for step, (rows, _) in enumerate(shapes) if step), "idle"


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_interventions_and_followers_see_and_do_the_same(
    speaker: Speaker, fix: Callable[..., None], sampling: Sampling
) -> None:
    model, other = with_ends(speaker, "llama"), speaker("llama", moved=0.4)
    vector = 3 * torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))
    activations: list[Tensor] = []

    def changed() -> list[list[int]]:
        def replace(state: StepState, rows: Tensor) -> Tensor:
            activations.append(state.activations[rows])
            return state.activations[rows] + vector

        return generate(
            model,
            PROMPTS,
            sampling,
            layer=LAYER,
            follower_of=lambda writer, places: CachedModel(other, [PROMPTS[place] for place in places]),
            interventions=[
                replacement(lambda state: (state.rows + state.step) % 3 == 0, replace),
                takeover(lambda state: (state.rows + state.step) % 5 == 0),
            ],
        )

    grown, n = changed(), len(activations)
    fix()
    assert changed() == grown != generate(model, PROMPTS, sampling)
    for one, same in zip(activations[:n], activations[n:], strict=True):
        torch.testing.assert_close(one, same, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("when", ["response:3", "from:2", "prompt"])
def test_rows_that_have_ended_are_neither_steered_nor_counted(
    tiny: Callable[..., LanguageModel], fix: Callable[..., None], when: str
) -> None:
    model = ending_early(tiny, lambda model: steering_of(model, when=When.parse(when)))
    sampling, steering = Sampling(temperature=0, max_new_tokens=N_NEW), steering_of(model, when=When.parse(when))
    with steer(model, steering) as grown:
        texts = write(model, LONGER, sampling)
    fix()
    with steer(model, steering) as fixed:
        assert write(model, LONGER, sampling) == texts
    assert (fixed.n_steered, fixed.n_tokens) == (grown.n_steered, grown.n_tokens)
    assert len({text.n_tokens for text in texts}) > 1, "rows end at different times"
