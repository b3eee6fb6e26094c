from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from reasonlens.probes.solver import METHODS, Columns, Design, minimise, solve_logistic, solve_multinomial


def data(n: int, d_model: int, seed: int = 0):
    generator = np.random.default_rng(seed)
    acts = generator.normal(size=(n, d_model)) @ generator.normal(size=(d_model, d_model)) / d_model**0.5
    acts = acts * np.exp(generator.normal(size=d_model)) + 100 * generator.normal(size=d_model)
    labels = (acts - acts.mean(axis=0)) @ generator.normal(size=(d_model, 3)) / 3 + generator.normal(size=(n, 3)) > 0.5
    return acts, labels.T, np.arange(n) % 4


def columns(labels, subset, penalty, kept=None, dtype=torch.float64) -> Columns:
    return Columns(
        torch.from_numpy(labels),
        torch.as_tensor(subset),
        torch.as_tensor(penalty, dtype=dtype),
        None if kept is None else torch.from_numpy(kept),
    )


@pytest.mark.parametrize("free_looks", [{"cpu"}, set()], ids=["looks at each step", "looks in blocks, as on CUDA"])
@pytest.mark.parametrize("shape", [(300, 30), (80, 200)], ids=["n > d", "n < d"])
def test_columns_of_many_folds_penalties_and_left_out_rows_are_each_scikit_learns(
    shape: tuple[int, int], free_looks: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minimise, "FREE_LOOKS", free_looks)
    acts, labels, folds = data(*shape)
    subsets = ~np.eye(4, dtype=bool)
    design = Design.of(torch.from_numpy(acts), folds, subsets, dtype=torch.float64)
    picks = [(b, s, c) for b in range(3) for s in range(4) for c in (0.001, 1.0)]
    kept = np.random.default_rng(1).random((len(picks), len(acts))) < 0.9
    given = columns(labels[[b for b, _, _ in picks]], [s for _, s, _ in picks], [c for _, _, c in picks], kept)
    scores = solve_logistic(design, given, 1e-8).scores(design)
    weights, biases = solve_logistic(design, given, 1e-8).raw(design)
    np.testing.assert_allclose(weights @ torch.from_numpy(acts).T + biases[:, None], scores, atol=1e-8)
    for row, (behaviour, subset, penalty) in enumerate(picks):
        in_subset = folds != subset
        scaler = StandardScaler().fit(acts[in_subset])  # of the fold, also where rows of it are left out
        train = in_subset & kept[row]
        probe = LogisticRegression(C=penalty, tol=1e-10, max_iter=20_000)
        probe.fit(scaler.transform(acts[train]), labels[behaviour, train])
        np.testing.assert_allclose(scores[row], probe.decision_function(scaler.transform(acts)), atol=2e-4)


def test_a_column_does_not_depend_on_those_beside_it() -> None:
    acts, labels, folds = data(200, 20)
    design = Design.of(torch.from_numpy(acts), folds, ~np.eye(4, dtype=bool), dtype=torch.float64)
    together = solve_logistic(design, columns(labels, [0, 1, 2], [0.1, 0.01, 1.0]), 1e-8).scores(design)
    for row, (subset, penalty) in enumerate([(0, 0.1), (1, 0.01), (2, 1.0)]):
        alone = solve_logistic(design, columns(labels[row : row + 1], [subset], [penalty]), 1e-8).scores(design)
        np.testing.assert_allclose(together[row], alone[0], atol=1e-5)


def test_a_far_outlier_of_the_test_fold_does_not_spoil_single_precision() -> None:
    """A dimension with a sink of 25,000 in the fold that is left out, as attention sinks have."""
    acts, labels, folds = data(400, 10)
    acts[np.flatnonzero(folds == 0)[0], 3] = 25_000.0
    subsets = ~np.eye(4, dtype=bool)
    exact, rough = (Design.of(torch.from_numpy(acts), folds, subsets, dtype=d) for d in (torch.float64, torch.float32))
    one = solve_logistic(exact, columns(labels[:1], [0], [0.1]), 1e-8).scores(exact)
    other = solve_logistic(rough, columns(labels[:1], [0], [0.1], dtype=torch.float32), 1e-5).scores(rough)
    kept = folds != 0
    np.testing.assert_allclose(other[0, kept], one[0, kept], atol=1e-2)


