"""Arms that take when and which from different places, against activations and choices of the naive kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reasonlens.generation import Sampling, StepState
from reasonlens.generation.across import TokenMap
from reasonlens.models import LanguageModel, wrap
from reasonlens.models.blocks import block_output
from reasonlens.pairs.hybrid import Plan, always, decode
from reasonlens.pairs.hybrid.arm_run import gated_share
from reasonlens.pairs.hybrid.behaviour_probe import BehaviourProbe, as_far_up, likeliest_behaviour
from reasonlens.pairs.hybrid.components import SHARES
from reasonlens.pairs.hybrid.probe_fit import quantiles_of
from reasonlens.pairs.hybrid.record import RowRecord
from reasonlens.rundir import InputError
from tests.conftest import CONFIGS, D_MODEL
from tests.pairs.hybrid.made import components, context, drawn, plan
from tests.pairs.hybrid.test_decode import GREEDY, LAYER, PROMPTS, other

Tiny = Callable[..., LanguageModel]
LED = [[50, 51, 52, *prompt] for prompt in PROMPTS]  # what the thinking model reads
SAMPLED = Sampling(n_samples=1, temperature=1.0, max_new_tokens=30)
THINKING_LAYER = 2


def output_of(model: LanguageModel, layer: int, ids: list[int]) -> torch.Tensor:
    """The output of a block at the last token, over the whole text."""
    outputs = []
    handle = model.blocks[layer].register_forward_hook(lambda *given: outputs.append(block_output(given[2])[0, -1]))
    with torch.no_grad():
        model.model(torch.tensor([ids]), use_cache=False)
    handle.remove()
    return outputs[0]


@pytest.mark.parametrize("architecture", CONFIGS)
def test_the_thinking_models_activations_are_those_over_the_whole_text_after_its_own_prompt(
    tiny: Tiny, architecture: str
) -> None:
    base, thinking = tiny(architecture), other(tiny(architecture))
    seen: dict[tuple[int, int], torch.Tensor] = {}

    def watched(state: StepState) -> torch.Tensor:
        assert state.follower_activations is not None
        for place, row in enumerate(state.rows.tolist()):
            seen[row, state.step] = state.follower_activations[place].clone()
        return state.last_ids % 3

    of = replace(plan("hybrid", context(gate=always)), chooser=watched, follower_layer=THINKING_LAYER)
    records = decode(base, thinking, PROMPTS, LED, of, GREEDY)
    assert len(seen) == sum(record.n_tokens for record in records)
    for row, record in enumerate(records):
        for step in range(record.n_tokens):
            expected = output_of(thinking, THINKING_LAYER, [*LED[row], *record.tokens[:step]])
            torch.testing.assert_close(seen[row, step], expected, rtol=1e-3, atol=1e-4)


def chosen(record: RowRecord, activations: Callable[[int], torch.Tensor], probe: BehaviourProbe) -> list[int]:
    """The behaviour that a probe gives at each steered token, the text run anew."""
    return [
        int((probe.weight @ activations(step) + probe.offset).argmax()) if is_open else -1
        for step, is_open in enumerate(record.gated)
    ]


def test_the_thinking_models_behaviour_is_read_from_it_and_the_gate_stays_the_hybrids(tiny: Tiny) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    of = context()
    probes = of.components.behaviour_probes
    for arm, probe, model, prompts, layer in (
        ("thinking-behaviour", probes["thinking", LAYER], thinking, LED, THINKING_LAYER),
        ("base-behaviour", probes["base", LAYER], base, PROMPTS, LAYER),
    ):
        assert plan(arm, of).gate is of.gate and plan(arm, of).strength is of.strength
        records = decode(base, thinking, PROMPTS, LED, plan(arm, of), SAMPLED)
        for prompt, record in zip(prompts, records, strict=True):

            def activations(step: int, ids: list[int] = prompt, done: tuple[int, ...] = record.tokens) -> torch.Tensor:
                return output_of(model, layer, [*ids, *done[:step]])  # noqa: B023

            assert list(record.behaviour) == chosen(record, activations, probe)
        assert len({behaviour for record in records for behaviour in record.behaviour}) > 2


def test_the_bases_moments_open_as_often_as_the_hybrids_gate_on_what_the_probe_was_fitted_to() -> None:
    weight, offset = drawn(D_MODEL, seed=1), -0.7
    activations = drawn(4000, D_MODEL, seed=2)
    made = components()
    probes = replace(
        made.probes,
        when={LAYER: (weight, offset)},
        quantiles={LAYER: quantiles_of(activations, (weight, offset))},
    )
    for share in (0.0, 0.05, 0.3, 1.0):
        threshold = probes.threshold_at(LAYER, share)
        opened = (activations @ weight + offset > threshold).float().mean()
        assert opened == pytest.approx(share, abs=2 / len(SHARES))
    same = replace(probes, when={LAYER: (weight, -torch.inf)}, quantiles={LAYER: torch.zeros(len(SHARES))})
    assert same.threshold_at(LAYER, 0.3) == 0.0
    assert not quantiles_of(activations, (weight, torch.inf)).any()


def test_the_bases_moments_are_those_of_the_probe_and_the_behaviour_is_the_thinking_models(tiny: Tiny) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    of = context(gate=lambda state: state.last_ids % 2 == 0)
    hybrid = decode(base, thinking, PROMPTS, LED, plan("hybrid", of), SAMPLED)
    of = replace(of, runs=context(hybrid=hybrid).runs)
    weight, offset = of.components.probes.when[LAYER]
    threshold = of.components.probes.threshold_at(LAYER, gated_share(hybrid))
    assert -1 < threshold < 1
    records = decode(base, thinking, PROMPTS, LED, plan("base-moments", of), SAMPLED)
    n_open = 0
    for prompt, led, record in zip(PROMPTS, LED, records, strict=True):
        for step, is_open in enumerate(record.gated):
            score = float(output_of(base, LAYER, [*prompt, *record.tokens[:step]]) @ weight + offset)
            assert is_open == (score > threshold)
            n_open += is_open
        probe = of.components.behaviour_probes["thinking", LAYER]

        def activations(step: int, ids: list[int] = led, done: tuple[int, ...] = record.tokens) -> torch.Tensor:
            return output_of(thinking, THINKING_LAYER, [*ids, *done[:step]])

        assert list(record.behaviour) == chosen(record, activations, probe)
    assert 0 < n_open < sum(record.n_tokens for record in records)


def test_a_behaviour_that_is_left_out_is_never_steered_and_the_others_are_as_before(tiny: Tiny) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    hybrid = decode(base, thinking, PROMPTS, LED, plan("hybrid", context()), SAMPLED)
    shown = {behaviour for record in hybrid for behaviour in record.behaviour}
    assert shown == {-1, 0, 1, 2}
    for behaviour in range(3):
        without = decode(base, thinking, PROMPTS, LED, plan("without", context(behaviour=behaviour)), SAMPLED)
        assert {one for record in without for one in record.behaviour} == shown - {behaviour}
        for before, after in zip(hybrid, without, strict=True):
            first = next((step for step, one in enumerate(before.behaviour) if one == behaviour), before.n_tokens)
            assert after.tokens[:first] == before.tokens[:first], "up to where it would have been steered"
            if first < before.n_tokens:
                assert not after.gated[first] and after.tokens[first] == after.base[first]
    never_chosen = replace(context(behaviour=2), components=never_third())
    whole = decode(base, thinking, PROMPTS, LED, plan("hybrid", never_chosen), SAMPLED)
    assert whole == decode(base, thinking, PROMPTS, LED, plan("without", never_chosen), SAMPLED)


def never_third() -> object:
    """Components whose probe never expects the third behaviour."""
    made = components()
    weight, _ = made.probes.which[LAYER]
    return replace(made, probes=replace(made.probes, which={LAYER: (weight, torch.tensor([0.0, 0.0, -torch.inf]))}))


def test_the_likeliest_behaviour_has_the_highest_score() -> None:
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    offset = torch.tensor([0.5, 0.0, -torch.inf])
    behaviours = likeliest_behaviour(torch.tensor([[1.0, 1.2], [0.0, 1.0]]), weight, offset)
    assert behaviours.tolist() == [0, 1], "what a model's sentences never show is never chosen"


def test_a_probe_comes_back_as_it_was_and_another_file_is_refused(tmp_path: Path) -> None:
    probe = components().behaviour_probes["thinking", LAYER]
    probe.save(tmp_path / "p.safetensors")
    again = BehaviourProbe.open(tmp_path / "p.safetensors")
    assert torch.equal(again.weight, probe.weight) and torch.equal(again.offset, probe.offset)
    assert (again.whose, again.layer, again.n_sentences) == ("thinking", 2, 9)
    components().directions.save(tmp_path / "d.safetensors")
    with pytest.raises(InputError, match="holds no behaviour probe"):
        BehaviourProbe.open(tmp_path / "d.safetensors")


def test_the_block_as_far_up_of_another_model_is_its_own_in_one_as_deep() -> None:
    assert [as_far_up(layer, 4, 4) for layer in range(4)] == [0, 1, 2, 3]
    assert [as_far_up(layer, 5, 9) for layer in range(5)] == [0, 2, 4, 6, 8]
    assert as_far_up(3, 4, 30) == 29 and as_far_up(0, 1, 8) == 0


def test_a_thinking_model_of_other_tokens_is_not_looked_into(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tiny("llama")
    monkeypatch.setattr(TokenMap, "between", TokenMap.of)
    of = plan("thinking-behaviour", context())
    with pytest.raises(InputError, match="has other tokens than the base: an arm cannot look at its activations"):
        decode(base, wrap(base.model, base.tokenizer, name="other"), PROMPTS, None, of, GREEDY)
    records = decode(base, base, PROMPTS[:1], None, Plan(gate=always, act="takeover"), GREEDY)
    assert records[0].n_tokens, "without activations it reads along"
