from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from reasonlens.activations import Example
from reasonlens.probes.controls.permutation import permuted_rows, ridge_aurocs
from reasonlens.probes.controls.phrasings import UNMARKED, phrasings
from reasonlens.probes.controls.tasks import control_labels
from reasonlens.probes.metrics import auroc, concordance
from reasonlens.probes.solver import Design


@pytest.mark.parametrize("shape", [(200, 12), (60, 100), (1200, 8)], ids=["n > d", "n < d", "n much larger"])
def test_the_fast_ridge_aurocs_are_those_of_scikit_learn_fold_by_fold(shape: tuple[int, int]) -> None:
    n, d_model = shape
    generator = np.random.default_rng(0)
    acts, labels = generator.normal(size=shape) * np.exp(generator.normal(size=d_model)), generator.random((4, n)) < 0.3
    folds = np.arange(n) // 5 % 4
    design = Design.of(torch.from_numpy(acts), folds, ~np.eye(4, dtype=bool), dtype=torch.float64)
    found = ridge_aurocs(design, folds, [0, 1, 2, 3], torch.from_numpy(labels))
    for column, positive in enumerate(labels):
        scores = np.empty(n)
        for fold in range(4):
            train = folds != fold
            scaler = StandardScaler().fit(acts[train])
            probe = Ridge(alpha=train.sum()).fit(scaler.transform(acts[train]), positive[train])
            scores[~train] = probe.predict(scaler.transform(acts[~train]))
        assert found[column] == pytest.approx(
            auroc(concordance(scores, positive, np.zeros_like(folds), folds)), abs=1e-9
        )


def test_permutations_stay_within_problems_and_keep_what_each_holds() -> None:
    generator = np.random.default_rng(0)
    problems = generator.permutation(np.repeat(np.arange(20), 6))
    shows = generator.random((2, 120)) < 0.4
    rows, how = permuted_rows(shows, problems, 10, seed=0)
    assert how == "within problems"
    assert all(sorted(row) == list(range(120)) for row in rows)
    assert (problems[rows] == problems).all() and (rows != np.arange(120)).any(axis=1).all()


def test_where_problems_are_of_one_label_rows_are_permuted_over_all_spans() -> None:
    problems = np.repeat(np.arange(20), 6)
    rows, how = permuted_rows((problems % 2 == 0)[None], problems, 3, seed=0)
    assert how == "over all spans" and (problems[rows] != problems).any()


def spans() -> list[Example]:
    texts = ["Wait, no.", "So be it.", "wait a bit more", "And then?"] * 5
    return [Example(f"t{n // 4}", "p", "x", 10 * (n % 4), 10 * (n % 4) + 5, text, None) for n, text in enumerate(texts)]


def test_control_labels_are_one_function_of_their_cue() -> None:
    examples = spans()
    for task, cue in (
        ("first word", [each.text.split()[0].strip(",").casefold() for each in examples]),
        ("length", [len(each.text.split()) for each in examples]),
        ("position", [each.start for each in examples]),
    ):
        for labels in control_labels(examples, 3, seed=0)[task]:
            assert len({(value, bool(label)) for value, label in zip(cue, labels, strict=True)}) == len(set(cue))
            assert 0 < labels.sum() < len(labels)


def test_phrasings_are_the_word_that_gives_a_span_away() -> None:
    examples = [*spans(), *(Example("t9", "p", "x", n, n + 1, "Back to the start.", None) for n in range(6))]
    positive = np.array([n % 4 in (0, 2) if n < 20 else True for n in range(26)])
    found = phrasings(examples, "backtracking", positive)
    assert {name: int(chosen.sum()) for name, chosen in found.items()} == {"wait": 10, UNMARKED: 6}
    assert phrasings(examples, "of-its-own", positive).keys() == {"wait", "back"}
    assert phrasings(examples, "backtracking", np.arange(26) == 0) == {}, "too few to leave out"
