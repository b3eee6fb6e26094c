"""Mechanisms, gates and strengths as they are chosen by name, and choosing on validation problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import torch

from reasonlens.generation import Sampling, StepState
from reasonlens.pairs import organism_pair
from reasonlens.pairs.hybrid import (
    HybridSettings,
    Plan,
    hybrid,
)
from reasonlens.pairs.hybrid import make_components as making
from reasonlens.pairs.hybrid import networks as networks_module
from reasonlens.pairs.hybrid.arm import Tuned
from reasonlens.pairs.hybrid.components import Components, Probes
from reasonlens.pairs.hybrid.experiment import Experiment
from reasonlens.pairs.hybrid.gate import boundary, disagreement, gate_named
from reasonlens.pairs.hybrid.make_components import make_components
from reasonlens.pairs.hybrid.probe_fit import fit_which
from reasonlens.pairs.hybrid.record import RowRecord
from reasonlens.pairs.hybrid.rollouts import labelled_rollouts
from reasonlens.pairs.hybrid.search import COLUMNS, KEY, Decode, Search
from reasonlens.pairs.hybrid.strength import constant, scaled
from reasonlens.pairs.hybrid.tuning import choose, n_decodings
from reasonlens.rundir import InputError, RowLog
from reasonlens.vectors import Directions, OptimisedSettings
from tests.pairs.hybrid.planted import planted_pair

SETTINGS = HybridSettings(
    arms=("random-vectors", "probe-gated"),
    layers=(2,),
    strengths=(0.5, 1.0),
    thresholds=(0.0,),
    n_train=60,
    n_validation=16,
    n_test=40,
    n_seeds=1,
    rollout=Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=287),
    sampling=Sampling(n_samples=1, temperature=0, max_new_tokens=287),
)


def state() -> StepState:
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    return StepState(
        step=3,
        rows=torch.arange(2),
        last_ids=torch.tensor([0, 1]),
        activations=torch.zeros(2, 4),
        logits=logits,
        follower_logits=torch.tensor([[2.0, 0.0, 0.0], [2.0, 0.0, 0.0]]),
    )


def test_gates_go_by_their_names() -> None:
    ends = torch.tensor([False, True, False])
    assert gate_named("disagreement", ends) is disagreement
    assert gate_named("boundary", ends)(state()).tolist() == boundary(ends)(state()).tolist() == [False, True]
    nats = float(state().divergence()[1])
    assert gate_named(f"divergence:{nats * 0.9}", ends)(state()).tolist() == [False, True]
    assert gate_named(f"divergence:{nats * 1.1}", ends)(state()).tolist() == [False, False]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("divergence", "a divergence gate is divergence:NATS, as divergence:0.5, not 'divergence'"),
        ("divergence:much", "a divergence gate is divergence:NATS"),
        ("divergence:-1", "a divergence is 0 nats or more"),
        ("sometimes", "there is no gate 'sometimes'; there are disagreement, boundary and divergence:NATS"),
    ],
)
def test_gates_that_do_not_exist_are_refused_before_anything_is_run(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        HybridSettings(gate=name)


def test_unknown_mechanisms_and_strengths_are_refused() -> None:
    with pytest.raises(InputError, match="there is no mechanism 'magic'; there are optimised, mean-difference, joint"):
        HybridSettings(mechanism="magic")
    with pytest.raises(InputError, match="there is no strength by .much.; there are constant, per-behaviour, network"):
        HybridSettings(strength_by="much")


def test_a_scaled_strength_is_a_multiple() -> None:
    behaviour = torch.tensor([0, 1])
    assert scaled(constant(0.5), 3)(state(), behaviour).tolist() == [1.5, 1.5]
    with pytest.raises(InputError, match="a strength is a number"):
        scaled(constant(0.5), float("nan"))


@pytest.fixture(scope="module")
def components() -> Components:
    pair = organism_pair("organism/rl-timing", n_train=60, n_validation=2, n_test=2)
    experiment = Experiment.of(pair, replace(SETTINGS, mechanism="mean-difference"))
    return make_components(experiment, labelled_rollouts(experiment))


def record(n_gated: int, kl_nats: float = 0.1) -> RowRecord:
    return RowRecord(
        text="",
        tokens=(1,) * 10,
        base=(1,) * 10,
        thinking=(1,) * 10,
        base_likeliest=(1,) * 10,
        thinking_likeliest=(1,) * 10,
        gated=(True,) * n_gated + (False,) * (10 - n_gated),
        behaviour=(0,) * n_gated + (-1,) * (10 - n_gated),
        strength=(1.0,) * n_gated + (0.0,) * (10 - n_gated),
        kl_nats=(kl_nats,) * n_gated + (0.0,) * (10 - n_gated),
        base_logprob=(0.0,) * 10,
        thinking_logprob=(0.0,) * 10,
        is_truncated=False,
    )


N = 8  # problems


def search(components: Components, settings: HybridSettings, decode: Decode, path: Path | None = None) -> Search:
    log = RowLog(path, about={}, key=KEY, columns=COLUMNS)
    return Search(components=components, settings=settings, n_problems=N, decode=decode, log=log)


def strength_of(plan: Plan) -> float:
    assert plan.strength is not None
    return float(plan.strength(state(), torch.tensor([0]))[0])


def test_each_behaviour_gets_the_strength_at_which_it_does_best(components: Components) -> None:
    wanted = [0.5 if number % 2 else 1.0 for number in range(len(components.behaviours))]

    def decode(arm: str, plan: Plan, numbers: range) -> tuple[list[RowRecord], Sequence[bool]]:
        """The more behaviours have the strength that is wanted, the more is solved."""
        assert plan.strength is not None
        each = plan.strength(state(), torch.arange(len(wanted))).tolist()
        hits = sum(abs(strength - best) < 1e-6 for strength, best in zip(each, wanted, strict=True))
        return [record(1)] * len(numbers), [number < hits for number in numbers]

    settings = replace(SETTINGS, strength_by="per-behaviour")
    assert len(wanted) == N
    tried = search(components, settings, decode)
    tuned = choose(tried, [2])
    assert list(tuned.behaviour_strengths) == wanted
    assert max(row["accuracy"] for row in tried.rows) == 1.0
    assert sum(row["n"] for row in tried.log.values()) <= n_decodings(components, [2], settings, N)
    assert choose(search(components, SETTINGS, decode), [2]).behaviour_strengths == ()


def test_of_equals_the_one_that_steers_less_and_then_the_smaller_strength_is_chosen(components: Components) -> None:
    def decode(arm: str, plan: Plan, numbers: range) -> tuple[list[RowRecord], Sequence[bool]]:
        return [record(2 if strength_of(plan) == 0.25 else 1)] * len(numbers), [True] * len(numbers)

    tuned = choose(search(components, replace(SETTINGS, strengths=(1.0, 0.5, 0.25)), decode), [2])
    assert tuned == Tuned(layer=2, strength=0.5, threshold=0.0)


def test_many_cells_are_tried_on_few_problems_and_each_problem_once(components: Components) -> None:
    """Layer 1 with strength 0.75 solves all, the rest half, and strength 2 moves the base too far."""
    decoded: list[tuple[str, int, float, int]] = []

    def decode(arm: str, plan: Plan, numbers: range) -> tuple[list[RowRecord], Sequence[bool]]:
        assert plan.mechanism is not None
        layer, strength = plan.mechanism.layer, strength_of(plan)
        decoded.extend((arm, layer, strength, number) for number in numbers)
        is_best = (layer, strength) == (1, 0.75)
        nats = 20.0 if strength == 2 else 1.0
        return [record(1, nats)] * len(numbers), [is_best or number % 2 == 0 for number in numbers]

    settings = replace(SETTINGS, strengths=(0.5, 0.75, 1.0, 2.0))
    # A token of ten is steered: 2 nats a token on average exceed the limit of 1, 0.1 do not.
    twice = replace(components, directions=_at_layers(components, (1, 2)), probes=_probes_at(components, (1, 2)))
    tried = search(twice, settings, decode)
    tuned = choose(tried, [1, 2])
    assert (tuned.layer, tuned.strength) == (1, 0.75)
    of_hybrid = [one for one in decoded if one[0] == "hybrid"]
    assert len(of_hybrid) == len(set(of_hybrid)) == 8 * 2 + 4 * 2 + 2 * 4 < 8 * N
    frame = pd.DataFrame(tried.rows).query("arm == 'hybrid'")
    assert frame["n"].tolist() == [2] * 8 + [4] * 4 + [8] * 2
    assert set(frame[frame["strength"] == 2]["dropped"]) == {"over the KL limit"}
    assert frame[frame["strength"] == 2]["kl_nats"].tolist() == pytest.approx([2.0, 2.0])
    assert len(tried.log) == 8 + 4 + 2 + 1, "a row for each cell and rung, and the threshold"


def test_a_hybrid_of_which_no_cell_keeps_to_the_limit_is_refused_and_other_arms_take_the_least(
    components: Components,
) -> None:
    def decode(arm: str, plan: Plan, numbers: range) -> tuple[list[RowRecord], Sequence[bool]]:
        nats = 100 * strength_of(plan) if arm == over else 0.1
        return [record(1, nats)] * len(numbers), [True] * len(numbers)

    over = "hybrid"
    with pytest.raises(
        InputError, match=r"every layer and strength of hybrid moves the base by 5 nats a token or more"
    ):
        choose(search(components, SETTINGS, decode), [2])
    over = "word-boost"
    assert (
        choose(search(components, replace(SETTINGS, arms=("word-boost",), boosts=(4.0, 2.0)), decode), [2]).boost == 2
    )


def _at_layers(components: Components, layers: tuple[int, ...]) -> Directions:
    only = components.directions
    vectors = {name: only.at(name, 2).expand(len(layers), -1).clone() for name in only.behaviours}
    return replace(only, vectors=vectors, layers=layers, residual_norm=(1.0,) * len(layers), scores={})


def _probes_at(components: Components, layers: tuple[int, ...]) -> Probes:
    which, when = components.probes.which[2], components.probes.when[2]
    return replace(components.probes, which=dict.fromkeys(layers, which), when=dict.fromkeys(layers, when))


def test_the_boost_is_chosen_as_strengths_are_and_only_where_the_arm_runs(components: Components) -> None:
    def decode(arm: str, plan: Plan, numbers: range) -> tuple[list[RowRecord], Sequence[bool]]:
        nats = strength_of(plan)
        right = [arm != "word-boost" or (nats == 4 if number % 2 else nats >= 4) for number in numbers]
        return [record(1)] * len(numbers), right

    settings = replace(SETTINGS, arms=("word-boost", "probe-gated"), boosts=(8.0, 4.0, 2.0))
    tried = search(components, settings, decode)
    assert choose(tried, [2]).boost == 4.0
    assert [row["strength"] for row in tried.rows if row["arm"] == "word-boost"] == [8.0, 4.0, 2.0]
    without = search(components, SETTINGS, decode)
    assert choose(without, [2]).boost == 0 and {row["arm"] for row in without.rows} == {"hybrid", "probe-gated"}
    alone = search(components, replace(SETTINGS, arms=("oracle",)), decode)
    assert choose(alone, [2]).threshold == 0 and {row["arm"] for row in alone.rows} == {"hybrid"}
    for one in (tried, without, alone):
        n_decoded = sum(row["n"] for row in one.log.values())
        assert n_decoded == n_decodings(components, [2], one.settings, N), "every cell keeps to the limit"


def test_a_mean_difference_at_the_token_before_is_a_direction_of_the_base(components: Components) -> None:
    assert (
        components.directions.method.startswith("mean difference")
        and components.directions.model["name"] == "organism/base-timing"
    )
    assert components.directions.behaviours == components.behaviours
    assert components.bias is None, "no arm needs the general vector, so it was not sought"


def test_probes_come_back_as_they_were_and_damaged_files_are_refused(components: Components, tmp_path: Path) -> None:
    components.probes.save(tmp_path / "p.safetensors")
    again = Probes.open(tmp_path / "p.safetensors")
    assert torch.equal(again.which[2][0], components.probes.which[2][0])
    assert torch.equal(again.which[2][1], components.probes.which[2][1])
    assert torch.equal(again.when[2][0], components.probes.when[2][0])
    assert again.when[2][1] == components.probes.when[2][1], "to the last bit: the gate compares with it"
    assert again.auroc_when == components.probes.auroc_when and again.n_tokens == components.probes.n_tokens
    (tmp_path / "p.safetensors").write_bytes((tmp_path / "p.safetensors").read_bytes()[:200])
    with pytest.raises(InputError, match="cannot read probes"):
        Probes.open(tmp_path / "p.safetensors")
    components.directions.save(tmp_path / "d.safetensors")
    with pytest.raises(InputError, match="holds no probes of a hybrid"):
        Probes.open(tmp_path / "d.safetensors")


@pytest.mark.long
def test_vectors_and_strengths_that_are_found_together_recover_the_gap_too() -> None:
    """As published: joint training, the strength by the network."""
    settings = replace(
        SETTINGS,
        mechanism="joint",
        strength_by="network",
        layers=(0,),
        rollout=Sampling(n_samples=1, temperature=0, max_new_tokens=287),
    )
    pair = planted_pair(n_train=60, n_validation=16, n_test=40)
    result = hybrid(pairs=[pair], settings=settings, progress=False).pairs["rl-timing"]
    arms, run = result.arms, result.run
    assert run is not None
    assert arms["hybrid"].gap > 0.3 and arms["hybrid"].steered < 0.2
    assert arms["random-vectors"].gap < arms["hybrid"].gap - 0.15
    assert run.components.directions.method.startswith("trained together with their strengths")


def test_a_search_that_was_cut_off_goes_on_at_the_cell_where_it_stopped(components: Components, tmp_path: Path) -> None:
    settings = replace(SETTINGS, strengths=(0.25, 0.5, 0.75, 1.0), thresholds=(0.0, 1.0))
    asked: list[tuple[str, int]] = []

    def decode(arm: str, plan: Plan, numbers: range) -> tuple[list[RowRecord], Sequence[bool]]:
        asked.append((arm, len(numbers)))
        if len(asked) == 6 and not (tmp_path / "whole.jsonl").exists():
            raise KeyboardInterrupt
        return [record(1)] * len(numbers), [arm == "hybrid"] * len(numbers)

    with pytest.raises(KeyboardInterrupt):
        choose(search(components, settings, decode, tmp_path / "search.jsonl"), [2])
    (tmp_path / "whole.jsonl").touch()
    asked.clear()
    resumed = search(components, settings, decode, tmp_path / "search.jsonl")
    tuned = choose(resumed, [2])
    assert asked == [("hybrid", 4), ("probe-gated", 8), ("probe-gated", 8)], "five cells of the hybrid were known"
    whole = search(components, settings, decode, tmp_path / "other.jsonl")
    assert choose(whole, [2]) == tuned and whole.rows == resumed.rows
    assert (tmp_path / "search.jsonl").read_bytes() == (tmp_path / "other.jsonl").read_bytes()


def test_behaviours_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(InputError, match="fewer than two behaviours have a token before them"):
        fit_which(torch.zeros(3, 4), ["a", "a", "b"], ["a"])


@pytest.mark.long
def test_everything_is_made_after_the_prompt_that_the_base_will_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base reads the bare question, a thinking model its template: vectors of one prompt do not serve another."""
    seen: list[tuple[str, str]] = []

    def watched(module: ModuleType, name: str) -> None:
        whole = getattr(module, name)

        def call(*given: Any, **options: Any) -> Any:
            settings = next((each for each in given if hasattr(each, "template")), None)
            seen.append((name, options.get("template") or settings.template))
            return whole(*given, **options)

        monkeypatch.setattr(module, name, call)

    watched(making, "collect")
    watched(making, "optimised_directions")
    watched(networks_module, "fit_coefficients")
    pair = replace(organism_pair("organism/rl-timing", n_train=60, n_validation=2, n_test=2), base_template="plain")
    settings = replace(SETTINGS, arms=("bias",), strength_by="network")
    few = OptimisedSettings(max_steps=1, max_spans=8)
    experiment = Experiment.of(pair, settings)
    make_components(experiment, labelled_rollouts(experiment), optimised=few)
    assert {name for name, _ in seen} == {"collect", "optimised_directions", "fit_coefficients"}
    assert {template for _, template in seen} == {"plain"}
