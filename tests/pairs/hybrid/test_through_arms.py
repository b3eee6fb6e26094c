"""Arms through the sentence: those that take the hybrid's gate or chooser from elsewhere go on as it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from reasonlens.generation import Sampling, StepState
from reasonlens.models import LanguageModel
from reasonlens.pairs.hybrid import ArmContext, decode, disagreement
from reasonlens.pairs.hybrid.arm_run import gated_share, opening_share
from reasonlens.pairs.hybrid.components import SHARES
from reasonlens.pairs.hybrid.gate import both
from reasonlens.pairs.hybrid.record import RowRecord
from reasonlens.pairs.hybrid.through import Through
from tests.conftest import D_MODEL
from tests.pairs.hybrid.made import ENDS, context, drawn, plan
from tests.pairs.hybrid.test_decode import LAYER, STRENGTH, other

Tiny = Callable[..., LanguageModel]
DECAY = 0.6
PROMPTS = [[7 + number, 8, 9] for number in range(120)]
SAMPLED = Sampling(n_samples=1, temperature=1.0, max_new_tokens=40)


def seldom(state: StepState) -> torch.Tensor:
    return state.last_ids % 7 == 0


def after_hybrid(base: LanguageModel, thinking: LanguageModel) -> tuple[ArmContext, list[RowRecord]]:
    """Run a hybrid whose gate opens seldom, and acts through the sentence."""
    of = replace(context(gate=both(disagreement, seldom), behaviour=1), through=Through(DECAY, ENDS))
    quantiles = {LAYER: torch.linspace(-0.05, 0.05, len(SHARES), dtype=torch.float64)}  # as those of tiny activations
    of = replace(of, components=replace(of.components, probes=replace(of.components.probes, quantiles=quantiles)))
    hybrid = decode(base, thinking, PROMPTS, None, plan("hybrid", of), SAMPLED, seed=1)
    return replace(of, runs=context(hybrid=hybrid).runs), hybrid


@pytest.mark.parametrize(
    "arm", ["probe-gated", "thinking-behaviour", "base-moments", "base-behaviour", "without", "boundaries"]
)
def test_a_gate_stays_open_to_the_sentences_end_towards_the_behaviour_at_which_it_opened(tiny: Tiny, arm: str) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    of, _ = after_hybrid(base, thinking)
    n_gone_on = 0
    for record in decode(base, thinking, PROMPTS[:40], None, plan(arm, of), SAMPLED, seed=1):
        for step in range(1, record.n_tokens):
            if record.gated[step - 1] and not ENDS[record.tokens[step - 1]] and record.strength[step - 1] > 0.02:
                assert record.gated[step] and record.behaviour[step] == record.behaviour[step - 1]
                assert record.strength[step] == pytest.approx(record.strength[step - 1] * DECAY, rel=1e-5)
                n_gone_on += 1
            elif record.gated[step]:
                assert record.strength[step] == pytest.approx(STRENGTH)
        assert arm != "without" or 1 not in record.behaviour
    assert n_gone_on > 20


def test_random_boundaries_go_on_to_the_sentences_end_and_steer_as_many_tokens_as_the_hybrid(tiny: Tiny) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    of, hybrid = after_hybrid(base, thinking)
    records = decode(base, None, PROMPTS, None, plan("random-boundaries", of), SAMPLED, seed=1)
    assert gated_share(records) == pytest.approx(gated_share(hybrid), rel=0.2)
    for record in records:
        for step, strength in enumerate(record.strength):
            starts = step == 0 or bool(ENDS[record.tokens[step - 1]])
            assert (strength == pytest.approx(STRENGTH)) <= starts and record.gated[step] == (strength > 0)
    every = decode(base, None, PROMPTS, None, plan("boundaries", of), SAMPLED, seed=1)
    assert gated_share(every) > 1.3 * gated_share(records), "the rate is what matches them"


def test_the_bases_moments_are_as_many_as_the_hybrids_gate_opened_at_where_it_was_asked(tiny: Tiny) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    of, hybrid = after_hybrid(base, thinking)
    doses = [strength for record in hybrid for strength in record.strength]
    n_opened = sum(dose == pytest.approx(STRENGTH) for dose in doses)
    n_asked = n_opened + sum(dose == 0 for dose in doses)
    assert opening_share(hybrid, of.through) == n_opened / n_asked < 0.8 * gated_share(hybrid)
    assert opening_share(hybrid, None) == gated_share(hybrid)
    weight, offset = of.components.probes.when[LAYER]
    activations = 0.01 * drawn(500, D_MODEL, seed=9)
    state = StepState(
        step=0,
        rows=torch.arange(500),
        last_ids=torch.zeros(500, dtype=torch.long),
        activations=activations,
        logits=torch.zeros(500, 1),
        follower_logits=None,
    )
    threshold = of.components.probes.threshold_at(LAYER, n_opened / n_asked)
    assert torch.equal(plan("base-moments", of).gate(state), activations @ weight + offset > threshold)


@pytest.mark.parametrize("arm", ["phrase-1", "phrase-whole", "random-positions", "always-on", "forcing"])
def test_wordings_single_tokens_and_all_tokens_do_not_go_on(tiny: Tiny, arm: str) -> None:
    of, _ = after_hybrid(tiny("llama"), other(tiny("llama")))
    assert plan("hybrid", of).through is of.through and plan(arm, of).through is None
