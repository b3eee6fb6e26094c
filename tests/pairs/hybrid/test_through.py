"""Steering through the sentence against a loop by hand, and the divergence of what was steered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reasonlens.generation import Sampling, StepState, end_tokens
from reasonlens.models import LanguageModel
from reasonlens.pairs.hybrid import ARMS, ArmContext, HybridSettings, Mechanism, Plan, RowRecord, decode, positions
from reasonlens.pairs.hybrid.arm import Tuned
from reasonlens.pairs.hybrid.arm_run import ArmRun, gated_share, steered_strengths
from reasonlens.pairs.hybrid.components import SHARES, Components, Probes
from reasonlens.pairs.hybrid.strength import per_behaviour
from reasonlens.pairs.hybrid.through import Through
from reasonlens.rundir import InputError
from reasonlens.vectors import Directions

PROMPTS = [[7, 8, 9, 10, 11, 12], [20, 21, 22], [30, 31, 32, 33], [40]]
LAYER, STRENGTH, NORM = 1, 1.5, 0.05
GREEDY = Sampling(n_samples=1, temperature=0, max_new_tokens=16)


def mechanism(n: int = 3) -> Mechanism:
    drawn = torch.randn(n, 32, generator=torch.Generator().manual_seed(0))
    units = torch.nn.functional.normalize(drawn, dim=-1)
    return Mechanism(behaviours=tuple("abc"[:n]), units=units, layer=LAYER, residual_norm=NORM)


def ends(model: LanguageModel) -> Tensor:
    """Every seventh token ends a sentence."""
    return torch.arange(model.model.config.vocab_size) % 7 == 0


def opens_at_even(state: StepState) -> Tensor:
    return (state.last_ids + state.step) % 2 == 0


def behaviour_of(state: StepState) -> Tensor:
    return (state.last_ids + state.step) % 3


def plan_with(model: LanguageModel, decay: float | None, **options: Any) -> Plan:
    return Plan(
        **{"gate": opens_at_even, "mechanism": mechanism(), "chooser": behaviour_of} | options,
        strength=lambda state, behaviour: STRENGTH + behaviour.float(),
        through=None if decay is None else Through(decay, ends(model)),
    )


def by_hand(model: LanguageModel, prompt: list[int], decay: float) -> list[tuple[int, bool, int, float, float]]:
    """Decode one row without a cache: token, gate, behaviour, dose, KL(steered || base) of each token."""
    ids, vectors, written = list(prompt), mechanism(), []

    def logits(shift: Tensor | None) -> Tensor:
        def hook(module: object, args: object, output: Any) -> Any:
            hidden = (output[0] if isinstance(output, tuple) else output).clone()
            if shift is not None:
                hidden[:, -1] += shift
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        handle = model.blocks[LAYER].register_forward_hook(hook)
        with torch.no_grad():
            last: Tensor = model.model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        handle.remove()
        return last

    behaviour, dose, start = -1, 0.0, 0.0
    for step in range(GREEDY.max_new_tokens):
        if step and ids[-1] % 7 == 0:
            dose = 0.0  # the sentence has ended
        dose *= decay
        if dose < 0.01 * start or not dose:
            opens = (ids[-1] + step) % 2 == 0
            behaviour = (ids[-1] + step) % 3 if opens else -1
            dose = start = STRENGTH + behaviour if opens else 0.0
        own, nats = logits(None), 0.0
        token = int(own.argmax())
        if dose:
            steered = logits(dose * NORM * vectors.units[behaviour])
            token = int(steered.argmax())
            p, q = steered.double().softmax(-1), own.double().softmax(-1)
            nats = float((p * (p / q).log()).sum())
        written.append((token, dose > 0, behaviour, dose, nats))
        ids.append(token)
        if token in end_tokens(model):
            break
    return written


@pytest.mark.parametrize("decay", [1.0, 0.7, 0.3, 0.0])
def test_tokens_doses_and_divergences_are_those_of_a_loop_by_hand(
    tiny: Callable[..., LanguageModel], decay: float
) -> None:
    model = tiny("llama")
    records = decode(model, None, PROMPTS, None, plan_with(model, decay), GREEDY)
    for prompt, record in zip(PROMPTS, records, strict=True):
        tokens, gates, behaviours, doses, nats = zip(*by_hand(model, prompt, decay), strict=True)
        assert (record.tokens, record.gated, record.behaviour) == (tokens, gates, behaviours)
        assert record.strength == pytest.approx(doses, rel=1e-5)
        assert record.kl_nats == pytest.approx(nats, abs=1e-4) and max(record.kl_nats) > 0.001
    if decay:
        assert len({strength for record in records for strength in record.strength}) > (3 if decay == 1 else 6)


def test_a_decay_of_nothing_is_steering_at_the_tokens_of_the_gate(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny("llama")
    alone = decode(model, None, PROMPTS, None, plan_with(model, None), GREEDY)
    assert decode(model, None, PROMPTS, None, plan_with(model, 0.0), GREEDY) == alone
    on = decode(model, None, PROMPTS, None, plan_with(model, 1.0), GREEDY)
    assert sum(record.n_gated for record in on) > sum(record.n_gated for record in alone)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("act", ["steer", "takeover"])
def test_a_batch_equals_its_rows_alone_and_any_part_of_it(
    tiny: Callable[..., LanguageModel], temperature: float, act: str
) -> None:
    """Rows end at different tokens, so that they leave the batch in the middle of others' sentences."""
    model = tiny("llama")
    sampling = Sampling(n_samples=1, temperature=temperature, max_new_tokens=24)
    plan = plan_with(model, 0.8, gate=positions(0.2, seed=3), act=act)
    more_ends = [token for token in range(model.model.config.vocab_size) if token % 11 == 0]
    together = decode(model, model, PROMPTS, None, plan, sampling, seed=2, more_ends=more_ends)
    assert len({record.n_tokens for record in together}) > 1
    assert together == decode(model, model, PROMPTS, None, plan, sampling, seed=2, n_rows=1, more_ends=more_ends)
    last = decode(model, model, PROMPTS[2:], None, plan, sampling, seed=2, numbers=[2, 3], more_ends=more_ends)
    assert last == together[2:]


