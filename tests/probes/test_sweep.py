from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from reasonlens import Activations, InputError, ProbeSweep, Read, sweep
from reasonlens.activations import Example
from reasonlens.probes.concordance import FoldPairs, auroc, concordance
from reasonlens.probes.folds import grouped_folds
from reasonlens.probes.sweep import _layer_chosen_elsewhere

N_PROBLEMS, PER_PROBLEM, D_MODEL = 40, 12, 24


@pytest.fixture(scope="module")
def activations() -> Activations:
    """Three labels, and an offset of its own for every problem. "planted" has a direction at the middle layer only.

    Half of the "backtracking" spans hold "wait"; nothing tells "rest" from anything.
    """
    generator = torch.Generator().manual_seed(0)
    n = N_PROBLEMS * PER_PROBLEM
    labels = [("planted", "backtracking", "rest")[int(k)] for k in torch.randint(3, (n,), generator=generator)]
    problems = [number // PER_PROBLEM for number in range(n)]
    acts = torch.randn(n, 3, D_MODEL, generator=generator)
    acts += 3 * torch.randn(N_PROBLEMS, 3, D_MODEL, generator=generator)[problems]
    direction = 1.5 * torch.randn(D_MODEL, generator=generator)
    acts[:, 1] += torch.tensor([label == "planted" for label in labels])[:, None] * direction
    examples = tuple(
        Example(
            f"t{problem}", f"p{problem}", label, 0, 1, "Wait, no." if number % 2 else "Back again.", bool(number % 2)
        )
        for number, (label, problem) in enumerate(zip(labels, problems, strict=True))
    )
    return Activations(
        acts=acts,
        examples=examples,
        layers=(4, 5, 6),
        read=Read.mean(),
        model={"name": "noise"},
        overall_mean=acts.mean(dim=0),
        residual_norm=acts.norm(dim=-1).mean(dim=0),
    )


@pytest.fixture(scope="module")
def found(activations: Activations) -> ProbeSweep:
    return sweep(activations, n_bootstrap=200, progress=False)


def test_a_planted_direction_is_found_at_its_layer_and_nowhere_else(found: ProbeSweep) -> None:
    assert found.best_layer("planted") == 5
    aurocs = [estimate.value for estimate in found.behaviours["planted"].auroc]
    assert aurocs[1] > 0.9
    assert all(abs(aurocs[slot] - 0.5) < 0.1 for slot in (0, 2))


def test_probes_on_shuffled_labels_are_at_chance_everywhere(found: ProbeSweep) -> None:
    for behaviour in found.behaviours.values():
        for estimate in behaviour.auroc_shuffled:
            assert abs(estimate.value - 0.5) < 0.06
            assert estimate.low <= estimate.value <= estimate.high


def test_intervals_hold_the_estimate_and_chance_where_there_is_nothing(found: ProbeSweep) -> None:
    for name, behaviour in found.behaviours.items():
        assert all(estimate.low <= estimate.value <= estimate.high for estimate in behaviour.auroc)
        if name == "rest":
            assert behaviour.auroc[0].low < 0.5 < behaviour.auroc[0].high


def test_out_of_fold_scores_are_those_of_plain_scikit_learn(activations: Activations, found: ProbeSweep) -> None:
    labels, problems = np.array(activations.labels), np.unique(activations.problems, return_inverse=True)[1]
    folds = grouped_folds(activations.labels, activations.problems, activations.behaviours, 5, seed=0)
    acts = activations.layer(5).double().numpy()
    positive = labels == "planted"
    scores = np.empty(len(acts))
    for fold in range(5):
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=found.penalty, tol=1e-8, max_iter=5000))
        pipeline.fit(acts[folds != fold], positive[folds != fold])
        scores[folds == fold] = pipeline.decision_function(acts[folds == fold])
    index = list(found.behaviours).index("planted")
    np.testing.assert_allclose(found.scores[index, 1], scores, atol=1e-3)
    expected = auroc(concordance(scores, positive, problems, folds))
    assert found.behaviours["planted"].auroc[1].value == pytest.approx(expected, abs=1e-4)


def test_a_clear_best_layer_is_chosen_on_other_folds_as_well(found: ProbeSweep) -> None:
    planted = found.behaviours["planted"]
    assert planted.auroc_held_out_layer.value == pytest.approx(planted.auroc[1].value)


