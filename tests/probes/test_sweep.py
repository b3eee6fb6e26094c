from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from scipy.stats import kstest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from reasonlens import (
    Activations,
    InputError,
    ProbeSweep,
    Read,
    sweep,
)
from reasonlens.activations import Example
from reasonlens.probes.folds import grouped_folds
from reasonlens.probes.metrics import (
    auroc,
    concordance,
)
from reasonlens.probes.solver import Columns, Design, solve_logistic

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
        values=acts,
        examples=examples,
        layers=(4, 5, 6),
        read=Read.mean(),
        model={"name": "noise"},
        overall_mean=acts.mean(dim=0),
        residual_norm=acts.norm(dim=-1).mean(dim=0),
    )


def activations_of(
    acts: torch.Tensor, labels: list[str], problems: list[int], texts: list[str] | None = None
) -> Activations:
    """Layers 0, 1, ... of examples in the order of their problems."""
    examples = tuple(
        Example(f"t{problem}", f"p{problem}", label, place, place + 1, text, None)
        for place, (label, problem, text) in enumerate(
            zip(labels, problems, texts or ["One or two."] * len(labels), strict=True)
        )
    )
    return Activations(
        values=acts,
        examples=examples,
        layers=tuple(range(acts.shape[1])),
        read=Read.mean(),
        model={"name": "noise"},
        overall_mean=acts.mean(dim=0),
        residual_norm=acts.norm(dim=-1).mean(dim=0),
    )


def scikit_learn(penalty: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=penalty, tol=1e-8, max_iter=5000))


@dataclass
class OutOfFold:
    scores: np.ndarray
    weights: np.ndarray


def out_of_fold(acts: np.ndarray, positive: np.ndarray, folds: np.ndarray) -> OutOfFold:
    n_folds = int(folds.max()) + 1
    design = Design.of(torch.from_numpy(acts).float(), folds, ~np.eye(n_folds, dtype=bool))
    labels = torch.from_numpy(positive).expand(n_folds, -1)
    solved = solve_logistic(design, Columns(labels, torch.arange(n_folds), torch.full((n_folds,), 0.1)))
    return OutOfFold(solved.scores(design).numpy()[folds, np.arange(len(folds))], solved.raw(design)[0].numpy())


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


def test_out_of_fold_scores_are_those_of_plain_scikit_learn(activations: Activations) -> None:
    found = sweep(activations, penalties=[0.01], n_bootstrap=10, progress=False)
    problems = np.unique(activations.problems, return_inverse=True)[1]
    folds = grouped_folds(activations.labels, activations.problems, activations.behaviours, 5, seed=0)
    acts, positive = activations.layer(5).double().numpy(), activations.shows("planted")
    scores = np.empty(len(acts))
    for fold in range(5):
        theirs = scikit_learn(0.01).fit(acts[folds != fold], positive[folds != fold])
        scores[folds == fold] = theirs.decision_function(acts[folds == fold])
    index = list(found.behaviours).index("planted")
    np.testing.assert_allclose(found.scores[index, 1], scores, atol=1e-3)
    expected = auroc(concordance(scores, positive, problems, folds))
    assert found.behaviours["planted"].auroc[1].value == pytest.approx(expected, abs=1e-4)


