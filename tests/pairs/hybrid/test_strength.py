"""Strengths: constant, by behaviour, and those of another run in another order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from reasonlens.generation import Sampling, StepState
from reasonlens.models import LanguageModel
from reasonlens.pairs.hybrid import (
    Mechanism,
    Plan,
    always,
    decode,
)
from reasonlens.pairs.hybrid.arm_run import steered_strengths
from reasonlens.pairs.hybrid.strength import (
    constant,
    per_behaviour,
    shuffled,
)
from reasonlens.rundir import InputError


def state(rows: list[int], step: int = 0) -> StepState:
    return StepState(
        step=step,
        rows=torch.tensor(rows),
        last_ids=torch.zeros(len(rows), dtype=torch.long),
        activations=torch.zeros(len(rows), 4),
        logits=torch.zeros(len(rows), 2),
        follower_logits=None,
    )


def test_a_strength_is_one_for_all_or_one_a_behaviour() -> None:
    behaviour = torch.tensor([2, 0, 1])
    assert constant(1.5)(state([0, 1, 2]), behaviour).tolist() == [1.5] * 3
    assert per_behaviour([0.5, 1, 2])(state([0, 1, 2]), behaviour).tolist() == [2, 0.5, 1]


def test_what_is_no_strength_is_named() -> None:
    with pytest.raises(InputError, match="a strength is a number, .* and nan is none"):
        constant(float("nan"))
    with pytest.raises(InputError, match="behaviour 2 has no strength: there are 2"):
        per_behaviour([1, 1])(state([0]), torch.tensor([2]))
    with pytest.raises(InputError, match="no strengths to shuffle"):
        shuffled([], seed=0)


def test_responses_that_were_steered_with_no_number_are_not_given_out(tiny: Callable[..., LanguageModel]) -> None:
    units = torch.nn.functional.normalize(torch.randn(2, 32, generator=torch.Generator().manual_seed(0)), dim=-1)
    plan = Plan(
        gate=always,
        mechanism=Mechanism(behaviours=("a", "b"), units=units, layer=1, residual_norm=1.0),
        chooser=lambda state: torch.ones_like(state.last_ids),
        strength=lambda state, behaviour: torch.full((len(behaviour),), torch.nan),
    )
    with pytest.raises(InputError, match="the strength towards behaviour 1 is no finite number"):
        decode(tiny("llama"), None, [[7, 8]], None, plan, Sampling(temperature=0, max_new_tokens=3))


def test_shuffled_strengths_are_the_same_strengths_in_an_order_of_each_response() -> None:
    strengths = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    zeros = torch.zeros(3, dtype=torch.long)
    drawn = torch.stack([shuffled(strengths, seed=3)(state([0, 1, 7], step), zeros) for step in range(8)], dim=1)
    assert all(sorted(row) == strengths for row in drawn.tolist())
    assert len({tuple(row) for row in drawn.tolist()}) == 3
    alone = torch.cat([shuffled(strengths, seed=3)(state([7], step), zeros[:1]) for step in range(8)])
    assert torch.equal(drawn[2], alone)  # whatever the batch
    other = torch.cat([shuffled(strengths, seed=4)(state([7], step), zeros[:1]) for step in range(8)])
    assert not torch.equal(alone, other)


def test_the_strengths_of_a_run_are_those_of_its_steered_tokens(tiny: Callable[..., LanguageModel]) -> None:
    units = torch.nn.functional.normalize(torch.randn(2, 32, generator=torch.Generator().manual_seed(0)), dim=-1)
    mechanism = Mechanism(behaviours=("a", "b"), units=units, layer=1, residual_norm=1.0)
    plan = Plan(
        gate=always,
        mechanism=mechanism,
        chooser=lambda state: state.last_ids % 2,
        strength=per_behaviour([0.25, 2.0]),
    )
    sampling = Sampling(temperature=0, max_new_tokens=6)
    records = decode(tiny("llama"), None, [[7, 8], [9]], None, plan, sampling)
    found = steered_strengths(records)
    assert len(found) == sum(record.n_tokens for record in records) and set(found) <= {0.25, 2.0}
