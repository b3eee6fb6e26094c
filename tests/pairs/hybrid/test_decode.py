"""Hybrid decoding against the naive algorithm: every token from the whole text anew, one row at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from reasonlens.generation import Sampling, StepState, choose_tokens, end_tokens, row_uniforms, write
from reasonlens.models import LanguageModel
from reasonlens.pairs.hybrid import (
    Mechanism,
    Plan,
    always,
    decode,
    disagreement,
    never,
    positions,
)
from reasonlens.rundir import InputError
from tests.conftest import CONFIGS

PROMPTS = [[7, 8, 9, 10, 11, 12], [20, 21, 22], [30, 31, 32, 33], [40]]
GREEDY = Sampling(n_samples=1, temperature=0, max_new_tokens=8)
LAYER, STRENGTH, NORM = 1, 1.5, 0.05  # so little that the text still depends on everything before it


def mechanism(n: int = 2, seed: int = 0, norm: float = NORM) -> Mechanism:
    drawn = torch.randn(n, 32, generator=torch.Generator().manual_seed(seed))
    return Mechanism(
        behaviours=tuple("abcdef"[:n]),
        units=torch.nn.functional.normalize(drawn, dim=-1),
        layer=LAYER,
        residual_norm=norm,
    )


def other(model: LanguageModel) -> LanguageModel:
    """Another model of the same kind: its weights moved a little."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.model.parameters():
            weight.add_(0.4 * weight.std().nan_to_num() * torch.randn(weight.shape, generator=generator))
    return model


def by_token_parity(state: StepState) -> Tensor:
    return state.last_ids % 2


def naive(
    base: LanguageModel, thinking: LanguageModel, prompt: list[int], gate: str, vectors: Mechanism
) -> tuple[list[int], list[bool]]:
    ids, gates = list(prompt), []
    stops = set(end_tokens(base))

    def logits(model: LanguageModel, vector: Tensor | None = None) -> Tensor:
        def hook(module: object, args: object, output: Any) -> Any:
            hidden = (output[0] if isinstance(output, tuple) else output).clone()
            if vector is not None:
                hidden[:, -1] += vector
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        handle = model.blocks[LAYER].register_forward_hook(hook)
        with torch.no_grad():
            found = model.model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        handle.remove()
        return found

    for _ in range(GREEDY.max_new_tokens):
        own, led = int(logits(base).argmax()), int(logits(thinking).argmax())
        opens = own != led if gate == "disagreement" else True
        gates.append(opens)
        token = own
        if opens:
            token = int(logits(base, vectors.units[ids[-1] % 2] * STRENGTH * vectors.residual_norm).argmax())
        ids.append(token)
        if token in stops:
            break
    return ids[len(prompt) :], gates


@pytest.mark.parametrize("architecture", CONFIGS)
@pytest.mark.parametrize("gate", ["disagreement", "always"])
def test_a_cached_batch_equals_the_naive_algorithm_row_by_row(
    tiny: Callable[..., LanguageModel], architecture: str, gate: str
) -> None:
    base, thinking = tiny(architecture), other(tiny(architecture))
    vectors = mechanism(norm=2.0 if architecture == "gemma" else NORM)  # its activations are that much longer
    plan = Plan(
        gate=disagreement if gate == "disagreement" else always,
        mechanism=vectors,
        chooser=by_token_parity,
        strength=lambda state, behaviour: torch.full((len(behaviour),), STRENGTH),
    )
    found = decode(base, thinking, PROMPTS, None, plan, GREEDY)
    for prompt, record in zip(PROMPTS, found, strict=True):
        expected, gates = naive(base, thinking, prompt, gate, vectors)
        assert (list(record.tokens), list(record.gated)) == (expected, gates)
    assert any(record.n_changed for record in found)
    assert len({record.tokens for record in found}) == len(found)
    assert not any(vars(block).get("forward") for block in base.blocks)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_batch_equals_its_rows_one_by_one(tiny: Callable[..., LanguageModel], temperature: float) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    sampling = Sampling(n_samples=1, temperature=temperature, max_new_tokens=12)
    plan = Plan(gate=positions(0.3, seed=5), mechanism=mechanism(), chooser=by_token_parity)
    together = decode(base, thinking, PROMPTS, None, plan, sampling, seed=2)
    assert together == decode(base, thinking, PROMPTS, None, plan, sampling, seed=2, n_rows=1)
    assert 0 < sum(record.n_gated for record in together) < sum(record.n_tokens for record in together)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("plan", ["never", "no strength"])
