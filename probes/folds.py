"""Assign examples to cross-validation folds that never cut a problem and hold each behaviour in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from sklearn.model_selection import StratifiedGroupKFold

from ..rundir import InputError, seed_of, whole_number


def check_sizes(
    n_folds: object, n_bootstrap: object, seed: object, n_shuffles: object = 1, n_permutations: object = 1
) -> None:
    """Check how many folds, resamples and repetitions there are, and the seed.

    Args:
        n_folds: At least 3, which `grouped_folds` checks.
        n_bootstrap: Resamples of the problems, at least 1.
        seed: From 0 to 4294967295.
        n_shuffles: Repetitions of the shuffled-label control, at least 1.
        n_permutations: Permutations of the labels, at least 1.

    Raises:
        InputError: One is no whole number, or out of range.
    """
    whole_number(n_folds, "n_folds")
    whole_number(n_bootstrap, "n_bootstrap")
    whole_number(n_shuffles, "n_shuffles")
    whole_number(n_permutations, "n_permutations")
    seed_of(seed)


def common_labels(labels: Sequence[str], problems: Sequence[str], n_folds: int) -> list[str]:
    """Find the labels that occur in at least `n_folds` problems, so that every fold can hold them."""
    problems_of: dict[str, set[str]] = {}
    for label, problem in zip(labels, problems, strict=True):
        problems_of.setdefault(label, set()).add(problem)
    return sorted(label for label, label_problems in problems_of.items() if len(label_problems) >= n_folds)


def grouped_folds(
    labels: Sequence[str], problems: Sequence[str], behaviours: Sequence[str], n_folds: int, seed: int
) -> Int[np.ndarray, " n_examples"]:
    """Assign each example to a test fold; all examples of one problem are in the same one.

    Args:
        labels: The label of each example.
        problems: The problem of each example.
        behaviours: The labels that every fold must be able to train on and test.
        n_folds: The number of folds, at least 3.
        seed: Seed of the split.

    Returns:
        The fold of each example, 0 .. n_folds - 1.

    Raises:
        InputError: One of `behaviours` has fewer spans or problems than there are folds, or is the only label.
    """
    if n_folds < 3:
        raise InputError(f"choosing penalty and layer on inner folds needs at least 3 folds, not {n_folds}")
    names, groups = np.array(labels), np.array(problems)
    for behaviour in behaviours:
        shows_behaviour = names == behaviour
        n_spans, n_problems = int(shows_behaviour.sum()), len(set(groups[shows_behaviour]))
        if n_spans < n_folds or n_problems < n_folds:
            raise InputError(
                f"{behaviour!r} has {n_spans} spans in {n_problems} problems, too few for {n_folds} folds; label more, "
                f"ask for fewer folds (--folds), or leave it out (--behaviours)"
            )
        if shows_behaviour.all():
            raise InputError(f"every span is labelled {behaviour!r}: a probe needs spans that do not show it as well")
    folds: np.ndarray[Any, np.dtype[np.int64]] = np.zeros(len(names), dtype=np.int64)
    splitter = StratifiedGroupKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    values, counts = np.unique(names, return_counts=True)
    # A label too rare to be in every fold cannot be balanced; it is counted with the most common one.
    strata = np.where(np.isin(names, values[counts < n_folds]), values[counts.argmax()], names)
    for fold, (_, test) in enumerate(splitter.split(strata, strata, groups)):
        folds[test] = fold
    for behaviour in behaviours:
        shows_behaviour = names == behaviour
        training_labels = [shows_behaviour[folds != fold] for fold in range(n_folds)]
        if any(part.all() or not part.any() for part in training_labels):
            raise InputError(
                f"{behaviour!r} and its absence are not both left to train on when a fold is held out; label more, "
                "ask for fewer folds (--folds), or try another --seed"
            )
    return folds
