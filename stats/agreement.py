"""Measure how far annotators agree beyond chance on labels without an order, with intervals over groups.

    kappa = (observed - expected) / (1 - expected)

Cohen 1960, of two: observed is the share of units with the same label, expected = sum_c p_c q_c of their own shares.
Fleiss 1971, of several who all label every unit: observed is the mean over units of the pairs of annotators that agree,
expected = sum_c p_c^2 of the pooled shares. Krippendorff's alpha (2004) is 1 - D_o / D_e and allows for missing labels:

    D_o = 1/n sum_u sum_{c != k} n_uc n_uk / (m_u - 1)      D_e = 1/(n (n - 1)) sum_{c != k} n_c n_k

where unit u has m_u >= 2 labels, n_uc of them c, and n = sum m_u. All are 1 for perfect agreement and 0 for chance.
Each is a function of sums over units, so that groups are resampled by their sums. Where all agree, no resample differs;
the lower end is then that of the Wilson interval of as many groups that agree.
"""

from __future__ import annotations

from collections.abc import Callable
from math import nan

import numpy as np
from jaxtyping import Float, Int

from .interval import Interval
from .proportion import wilson_ends
from .resampling import Groups, Seed, bootstrap_counts, percentile_ends, sum_by_group

MISSING = -1
Codes = Int[np.ndarray, " n_units"]  # of a label, from 0; MISSING where there is none
Table = Int[np.ndarray, "n_units n_annotators"]
# From sums of rows (n_draws n_columns) to observed and expected agreement of each.
Formula = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def cohen_kappa_over_groups(first: Codes, second: Codes, groups: Groups | None = None, seed: Seed = 0) -> Interval:
    """Compute Cohen's kappa of two annotators.

    Args:
        first: Code of each unit's label by the one annotator; units that one of them did not label are left out.
        second: The same by the other.
        groups: The group of each unit; None: each is one of its own.
        seed: Of the resamples.

    Returns:
        Kappa; NaN where both give one and the same label throughout. n counts the groups.

    Raises:
        ValueError: The two differ in length, or no unit was labelled by both.
    """
    if len(first) != len(second):
        raise ValueError(f"annotators are compared on the same units, not on {len(first)} and {len(second)}")
    return _over_groups(np.stack([first, second], axis=1), groups, seed, 2, _cohen)


def fleiss_kappa_over_groups(labels: Table, groups: Groups | None = None, seed: Seed = 0) -> Interval:
    """Compute Fleiss' kappa of several annotators.

    Args:
        labels: Code of each unit's label by each annotator; units that one of them did not label are left out.
        groups: The group of each unit; None: each is one of its own.
        seed: Of the resamples.

    Returns:
        Kappa; NaN where all give one and the same label throughout. n counts the groups.

    Raises:
        ValueError: There are fewer than two annotators, or no unit was labelled by all.
    """
    return _over_groups(labels, groups, seed, labels.shape[1], _fleiss)


def krippendorff_alpha_over_groups(labels: Table, groups: Groups | None = None, seed: Seed = 0) -> Interval:
    """Compute Krippendorff's alpha (nominal) of several annotators.

    Args:
        labels: Code of each unit's label by each annotator; units with fewer than two labels are left out.
        groups: The group of each unit; None: each is one of its own.
        seed: Of the resamples.

    Returns:
        Alpha; NaN where there is one label throughout. n counts the groups.

    Raises:
        ValueError: There are fewer than two annotators, or no unit has two labels.
    """
    return _over_groups(labels, groups, seed, 2, _krippendorff)


def _cohen(labels: Table, n_codes: int) -> tuple[Float[np.ndarray, "n_units n_columns"], Formula]:
    cells = np.eye(n_codes**2)[labels[:, 0] * n_codes + labels[:, 1]]

    def formula(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shares = sums.reshape(-1, n_codes, n_codes) / sums.sum(axis=1)[:, None, None]
        observed = np.trace(shares, axis1=1, axis2=2)
        return observed, (shares.sum(axis=2) * shares.sum(axis=1)).sum(axis=1)

    return cells, formula


def _fleiss(labels: Table, n_codes: int) -> tuple[Float[np.ndarray, "n_units n_columns"], Formula]:
    counts = np.eye(n_codes)[labels].sum(axis=1)  # (n_units, n_codes)
    n_annotators = labels.shape[1]
    agreeing = ((counts**2).sum(axis=1) - n_annotators) / (n_annotators * (n_annotators - 1))

    def formula(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n_labels = sums[:, 1:].sum(axis=1)
        return sums[:, 0] * n_annotators / n_labels, ((sums[:, 1:] / n_labels[:, None]) ** 2).sum(axis=1)

    return np.column_stack([agreeing, counts]), formula


def _krippendorff(labels: Table, n_codes: int) -> tuple[Float[np.ndarray, "n_units n_columns"], Formula]:
    counts = np.stack([(labels == code).sum(axis=1) for code in range(n_codes)], axis=1).astype(np.float64)
    n_labels = counts.sum(axis=1)
    differing = (n_labels**2 - (counts**2).sum(axis=1)) / (n_labels - 1)

    def formula(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n = sums[:, 1:].sum(axis=1)
        expected = (n**2 - (sums[:, 1:] ** 2).sum(axis=1)) / (n * (n - 1))
        return 1 - sums[:, 0] / n, 1 - expected

    return np.column_stack([differing, counts]), formula


def _over_groups(
    labels: Table,
    groups: Groups | None,
    seed: Seed,
    least: int,
    columns_of: Callable[[Table, int], tuple[np.ndarray, Formula]],
) -> Interval:
    """Compute a coefficient of the units with at least so many labels, and resample groups by kinds of equal sums."""
    if labels.ndim != 2 or labels.shape[1] < 2:
        raise ValueError(f"agreement is between two annotators or more, and the labels have the shape {labels.shape}")
    if groups is not None and len(groups) != len(labels):
        raise ValueError(f"each unit has one group, and there are {len(labels)} and {len(groups)} of them")
    is_used = (labels != MISSING).sum(axis=1) >= least
    if not is_used.any():
        raise ValueError(f"none of {len(labels)} units has {least} labels: there is nothing to compare")
    used = labels[is_used]
    used_groups = None if groups is None else np.asarray(groups)[is_used]
    columns, formula = columns_of(used, int(used.max()) + 1)
    by_group = sum_by_group(columns, used_groups)
    observed, expected = (float(part[0]) for part in formula(by_group.sum(axis=0)[None]))
    n_groups = len(by_group)
    value = _beyond_chance(np.array([observed]), np.array([expected]))[0]
    if np.isnan(value) or n_groups < 2:
        return Interval(float(value), nan, nan, n_groups)
    if np.isclose(observed, 1):
        low = wilson_ends(n_groups, n_groups)[0]
        return Interval(float(value), (low - expected) / (1 - expected), 1.0, n_groups)
    kinds, n_of_kind = np.unique(by_group, axis=0, return_counts=True)
    draws = bootstrap_counts(n_groups, seed=seed, weights=n_of_kind.astype(np.float64)) @ kinds
    return Interval(float(value), *percentile_ends(_beyond_chance(*formula(draws))), n_groups)


def _beyond_chance(observed: Float[np.ndarray, " n"], expected: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.isclose(expected, 1), nan, (observed - expected) / (1 - expected))