def test_without_a_strength_or_a_gate_the_base_writes_what_it_writes_alone(
    tiny: Callable[..., LanguageModel], temperature: float, plan: str
) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    sampling = Sampling(n_samples=1, temperature=temperature, max_new_tokens=12)
    nothing = Plan(
        gate=never if plan == "never" else always,
        mechanism=mechanism(),
        strength=lambda state, behaviour: torch.zeros(len(behaviour)),
    )
    found = decode(base, thinking, PROMPTS, None, nothing, sampling, seed=4)
    assert [each.text for each in found] == [each.text for each in write(base, PROMPTS, sampling, seed=4)]
    assert all(record.tokens == record.base and not record.n_changed for record in found)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_taken_over_everywhere_the_thinking_model_writes_what_it_writes_alone(
    tiny: Callable[..., LanguageModel], temperature: float
) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    sampling = Sampling(n_samples=1, temperature=temperature, max_new_tokens=12)
    found = decode(base, thinking, PROMPTS, None, Plan(gate=always, act="takeover"), sampling, seed=4)
    assert [each.text for each in found] == [each.text for each in write(thinking, PROMPTS, sampling, seed=4)]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_word_boost_adds_to_the_logits_of_its_words_and_to_nothing_else(
    tiny: Callable[..., LanguageModel], temperature: float
) -> None:
    """Against logits that are raised by hand, every token from the whole text anew."""
    base, thinking = tiny("llama"), other(tiny("llama"))
    words, nats = ((5, 11, 17), (3, 200)), 1.0
    sampling = Sampling(n_samples=1, temperature=temperature, max_new_tokens=12)
    plan = boosting(words, nats)
    records = decode(base, thinking, PROMPTS, None, plan, sampling, seed=4)
    uniforms = row_uniforms(4, range(len(PROMPTS)), 12)
    for number, (prompt, record) in enumerate(zip(PROMPTS, records, strict=True)):
        ids = list(prompt)
        for step, token in enumerate(record.tokens):
            with torch.no_grad():
                logits, led = (model.model(torch.tensor([ids])).logits[0, -1] for model in (base, thinking))
            is_open = bool(logits.argmax() != led.argmax())
            assert record.gated[step] == is_open
            if is_open:
                logits[list(words[ids[-1] % 2])] += nats
            chosen = choose_tokens(logits[None], sampling, uniforms[number, step][None])
            assert int(chosen) == token
            ids.append(token)
    assert any(record.n_changed for record in records)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_boost_of_nothing_is_the_base_and_a_boundless_one_writes_the_words(
    tiny: Callable[..., LanguageModel], temperature: float
) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    sampling = Sampling(n_samples=1, temperature=temperature, max_new_tokens=12)
    none = decode(base, thinking, PROMPTS, None, boosting(((5,), (3,)), 0.0), sampling, seed=4)
    assert [record.text for record in none] == [response.text for response in write(base, PROMPTS, sampling, seed=4)]
    assert not any(record.n_changed for record in none)
    all_words = decode(base, thinking, PROMPTS, None, boosting(((5,), (3,)), 1e6), sampling, seed=4)
    gated = {
        token for record in all_words for token, is_open in zip(record.tokens, record.gated, strict=True) if is_open
    }
    assert gated and gated <= {5, 3}
    with pytest.raises(InputError, match="needs the first words"):
        decode(base, thinking, PROMPTS, None, Plan(gate=always, act="boost"), GREEDY)


def boosting(words: tuple[tuple[int, ...], ...], nats: float) -> Plan:
    """Boost words where the models differ, those of a behaviour by the token before."""
    return Plan(
        gate=disagreement,
        act="boost",
        mechanism=mechanism(),
        words=words,
        chooser=by_token_parity,
        strength=lambda state, behaviour: torch.full((len(behaviour),), nats),
    )


def test_a_hybrid_of_a_model_with_itself_never_gates(tiny: Callable[..., LanguageModel]) -> None:
    base = tiny("llama")
    found = decode(base, base, PROMPTS, None, Plan(gate=disagreement, mechanism=mechanism()), GREEDY)
    assert not any(record.n_gated for record in found)


def test_a_gate_on_the_base_alone_needs_no_thinking_model(tiny: Callable[..., LanguageModel]) -> None:
    base = tiny("llama")
    found = decode(base, None, PROMPTS, None, Plan(gate=positions(0.5, 0), mechanism=mechanism()), GREEDY)
    assert any(record.n_gated for record in found)
    with pytest.raises(InputError, match="looks at the thinking model, and none runs"):
        decode(base, None, PROMPTS, None, Plan(gate=disagreement, mechanism=mechanism()), GREEDY)
    with pytest.raises(InputError, match="needs a mechanism"):
        decode(base, None, PROMPTS, None, Plan(gate=always), GREEDY)


