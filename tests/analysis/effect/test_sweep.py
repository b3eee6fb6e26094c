"""Sweeps on an organism: planted effects are seen, random directions do nothing, and runs resume."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonlens.analysis.effect import (
    EffectSettings,
    StrengthCurves,
    steer_matrix,
    steer_sweep,
)
from reasonlens.analysis.effect import (
    sweep as sweep_module,
)
from reasonlens.analysis.effect.condition import Condition
from reasonlens.analysis.effect.outcome import Outcome
from reasonlens.analysis.effect.task import Task, task_for
from reasonlens.generation import Sampling
from reasonlens.models import LanguageModel, load
from reasonlens.organisms.corpus import vocabulary
from reasonlens.rundir import InputError
from reasonlens.traces import Span
from reasonlens.vectors import Directions

N_RANDOM = 8
SETTINGS = EffectSettings(
    layers=(3,),
    strengths=(0.5, 1.0),
    n_random=2,
    n_problems=6,
    when="prompt",
    sampling=Sampling(n_samples=1, temperature=0, max_new_tokens=20),
)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return load("organism/base-timing", device="cpu")


@pytest.fixture(scope="module")
def directions(model: LanguageModel) -> Directions:
    """Towards an opener, at the last layer: it can only do what it says."""
    head = model.model.get_output_embeddings().weight.detach()
    planted = (head[vocabulary()["well"]] - head.mean(0)).expand(4, -1).clone()
    return Directions(
        vectors={"verification": planted},
        layers=(0, 1, 2, 3),
        method="planted",
        model=model.identity(),
        read="before:1",
        residual_norm=(22.0, 33.0, 47.0, 104.0),
        n_examples={"verification": 1},
        n_problems=1,
        scores={"verification": {"auroc": [0.9, 0.8, 0.7, 0.6]}},
    )


@pytest.fixture(scope="module")
def curves(model: LanguageModel, directions: Directions) -> StrengthCurves:
    settings = EffectSettings(
        layers=(2, 3),
        strengths=(0.5, 1.0),
        n_random=N_RANDOM,
        n_problems=12,
        when="sentences",
        sampling=Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=30),
    )
    task = opening_task(model)
    return steer_sweep(model, directions, settings=settings, task=task, progress=False)


def opening_task(model: LanguageModel) -> Task:
    """Show a behaviour by an opener, which is its tell-tale token."""
    task = task_for(model, ["verification"], n_problems=12)
    return replace(task, annotator=says_well, tokens={"verification": vocabulary()["well"]})


def says_well(prompt: str, text: str) -> list[Span]:
    """Sentences that open with the word, whatever they do."""
    return [Span(found.start(1), found.end(1), "verification") for found in re.finditer(r"(?:^|\. )(well[^.]*)", text)]


def test_a_planted_direction_raises_its_behaviour_beyond_every_random_one(curves: StrengthCurves) -> None:
    task = task_for(load("organism/base-timing", device="cpu"), [], n_problems=12)
    assert len({question.problem for question in task.questions}) == 12
    frame = curves.by_layer()
    last = frame[frame["layer"] == 3].iloc[0]
    assert last["effect_low"] > 0 and last["effect"] > last["random_max"]
    assert last["p_value"] == last["p_corrected"] == pytest.approx(1 / (1 + N_RANDOM))
    assert (frame["p_corrected"] >= frame["p_value"]).all() and curves.n_cells == 4
    assert last["wrong_way"] < 0.2 and last["wrong_way"] < last["wrong_way_high"] < 0.5
    assert (frame["n_problems"] == 12).all() and (frame["n_random"] == N_RANDOM).all()


def test_random_directions_raise_nothing_on_average(curves: StrengthCurves) -> None:
    assert abs(sum(curves.random_effects("verification", 3, 0.5))) / N_RANDOM < 0.06


def test_layers_ranked_by_effect_may_disagree_with_auroc(curves: StrengthCurves) -> None:
    frame = curves.by_layer().set_index("layer")
    assert frame["auroc"].to_dict() == {2: 0.7, 3: 0.6}
    assert frame["rank_auroc"].to_dict() == {2: 1, 3: 2}
    assert curves.strongest_layer("verification") == frame["effect"].idxmax()


def test_the_table_holds_every_condition_with_its_interval(curves: StrengthCurves) -> None:
    frame = curves.to_frame()
    assert frame["kind"].value_counts().to_dict() == {
        "random": 4 * N_RANDOM,
        "direction": 4,
        "token": 4,
        "unsteered": 1,
    }
    assert (frame["rate_low"] <= frame["rate"]).all() and (frame["rate"] <= frame["rate_high"]).all()
    assert (frame["kl_nats"] >= -1e-6).all() and frame["accuracy"].notna().all()
    steered = frame[frame["kind"] != "unsteered"]
    assert (steered["share_steered"] > 0).all() and (steered["share_steered"] < 0.5).all()


def test_more_strength_does_more_damage(curves: StrengthCurves) -> None:
    small, large = (curves.outcome("direction", "verification", 3, strength).damage.kl_nats for strength in (0.5, 1.0))
    assert 0 < small < large


def test_a_report_and_results_can_be_written_and_text_is_escaped(curves: StrengthCurves) -> None:
    json.dumps(curves.to_dict(), allow_nan=False)
    page = curves.report()
    assert "What directions do to organism/base-timing" in page and "largest effect of a random direction" in page
    assert "4 combinations of layer, strength and behaviour" in page and "<th>wrong way</th>" in page
    outcome = curves.outcomes[0]
    object.__setattr__(outcome, "examples", ["<script>alert(1)</script>"])
    assert "<script>alert(1)</script>" not in curves.report()


def test_a_sweep_that_was_cut_off_goes_on_and_ends_the_same(
    model: LanguageModel, directions: Directions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = steer_sweep(model, directions, settings=SETTINGS, progress=False)
    done = 0
    real = sweep_module.outcome_of

    def dies(*args: Any, **options: Any) -> Outcome:
        nonlocal done
        done += 1
        if done == 4:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(sweep_module, "outcome_of", dies)
    with pytest.raises(KeyboardInterrupt):
        steer_sweep(model, directions, settings=SETTINGS, out=tmp_path / "s", progress=False)
    resumed = steer_sweep(model, directions, settings=SETTINGS, out=tmp_path / "s", progress=False)
    assert done == 4 + len(whole.outcomes) - 3
    assert resumed.to_frame().equals(whole.to_frame())
    with pytest.raises(InputError, match=r"holds another run \(seed 0 there, 1 asked, .*; choose another --out"):
        other = EffectSettings(**{**vars(SETTINGS), "seed": 1})
        steer_sweep(model, directions, settings=other, out=tmp_path / "s", progress=False)


def test_more_strengths_go_on_from_the_outcomes_that_are_there(
    model: LanguageModel, directions: Directions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = replace(SETTINGS, strengths=(0.5,), n_random=1)
    steer_sweep(model, directions, settings=fewer, out=tmp_path / "s", progress=False)
    measured: list[str] = []
    real = sweep_module.outcome_of

    def counted(condition: Condition, *rest: Any, **options: Any) -> Outcome:
        measured.append(condition.name)
        return real(condition, *rest, **options)

    monkeypatch.setattr(sweep_module, "outcome_of", counted)
    resumed = steer_sweep(model, directions, settings=SETTINGS, out=tmp_path / "s", progress=False)
    assert len(measured) == len(resumed.outcomes) - 3 and len(set(measured)) == len(measured)
    monkeypatch.undo()
    whole = steer_sweep(model, directions, settings=SETTINGS, progress=False)
    assert resumed.to_frame().equals(whole.to_frame())


def test_directions_of_each_model_steer_the_other(model: LanguageModel, directions: Directions) -> None:
    thinking = load("organism/rl-timing", device="cpu")
    others = Directions(**{**vars(directions), "model": thinking.identity(), "residual_norm": (1.0, 2.0, 3.0, 4.0)})
    small = EffectSettings(**{**vars(SETTINGS), "n_random": 1})
    found = steer_matrix(
        {"base": model, "rl": thinking}, {"base": directions, "rl": others}, settings=small, progress=False
    )
    effects = found.effects()
    assert set(zip(effects["source"], effects["target"], strict=True)) == {
        (source, target) for source in ("base", "rl") for target in ("base", "rl")
    }
    # The same vector in the same model at that model's own unit of strength, whatever the file of its source gives.
    cells = [found.cells[source, "base"].outcome("direction", "verification", 3, 0.5) for source in ("base", "rl")]
    assert cells[0].examples == cells[1].examples
    assert len(found.figure("verification", 3).data) == 2


def test_what_cannot_be_swept_is_refused(model: LanguageModel, directions: Directions) -> None:
    for options, message in (
        ({"strengths": ()}, "strengths must be finite numbers"),
        ({"strengths": (float("nan"),)}, "strengths must be finite numbers"),
        ({"n_random": 0}, "needs random directions"),
        ({"operation": "sing"}, "no operation 'sing'"),
        ({"when": "never"}, "unknown tokens 'never'"),
    ):
        with pytest.raises(InputError, match=message):
            EffectSettings(**options)
    with pytest.raises(InputError, match="no direction for 'dancing'"):
        steer_sweep(model, directions, settings=EffectSettings(behaviours=("dancing",)), progress=False)
    with pytest.raises(InputError, match="layer 9 does not exist"):
        steer_sweep(model, directions, settings=EffectSettings(layers=(9,)), progress=False)
    torch.manual_seed(0)
    with pytest.raises(InputError, match="was found in organism/base-timing .* has other weights"):
        steer_sweep(load("organism/rl-timing", device="cpu"), directions, settings=SETTINGS, progress=False)


def test_beyond_the_limit_of_damage_nothing_is_tried(curves: StrengthCurves, model: LanguageModel, directions) -> None:
    damage = {
        cell: curves.outcome("direction", "verification", *cell).damage.kl_nats
        for cell in [(2, 0.5), (2, 1.0), (3, 0.5), (3, 1.0)]
    }
    limit = (damage[3, 0.5] + damage[3, 1.0]) / 2
    allowed = {cell for cell, nats in damage.items() if nats <= limit}
    assert (3, 0.5) in allowed and (3, 1.0) not in allowed
    settings = EffectSettings(
        layers=(2, 3),
        strengths=(0.5, 1.0),
        n_random=N_RANDOM,
        n_problems=12,
        max_kl_nats=limit,
        sampling=Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=30),
    )
    task = opening_task(model)
    limited = steer_sweep(model, directions, settings=settings, task=task, progress=False)
    assert {
        (outcome.condition.layer, outcome.condition.strength)
        for outcome in limited.outcomes
        if outcome.condition.kind != "unsteered"
    } == allowed
    assert limited.n_cells == len(allowed) and limited.strengths_of("verification", 3) == (0.5,)
    for layer, strength in allowed:
        own, unlimited = (
            result.outcome("direction", "verification", layer, strength).effect("verification", result.unsteered)
            for result in (limited, curves)
        )
        assert own == unlimited
    assert limited.by_layer()["kl_nats"].max() <= limit and "were not tried" in limited.report()
    restored = StrengthCurves.from_dict(limited.to_dict())
    assert restored.by_layer().equals(limited.by_layer())
    weakest = min(damage.values()) / 2
    with pytest.raises(InputError, match="every layer and strength of 'verification' moves neutral text by .* weaker"):
        steer_sweep(model, directions, settings=replace(settings, max_kl_nats=weakest), task=task, progress=False)