def test_first_doses_are_told_from_those_that_go_on(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny("llama")
    records = decode(model, None, PROMPTS, None, plan_with(model, 0.5), GREEDY)
    first = steered_strengths(records, Through(0.5, ends(model)))
    assert set(first) <= {STRENGTH, STRENGTH + 1, STRENGTH + 2}
    assert len(steered_strengths(records)) == sum(record.n_gated for record in records) > len(first) > 4


@pytest.mark.parametrize("decay", [0.0, 0.005, 0.1, 0.3, 0.99])
def test_a_dose_lasts_while_it_is_a_hundredth(decay: float) -> None:
    doses = [decay**age for age in range(1000)]
    assert Through(decay, torch.zeros(1)).n_tokens == sum(dose >= 0.01 * (1 - 1e-9) for dose in doses)


def test_a_gate_that_opens_again_as_the_next_sentence_starts_is_told_from_one_that_stayed_open() -> None:
    """Token 7 ends the first sentence; strengths, all alike, say nothing."""
    through = Through(1.0, torch.arange(20) % 7 == 0)
    tokens, gated = (1, 2, 7, 3, 4, 14, 5), (False, True, True, True, True, True, False)
    assert through.openings(tokens, gated) == [False, True, False, True, False, False, False]
    short = Through(0.1, through.ends_sentence)  # three tokens
    assert short.openings((1,) * 7, (True,) * 7) == [True, False, False, True, False, False, True]


def components(model: LanguageModel) -> Components:
    """Three behaviours and one general vector at block 1, drawn at random."""
    drawn = torch.randn(4, 32, generator=torch.Generator().manual_seed(1))
    known: dict[str, Any] = {
        **{"layers": (LAYER,), "method": "drawn", "model": {}, "read": "before:1", "residual_norm": (NORM,)},
        **{"n_examples": {}, "n_problems": 1},
    }
    return Components(
        traces=(),
        directions=Directions(vectors={name: drawn[n : n + 1] for n, name in enumerate("abc")}, **known),
        bias=Directions(vectors={"bias": drawn[3:]}, **known),
        probes=Probes(
            which={LAYER: (drawn[:3], torch.zeros(3))},
            when={LAYER: (drawn[3], 0.0)},
            quantiles={LAYER: torch.linspace(-1, 1, len(SHARES), dtype=torch.float64)},
            auroc_when={LAYER: 0.5},
            n_disagreements=1,
            n_tokens=2,
        ),
        sentence_ends=ends(model),
    )


def test_controls_have_the_doses_of_the_hybrid(tiny: Callable[..., LanguageModel]) -> None:
    """Random tokens get single doses of the hybrid's; one vector gets its mean first dose, through the sentence too."""
    model = tiny("llama")
    sampling = Sampling(n_samples=1, temperature=1.0, max_new_tokens=60)
    prompts = [[7 + n, 8, 9] for n in range(12)]
    context = ArmContext(
        components=components(model),
        tuned=Tuned(layer=LAYER, strength=1.0, threshold=0.0),
        gate=opens_at_even,
        strength=per_behaviour([0.5, 1.0, 2.0]),
        through=Through(0.5, ends(model)),
    )

    def run(arm: str) -> list[RowRecord]:
        return decode(model, None, prompts, None, ARMS[arm].plan(context), sampling)

    hybrid = run("hybrid")
    doses, first = steered_strengths(hybrid), steered_strengths(hybrid, context.through)
    assert len(set(first)) == 3 < len(set(doses)) and gated_share(hybrid) > 0.4
    shares = (True,) * len(hybrid)
    runs = {
        "hybrid": ArmRun(name="hybrid", records=(tuple(hybrid),), is_solved=(shares,), answered_in_thoughts=(shares,))
    }
    context = replace(context, runs=runs)
    at_random = run("random-positions")
    assert set(steered_strengths(at_random)) <= set(doses)
    assert np.mean(steered_strengths(at_random)) == pytest.approx(np.mean(doses), rel=0.2)
    assert gated_share(at_random) == pytest.approx(gated_share(hybrid), abs=0.08)
    bias = steered_strengths(run("bias"), context.through)
    assert bias == pytest.approx([np.mean(first)] * len(bias)) and len(bias) > 20
    always = run("always-on")
    assert gated_share(always) == 1 and set(steered_strengths(always)) <= {0.5, 1.0, 2.0}
    assert set(steered_strengths(run("shuffled-strengths"), context.through)) <= set(first)


@pytest.mark.parametrize("decay", [-0.1, 1.1, float("nan")])
def test_a_decay_that_is_no_share_is_refused(decay: float) -> None:
    with pytest.raises(InputError, match="from 0 .the first token alone. to 1, not"):
        HybridSettings(through=decay)