def test_each_model_reads_a_prompt_of_its_own(tiny: Callable[..., LanguageModel]) -> None:
    base = tiny("llama")
    longer = [[50, 51, 52, *prompt] for prompt in PROMPTS]
    found = decode(base, base, PROMPTS, longer, Plan(gate=always, act="takeover"), GREEDY)
    assert [each.text for each in found] == [each.text for each in write(base, longer, GREEDY)]


def test_a_row_ends_where_the_thinking_models_context_is_full_and_others_go_on(
    tiny: Callable[..., LanguageModel],
) -> None:
    base = tiny("gpt2")
    longest = [7] * 1020
    found = decode(base, base, [[7, 8], [9]], [longest, [9]], Plan(gate=never, act="takeover"), GREEDY)
    assert [record.n_tokens for record in found] == [4, 8] and all(record.is_truncated for record in found)


def test_random_positions_come_at_their_rate_and_are_the_same_in_any_batch() -> None:
    gate = positions(0.2, seed=1)
    states = [
        StepState(
            step=step,
            rows=torch.arange(400),
            last_ids=torch.zeros(400, dtype=torch.long),
            activations=torch.zeros(400, 1),
            logits=torch.zeros(400, 2),
            follower_logits=None,
        )
        for step in range(20)
    ]
    drawn = torch.stack([gate(state) for state in states])
    assert abs(drawn.float().mean() - 0.2) < 0.02
    assert torch.equal(drawn, torch.stack([positions(0.2, seed=1)(state) for state in states]))
    tokens_of = row_uniforms(1, range(400), 20).T  # what tokens are drawn by, of the same seed
    assert abs(tokens_of[drawn].mean() - 0.5) < 0.05, "positions know nothing of which token is drawn there"


@pytest.mark.parametrize("seed", [0, 3])
def test_where_random_positions_are_does_not_hang_on_what_is_drawn_there(seed: int) -> None:
    """Of ten tokens alike, a tenth of what is drawn at the chosen positions is the first; all of it, were it so."""
    n_rows, n_steps = 400, 20
    uniforms = row_uniforms(seed, range(n_rows), n_steps)
    gate, sampling = positions(0.1, seed), Sampling(n_samples=1, temperature=1.0, top_p=1.0)
    drawn = []
    for step in range(n_steps):
        logits = torch.arange(10, 0, -1)[None].expand(n_rows, -1) * 1e-3  # in this order, and nearly alike
        state = StepState(
            step=step,
            rows=torch.arange(n_rows),
            last_ids=torch.zeros(n_rows, dtype=torch.long),
            activations=torch.zeros(n_rows, 1),
            logits=logits,
            follower_logits=None,
        )
        drawn.append(choose_tokens(logits, sampling, uniforms[:, step])[gate(state)])
    tokens = torch.cat(drawn)
    assert abs(len(tokens) / (n_rows * n_steps) - 0.1) < 0.02
    assert abs((tokens == 0).float().mean() - 0.1) < 0.04


def test_the_table_of_a_response_has_a_row_a_token(tiny: Callable[..., LanguageModel]) -> None:
    (record,) = decode(
        tiny("llama"),
        None,
        PROMPTS[:1],
        None,
        Plan(gate=always, mechanism=mechanism(), chooser=by_token_parity),
        GREEDY,
    )
    frame = record.to_frame()
    assert len(frame) == record.n_tokens and frame["gated"].all() and set(frame["behaviour"]) <= {0, 1}


def test_a_random_mechanism_is_another_of_the_same_norm() -> None:
    one, random = mechanism(), mechanism().random(7)
    torch.testing.assert_close(random.units.norm(dim=-1), torch.ones(2))
    assert (torch.cosine_similarity(one.units, random.units).abs() < 0.6).all()
    three = Mechanism(
        behaviours=("a", "b", "c"),
        units=torch.tensor([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]]),
        layer=0,
        residual_norm=1.0,
    )
    assert three.least_similar().tolist() == [2, 2, 0]


def test_log_probabilities_are_those_of_either_model_alone_over_the_whole_text(
    tiny: Callable[..., LanguageModel],
) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    plan = Plan(gate=disagreement, mechanism=mechanism(), chooser=by_token_parity)
    found = decode(base, thinking, PROMPTS, None, plan, GREEDY)
    for prompt, record in zip(PROMPTS, found, strict=True):
        whole = torch.tensor([[*prompt, *record.tokens]])
        for model, told in ((base, record.base_logprob), (thinking, record.thinking_logprob)):
            with torch.inference_mode():
                logs = model.model(whole).logits[0].float().log_softmax(dim=-1)
            expected = [float(logs[len(prompt) - 1 + at, token]) for at, token in enumerate(record.tokens)]
            assert list(told) == pytest.approx(expected, abs=2e-4)
    alone = decode(base, None, PROMPTS, None, Plan(gate=never, act="takeover"), GREEDY)
    assert all(set(each.thinking_logprob) == {None} for each in alone)