def test_where_no_layer_holds_anything_choosing_one_on_other_folds_gains_nothing(activations: Activations) -> None:
    noise = replace(activations, acts=activations.acts[:, [0, 2]], layers=(4, 6))
    for behaviour in sweep(noise, n_bootstrap=200, progress=False).behaviours.values():
        assert behaviour.auroc_held_out_layer.low < 0.5 < behaviour.auroc_held_out_layer.high
        assert behaviour.auroc_held_out_layer.value <= max(estimate.value for estimate in behaviour.auroc) + 1e-9


def test_the_layer_of_a_fold_is_chosen_without_that_fold() -> None:
    # Share of pairs ranked rightly in three folds of ten pairs each, worked by hand. On all folds the second layer wins
    # (0.667 against 0.633); without fold 1, or without fold 2, the first does (0.70 against 0.65).
    def layer(*shares: float) -> list[FoldPairs]:
        return [
            FoldPairs(np.array([n]), np.array([[10 * share]]), np.array([[10.0]])) for n, share in enumerate(shares)
        ]

    chosen = _layer_chosen_elsewhere([layer(0.9, 0.5, 0.5), layer(0.6, 0.7, 0.7)])
    assert [float(fold.wins[0, 0]) for fold in chosen] == [6.0, 5.0, 5.0]


def test_a_behaviour_of_three_spans_still_gets_its_control(activations: Activations) -> None:
    examples = list(activations.examples)
    for number, example in enumerate(examples):
        examples[number] = replace(example, label="rare" if number in (0, 150, 300) else "rest")
    found = sweep(
        replace(activations, examples=tuple(examples)),
        behaviours=["rare"],
        n_folds=3,
        n_bootstrap=10,
        progress=False,
    )
    assert all(np.isfinite(each.value) for each in found.behaviours["rare"].auroc_shuffled)


def test_unmarked_figures_use_unmarked_spans_only(activations: Activations, found: ProbeSweep) -> None:
    backtracking = found.behaviours["backtracking"]
    unmarked = [e for e in activations.examples if e.label == "backtracking" and "Wait" not in e.text]
    assert backtracking.n_unmarked == len(unmarked)
    index = list(found.behaviours).index("backtracking")
    kept = np.array(["Wait" not in example.text for example in activations.examples])
    problems = np.unique(activations.problems, return_inverse=True)[1][kept]
    folds = grouped_folds(activations.labels, activations.problems, activations.behaviours, 5, seed=0)[kept]
    positive = activations.shows("backtracking")[kept]
    expected = auroc(concordance(found.scores[index, 0][kept], positive, problems, folds))
    assert backtracking.auroc_unmarked[0].value == pytest.approx(expected, abs=1e-6)
    assert abs(backtracking.auroc_keyword.value - 0.5) < 0.1  # here the words fall at random
    assert np.isnan(found.behaviours["rest"].auroc_keyword.value)  # and "rest" has none


def test_the_saved_probe_scores_raw_activations(activations: Activations, found: ProbeSweep, tmp_path: Path) -> None:
    found.save_probes(tmp_path / "probes.safetensors")
    probes = load_file(tmp_path / "probes.safetensors")
    acts, positive = activations.layer(5), activations.shows("planted")
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=found.penalty, tol=1e-8, max_iter=5000))
    pipeline.fit(acts.double().numpy(), positive)
    ours = acts @ probes["planted.weight"][1] + probes["planted.bias"][1]
    np.testing.assert_allclose(ours, pipeline.decision_function(acts.double().numpy()), atol=1e-3)
    with safe_open(tmp_path / "probes.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["reasonlens"])["layers"] == [4, 5, 6]


def test_the_table_has_a_row_for_each_behaviour_and_layer(found: ProbeSweep) -> None:
    frame = found.to_frame()
    assert len(frame) == 9
    wanted = {"auroc", "auroc_low", "auroc_high", "auroc_unmarked", "auroc_shuffled", "n_positive", "n_problems"}
    assert wanted <= set(frame.columns)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["planted"]["best_layer"] == 5


def test_the_same_seed_gives_the_same_figures(activations: Activations, found: ProbeSweep) -> None:
    assert sweep(activations, n_bootstrap=200, progress=False).to_dict() == found.to_dict()


def test_behaviours_can_be_chosen_and_the_others_stay_negatives(activations: Activations, found: ProbeSweep) -> None:
    chosen = sweep(activations, behaviours=["planted"], n_bootstrap=10, progress=False)
    assert list(chosen.behaviours) == ["planted"]
    assert chosen.behaviours["planted"].n_negative == found.behaviours["planted"].n_negative
    with pytest.raises(InputError, match="no example shows 'absent'"):
        sweep(activations, behaviours=["absent"], progress=False)