def test_layer_and_penalty_are_those_that_a_naive_nested_loop_chooses(activations: Activations) -> None:
    """Fold by fold with scikit-learn: fit without the outer and an inner fold, score the inner one, take the best."""
    penalties = [1e-3, 1e-1]
    found = sweep(activations, penalties=penalties, n_folds=4, n_bootstrap=10, progress=False)
    problems = np.unique(activations.problems, return_inverse=True)[1]
    folds = grouped_folds(activations.labels, activations.problems, activations.behaviours, 4, seed=0)
    positive = activations.shows("backtracking")
    acts = {layer: activations.layer(layer).double().numpy() for layer in activations.layers}
    scores, layers, chosen_penalties = np.empty(len(positive)), [], []
    for outer in range(4):
        inner_auroc = {}
        for layer in activations.layers:
            for penalty in penalties:
                kept = folds != outer
                inner_scores = np.zeros(len(positive))
                for inner in set(range(4)) - {outer}:
                    train, test = kept & (folds != inner), folds == inner
                    probe = scikit_learn(penalty).fit(acts[layer][train], positive[train])
                    inner_scores[test] = probe.decision_function(acts[layer][test])
                pairs = concordance(inner_scores[kept], positive[kept], problems[kept], folds[kept])
                inner_auroc[layer, penalty] = auroc(pairs)
        layer, penalty = max(inner_auroc, key=inner_auroc.get)
        probe = scikit_learn(penalty).fit(acts[layer][folds != outer], positive[folds != outer])
        scores[folds == outer] = probe.decision_function(acts[layer][folds == outer])
        layers.append(layer)
        chosen_penalties.append(penalty)
    nested = found.behaviours["backtracking"].nested
    assert nested.layers == tuple(layers) and nested.penalties == tuple(chosen_penalties)
    assert nested.auroc.value == pytest.approx(auroc(concordance(scores, positive, problems, folds)), abs=1e-4)


def test_a_clear_best_layer_is_chosen_on_other_folds_as_well(found: ProbeSweep) -> None:
    planted = found.behaviours["planted"]
    assert planted.nested.layers == (5,) * 5
    assert planted.nested.auroc.value == pytest.approx(planted.auroc[1].value)


