from __future__ import annotations

import numpy as np
import pytest

from reasonlens import InputError
from reasonlens.probes.folds import grouped_folds

LABELS = ["a", "b", "c"] * 40
PROBLEMS = [f"p{n // 6}" for n in range(120)]


def test_no_problem_is_cut_and_every_fold_holds_every_behaviour() -> None:
    folds = grouped_folds(LABELS, PROBLEMS, ["a", "b"], 5, seed=0)
    for problem in set(PROBLEMS):
        assert len({fold for fold, p in zip(folds, PROBLEMS, strict=True) if p == problem}) == 1
    for fold in range(5):
        assert {"a", "b", "c"} == set(np.array(LABELS)[folds == fold])


def test_folds_depend_on_the_seed_alone() -> None:
    first, again, other = (grouped_folds(LABELS, PROBLEMS, ["a"], 5, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


def test_a_behaviour_with_too_few_spans_or_problems_is_named_with_the_remedy() -> None:
    labels = ["rare" if n < 3 else label for n, label in enumerate(LABELS)]
    with pytest.raises(
        InputError, match="'rare' has 3 spans in 1 problems, too few for 5 folds.*--folds.*--behaviours"
    ):
        grouped_folds(labels, PROBLEMS, ["a", "rare"], 5, seed=0)
    grouped_folds(labels, PROBLEMS, ["a"], 5, seed=0)
    with pytest.raises(InputError, match="every span is labelled 'a'"):
        grouped_folds(["a"] * 120, PROBLEMS, ["a"], 5, seed=0)
    labels = ["a"] * 119 + ["b"]
    with pytest.raises(InputError, match="'a' and its absence are not both left to train on"):
        grouped_folds(labels, PROBLEMS, ["a"], 5, seed=0)
    with pytest.raises(InputError, match="at least 3 folds, not 1"):
        grouped_folds(LABELS, PROBLEMS, ["a"], 1, seed=0)
