"""Steering where sentences start: all of them, or as many at random as the hybrid steers tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reasonlens.generation import Sampling
from reasonlens.models import LanguageModel
from reasonlens.pairs.hybrid import decode, disagreement
from reasonlens.pairs.hybrid.arm_run import gated_share
from reasonlens.pairs.hybrid.boundary_arms import boundary_rate
from reasonlens.pairs.hybrid.gate import both, sentence_start
from reasonlens.pairs.hybrid.through import Through
from tests.pairs.hybrid.made import ENDS, context, plan
from tests.pairs.hybrid.test_decode import PROMPTS, other
from tests.pairs.hybrid.test_measure import RECORD

Tiny = Callable[..., LanguageModel]
SAMPLED = Sampling(n_samples=1, temperature=1.0, max_new_tokens=40)


def starts(tokens: tuple[int, ...]) -> list[bool]:
    return [step == 0 or bool(ENDS[tokens[step - 1]]) for step in range(len(tokens))]


def test_boundaries_steer_at_every_sentence_start_and_nowhere_else_without_a_thinking_model(tiny: Tiny) -> None:
    of = context()
    records = decode(tiny("llama"), None, PROMPTS, None, plan("boundaries", of), SAMPLED, seed=1)
    for record in records:
        assert list(record.gated) == starts(record.tokens) == list(record.effective)
    hybrid = plan("hybrid", of)
    assert hybrid.strength is not None and plan("boundaries", of).strength is hybrid.strength
    behaviours = {behaviour for record in records for behaviour in record.behaviour}
    assert len(behaviours - {-1}) > 1, "towards whatever the probe expects"


def test_the_rate_is_that_at_which_as_many_tokens_are_steered() -> None:
    """Four tokens 1, 2, 3, 4, of which 3 ends a sentence: two sentences start, and the gate opened three times."""
    assert boundary_rate([RECORD], ENDS) == 1.0
    once = replace(RECORD, gated=(False, True, False, False))
    assert boundary_rate([once], ENDS) == 0.5 and boundary_rate([once, RECORD], ENDS) == 1.0
    assert boundary_rate([once, once, replace(once, gated=(False,) * 4)], ENDS) == pytest.approx(2 / 6)
    assert boundary_rate([], ENDS) == 0.0


def test_through_the_sentence_the_rate_counts_the_tokens_that_a_start_steers() -> None:
    """Sentences 1, 2, 3 and 4: doses of a tenth last three tokens, of a thousandth one."""
    once = replace(RECORD, gated=(False, True, False, False))
    for decay, n_most in ((1.0, 4), (0.1, 4), (0.05, 3), (0.001, 2), (0.0, 2)):
        assert boundary_rate([once], ENDS, Through(decay, ENDS)) == 1 / n_most
    assert boundary_rate([RECORD], ENDS, Through(1.0, ENDS)) == 3 / 4


def test_random_boundaries_steer_at_sentence_starts_and_as_often_as_the_hybrid(tiny: Tiny) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    prompts = [[7 + number, 8, 9] for number in range(120)]
    gate = both(disagreement, lambda state: state.last_ids % 5 == 0)  # seldom, wherever
    of = context(gate=gate)
    hybrid = decode(base, thinking, prompts, None, plan("hybrid", of), SAMPLED, seed=1)
    of = replace(of, runs=context(hybrid=hybrid).runs)
    rate = boundary_rate(hybrid, ENDS)
    assert 0.1 < rate < 0.9
    records = decode(base, None, prompts, None, plan("random-boundaries", of), SAMPLED, seed=1)
    opened = [is_open for record in records for is_open in record.gated]
    at_starts = [start for record in records for start in starts(record.tokens)]
    assert all(start for is_open, start in zip(opened, at_starts, strict=True) if is_open)
    assert sum(opened) / sum(at_starts) == pytest.approx(rate, abs=0.05)
    assert gated_share(records) == pytest.approx(gated_share(hybrid), rel=0.2)
    every = decode(base, None, prompts, None, plan("boundaries", of), SAMPLED, seed=1)
    assert gated_share(every) > 1.3 * gated_share(hybrid), "the rate is what matches them"


def test_a_sentence_starts_at_the_first_token_and_after_an_end(tiny: Tiny) -> None:
    seen: list[list[bool]] = []
    gate = sentence_start(ENDS)

    def watched(state: object) -> object:
        opened = gate(state)  # type: ignore[arg-type]
        seen.append(opened.tolist())
        return opened

    of = replace(plan("boundaries", context()), gate=watched)  # type: ignore[arg-type]
    (record,) = decode(tiny("llama"), None, PROMPTS[:1], None, of, SAMPLED)
    assert [one[0] for one in seen] == starts(record.tokens) and seen[0] == [True]