@pytest.mark.long
def test_where_nothing_is_held_the_reported_number_is_at_chance_and_the_best_of_many_layers_is_not() -> None:
    """The maximum over forty layers of noise lies well above 0.5; the nested number does not."""
    generator = torch.Generator().manual_seed(1)
    highest, reported = [], []
    for seed in range(6):
        noise = torch.randn(240, 40, 12, generator=generator)
        labels = ["a" if n % 3 == 0 else "b" for n in range(240)]
        found = sweep(
            activations_of(noise, labels, [n // 8 for n in range(240)]),
            behaviours=["a"],
            penalties=[0.01],
            n_bootstrap=10,
            n_permutations=1,
            seed=seed,
            progress=False,
        ).behaviours["a"]
        highest.append(max(estimate.value for estimate in found.auroc))
        reported.append(found.nested.auroc.value)
    assert np.mean(highest) > 0.57
    assert abs(np.mean(reported) - 0.5) < 0.05


def test_the_problems_identity_leaks_through_a_naive_split_and_through_no_grouped_one() -> None:
    generator = torch.Generator().manual_seed(0)
    n_problems, per_problem = 60, 10
    problems = [n // per_problem for n in range(n_problems * per_problem)]
    mostly = torch.randint(2, (n_problems,), generator=generator)[problems]  # each problem leans to one label
    labels = ["a" if bool(lean ^ (n % 10 == 0)) else "b" for n, lean in enumerate(mostly.tolist())]
    acts = 3 * torch.randn(n_problems, 1, 100, generator=generator)[problems]  # and has a place of its own, no more
    acts += torch.randn(len(problems), 1, 100, generator=generator)
    found = sweep(activations_of(acts, labels, problems), behaviours=["a"], n_bootstrap=100, progress=False)
    leak = found.behaviours["a"]
    assert leak.auroc_naive_split[0].low > 0.75
    assert leak.auroc[0].low < 0.5 < leak.auroc[0].high
    assert leak.p_value[0] > 0.05


@pytest.mark.long  # 60 sweeps
def test_p_values_of_shuffled_labels_are_uniform_and_those_of_a_planted_direction_least() -> None:
    found = []
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        problems = [n // 6 for n in range(120)]
        acts = torch.randn(120, 3, 10, generator=generator) + torch.randn(20, 3, 10, generator=generator)[problems]
        labels = ["a" if bool(each) else "b" for each in torch.randint(2, (120,), generator=generator)]
        given = activations_of(acts, labels, problems)
        quick = {"n_bootstrap": 2, "n_shuffles": 1, "n_permutations": 99, "penalties": [0.01], "progress": False}
        found.append(min(sweep(given, behaviours=["a"], seed=seed, **quick).behaviours["a"].p_value))
    assert kstest(found, "uniform").pvalue > 0.01  # the least over layers, corrected, is one test
    acts[:, 1, 0] += 2 * torch.tensor([label == "a" for label in labels])
    planted = sweep(activations_of(acts, labels, problems), behaviours=["a"], **quick).behaviours["a"]
    assert planted.p_value[1] == 1 / 100 and planted.p_value[0] > 0.02


def test_a_phrasing_left_out_is_found_by_meaning_and_not_by_its_own_word() -> None:
    """At the first layer each phrasing has a direction of its own, at the second they share one."""
    generator = torch.Generator().manual_seed(0)
    kinds = [("backtracking", "Wait, no."), ("backtracking", "Oops, wrong."), ("rest", "It is so."), ("rest", "Fine.")]
    chosen = [kinds[int(k)] for k in torch.randint(4, (400,), generator=generator)]
    acts = torch.randn(400, 2, 16, generator=generator)
    for word, dimension in (("Wait", 0), ("Oops", 1)):
        acts[:, 0, dimension] += 4 * torch.tensor([text.startswith(word) for _, text in chosen])
    acts[:, 1, 2] += 4 * torch.tensor([label == "backtracking" for label, _ in chosen])
    given = activations_of(acts, [label for label, _ in chosen], [n // 10 for n in range(400)], [t for _, t in chosen])
    found = sweep(given, behaviours=["backtracking"], n_bootstrap=50, progress=False).behaviours["backtracking"]
    assert set(found.phrasings) == {"wait", "oops"}
    own, shared = found.auroc_new_phrasing
    assert found.auroc[0].value > 0.95 and own.value < 0.7
    assert found.auroc[1].value > 0.95 and shared.value > 0.95


def test_a_sweep_does_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = ["a" if bool(each) else "b" for each in torch.randint(2, (120,), generator=generator)]
    activations = activations_of(torch.randn(120, 2, 8, generator=generator), labels, [n // 10 for n in range(120)])
    tables = []
    for n_threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda n_threads=n_threads: n_threads)
        tables.append(sweep(activations, n_bootstrap=20, progress=False).to_frame())
    assert tables[0].equals(tables[1])


def test_a_read_before_the_span_has_no_wording_to_leave_out() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = ["backtracking" if bool(each) else "rest" for each in torch.randint(2, (200,), generator=generator)]
    shown = ("Wait, no.", "Oops, wrong.")
    texts = [shown[place % 2] if label == "backtracking" else "It is so." for place, label in enumerate(labels)]
    acts = torch.randn(200, 2, 16, generator=generator)
    inside = activations_of(acts, labels, [n // 10 for n in range(200)], texts)
    assert sweep(inside, behaviours=["backtracking"], n_bootstrap=50, progress=False)["backtracking"].phrasings
    before = replace(inside, read=Read.before())
    found = sweep(before, behaviours=["backtracking"], n_bootstrap=50, progress=False)
    assert (
        not found["backtracking"].phrasings
        and np.isnan([each.value for each in found["backtracking"].auroc_new_phrasing]).all()
    )
    assert found.report() and ProbeSweep.from_dict(found.to_dict()).to_frame().equals(found.to_frame())


def test_token_embeddings_stand_beside_the_layers(activations: Activations, found: ProbeSweep) -> None:
    assert "embeddings" not in found.behaviours["planted"].comparison.aurocs
    told = torch.randn(len(activations.examples), 7, generator=torch.Generator().manual_seed(3))
    told[:, 3] += 3 * torch.from_numpy(activations.shows("planted"))
    behaviours = sweep(replace(activations, embedding_values=told), n_bootstrap=20, progress=False).behaviours
    aurocs = {name: behaviour.comparison.aurocs["embeddings"] for name, behaviour in behaviours.items()}
    assert aurocs["planted"].low > 0.9
    assert 0.6 < aurocs["backtracking"].value < 0.8  # told from "planted", not from "rest"


@pytest.mark.parametrize("estimator", ["ridge", "lda", "mean-difference"])
def test_other_kinds_of_probe_find_the_planted_direction_too(activations: Activations, estimator: str) -> None:
    found = sweep(activations, estimator=estimator, n_bootstrap=20, progress=False)
    planted = found.behaviours["planted"]
    assert found.best_layer("planted") == 5 and planted.auroc[1].value > 0.9
    assert np.isfinite(planted.nested.metrics.brier.value) == (estimator == "lda")


def test_constant_features_doubled_rows_and_fewer_rows_than_features_are_survived(activations: Activations) -> None:
    acts = activations.values.clone()
    acts[:, :, 3] = 5.0
    wide = torch.cat([acts, acts.repeat(1, 1, 25)], dim=2)[:, :1]  # 624 features for 480 rows
    quick = {"n_bootstrap": 10, "n_shuffles": 1, "n_permutations": 5, "progress": False}
    found = sweep(replace(activations, values=wide, layers=(4,)), **quick)
    assert np.isfinite(found.scores).all() and np.isfinite(found.weights).all()
    assert (np.abs(found.weights[:, 0, 3]) < 1e-9).all()
    twice = replace(activations, values=torch.cat([acts, acts]), examples=activations.examples * 2)
    assert np.isfinite(sweep(twice, **quick).scores).all()


def test_what_cannot_be_probed_is_said(activations: Activations) -> None:
    acts = activations.values.clone()
    acts[7, 1, 2] = float("nan")
    with pytest.raises(InputError, match="at layer 5 are not finite .* in trace 't0' .* the span 'Wait, no.'"):
        sweep(replace(activations, values=acts), progress=False)
    one = replace(activations, examples=tuple(replace(each, label="rest") for each in activations.examples))
    with pytest.raises(InputError, match="every span is labelled 'rest'"):
        sweep(one, progress=False)
    alone = replace(activations, examples=tuple(replace(each, problem="p") for each in activations.examples))
    with pytest.raises(InputError, match="in 1 problems, too few for 5 folds"):
        sweep(alone, progress=False)
    with pytest.raises(InputError, match="at least 3 folds, not 2"):
        sweep(activations, n_folds=2, progress=False)
    with pytest.raises(InputError, match="unknown kind of probe 'svm'; there are logistic, ridge, lda, mean-diff"):
        sweep(activations, estimator="svm", progress=False)


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
    pipeline = scikit_learn(found.behaviours["planted"].penalty[1]).fit(acts.double().numpy(), positive)
    ours = acts @ probes["planted.weight"][1] + probes["planted.bias"][1]
    np.testing.assert_allclose(ours, pipeline.decision_function(acts.double().numpy()), atol=1e-3)
    with safe_open(tmp_path / "probes.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["reasonlens"])["layers"] == [4, 5, 6]


def test_the_table_has_a_row_for_each_behaviour_and_layer(found: ProbeSweep) -> None:
    frame = found.to_frame()
    assert len(frame) == 9
    wanted = {"auroc", "auroc_low", "auroc_high", "auroc_unmarked", "auroc_shuffled", "n_positive", "n_problems"}
    assert wanted <= set(frame.columns)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["behaviours"]["planted"]["best_layer"] == 5


def test_the_same_seed_gives_the_same_figures(activations: Activations, found: ProbeSweep) -> None:
    assert sweep(activations, n_bootstrap=200, progress=False).to_dict() == found.to_dict()


def test_behaviours_can_be_chosen_and_the_others_stay_negatives(activations: Activations, found: ProbeSweep) -> None:
    chosen = sweep(activations, behaviours=["planted"], n_bootstrap=10, progress=False)
    assert list(chosen.behaviours) == ["planted"]
    assert chosen.behaviours["planted"].n_negative == found.behaviours["planted"].n_negative
    with pytest.raises(InputError, match="no example shows 'absent'"):
        sweep(activations, behaviours=["absent"], progress=False)