def test_looks_in_blocks_come_closer_to_the_minimum_and_end_no_column_sooner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acts, labels, folds = data(400, 60)
    design = Design.of(torch.from_numpy(acts), folds, ~np.eye(4, dtype=bool))
    many = columns(
        np.tile(labels, (8, 1)), np.arange(24) % 4, np.repeat([0.001, 0.01, 0.1, 1.0], 6), dtype=torch.float32
    )
    each_step = solve_logistic(design, many)
    monkeypatch.setattr(minimise, "FREE_LOOKS", set())
    in_blocks = solve_logistic(design, many)
    exact = Design.of(torch.from_numpy(acts), folds, ~np.eye(4, dtype=bool), dtype=torch.float64)
    reference = solve_logistic(exact, many, 1e-9).scores(exact)
    error = [(one.scores(design) - reference).std(dim=1) / reference.std(dim=1) for one in (each_step, in_blocks)]
    assert error[1].mean() < error[0].mean() < 3e-4, (error[0].mean(), error[1].mean())
    assert error[1].max() <= error[0].max() < 3e-3, (error[0].max(), error[1].max())
    assert each_step.n_iterations <= in_blocks.n_iterations < each_step.n_iterations + minimise.LOOK_EVERY
    assert in_blocks.is_converged is not None and in_blocks.is_converged.all()


def test_a_rough_search_ranks_random_labels_as_an_exact_one_does_to_a_thousandth() -> None:
    acts, _, folds = data(400, 60)
    labels = np.random.default_rng(3).random((40, len(acts))) < 0.3
    design = Design.of(torch.from_numpy(acts), folds, ~np.eye(4, dtype=bool))
    many = columns(labels, np.arange(40) % 4, np.full(40, 0.1), dtype=torch.float32)
    rough = METHODS["logistic"].solve_roughly
    assert rough is not None
    exact, near = solve_logistic(design, many, 1e-6), rough(design, many)
    assert near.n_iterations < exact.n_iterations
    differences = [
        roc_auc_score(row, one) - roc_auc_score(row, other)
        for row, one, other in zip(labels, near.scores(design), exact.scores(design), strict=True)
    ]
    assert abs(np.mean(differences)) < 1e-3 and np.abs(differences).max() < 5e-3


def test_columns_of_one_class_say_nothing_and_spoil_nothing() -> None:
    acts, labels, folds = data(100, 8)
    labels = np.stack([labels[0], np.zeros(100, dtype=bool), np.ones(100, dtype=bool)])
    design = Design.of(torch.from_numpy(acts), folds, ~np.eye(4, dtype=bool))
    for name, method in METHODS.items():
        penalty = [method.penalties[0]] * 3
        found = method.solve(design, columns(labels, [0, 1, 2], penalty, dtype=torch.float32))
        assert found.weight.isfinite().all() and found.bias.isfinite().all(), name
        assert found.weight[0].abs().max() > 0
    one_of_nine = np.stack([*[labels[0]] * 8, labels[2]])  # too few to be worth a copy, and yet not to be searched
    found = METHODS["logistic"].solve(design, columns(one_of_nine, [0] * 9, [1.0] * 9, dtype=torch.float32))
    assert not found.weight[8].any() and found.bias[8].item() == pytest.approx(np.log(2 * (folds != 0).sum() + 1))


def test_two_softmax_probes_side_by_side_are_each_scikit_learns() -> None:
    acts, labels, folds = data(300, 12)
    number = labels[0] + 2 * labels[1].astype(int)
    classes = number == np.arange(4)[:, None]
    design = Design.of(torch.from_numpy(acts), folds, ~np.eye(4, dtype=bool), dtype=torch.float64)
    given = columns(np.concatenate([classes, classes]), [0] * 4 + [3] * 4, [0.1] * 4 + [0.01] * 4)
    scores = solve_multinomial(design, given, 4, 1e-8).scores(design).numpy()
    for place, (fold, penalty) in enumerate([(0, 0.1), (3, 0.01)]):
        train = folds != fold
        scaler = StandardScaler().fit(acts[train])
        probe = LogisticRegression(C=penalty, tol=1e-10, max_iter=20_000).fit(
            scaler.transform(acts[train]), number[train]
        )
        expected = probe.decision_function(scaler.transform(acts)).T
        ours = scores[4 * place : 4 * place + 4]
        np.testing.assert_allclose(ours - ours.mean(0), expected - expected.mean(0), atol=2e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_scores_of_the_cpu() -> None:
    acts, labels, folds = data(500, 64)
    given = [Design.of(torch.from_numpy(acts), folds, ~np.eye(4, dtype=bool), device=each) for each in ("cpu", "cuda")]
    on_cpu = solve_logistic(given[0], columns(labels, [0, 1, 2], [0.1] * 3, dtype=torch.float32), 1e-5)
    moved = Columns(torch.from_numpy(labels).cuda(), torch.arange(3).cuda(), torch.full((3,), 0.1, device="cuda"))
    on_cuda = solve_logistic(given[1], moved, 1e-5)
    torch.testing.assert_close(on_cuda.scores(given[1]).cpu(), on_cpu.scores(given[0]), rtol=1e-3, atol=1e-3)
