"""Measure how far annotators agree on sentences: pairs, all together, and behaviour by behaviour.

Cohen's kappa of each pair; with three or more also Fleiss' kappa of the sentences that all know; Krippendorff's alpha
of all, and of each behaviour against everything else (`stats.agreement`). That a sentence shows no behaviour is a label
like any other; what is not known is missing. A behaviour whose alpha is below 2/3 has low agreement: below that,
Krippendorff (2004) draws no conclusions, not even tentative ones. A person labels the sentences that are worth it, not
a sample, and so stands in pairs only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Int

from ...stats import (
    Interval,
    cohen_kappa_over_groups,
    fleiss_kappa_over_groups,
    krippendorff_alpha_over_groups,
    proportion_over_groups,
)
from ...traces.labelled import PERSON

LOW = 2 / 3
ALL = "all"  # behaviours
COHEN, FLEISS, ALPHA = "Cohen's kappa", "Fleiss' kappa", "Krippendorff's alpha"
Labels = Sequence[str | None]  # of every sentence


def agreement_rows(by: Mapping[str, Labels], problems: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    """Compute every coefficient of agreement.

    Args:
        by: Annotator -> its label of every sentence; None where it is not known.
        problems: The problem of every sentence.
        names: The behaviours that get an alpha of their own.

    Returns:
        Rows of coefficient, annotators, behaviour, value with its interval over problems, n_sentences that two
        annotators know, n_problems, same (share of the pair's sentences with the same label, with its interval), and
        is_low.
    """
    codes = {label: code for code, label in enumerate(dict.fromkeys(label for row in by.values() for label in row))}
    codes[None] = -1
    table = np.array([[codes[label] for label in labels] for labels in by.values()], dtype=np.int64).T
    groups = np.unique(np.asarray(problems), return_inverse=True)[1]
    annotators = list(by)
    rows = []
    for first, second in combinations(range(len(annotators)), 2):
        is_known = (table[:, [first, second]] >= 0).all(axis=1)
        if is_known.any():
            kappa = cohen_kappa_over_groups(table[:, first], table[:, second], groups)
            same = proportion_over_groups(table[is_known, first] == table[is_known, second], groups[is_known])
            pair = f"{annotators[first]}, {annotators[second]}"
            rows.append(_row(COHEN, pair, ALL, kappa, int(is_known.sum()), same))
    sampled = [place for place, name in enumerate(annotators) if name != PERSON]
    if len(sampled) < 2:
        return rows
    together = ", ".join(annotators[place] for place in sampled)
    part = table[:, sampled]
    n_all, n_two = int((part >= 0).all(axis=1).sum()), int(((part >= 0).sum(axis=1) >= 2).sum())
    if len(sampled) > 2 and n_all:
        rows.append(_row(FLEISS, together, ALL, fleiss_kappa_over_groups(part, groups), n_all))
    if n_two:
        rows.append(_row(ALPHA, together, ALL, krippendorff_alpha_over_groups(part, groups), n_two))
        for name in names:
            if name in codes:
                binary = np.where(part < 0, -1, part == codes[name])
                rows.append(_row(ALPHA, together, name, krippendorff_alpha_over_groups(binary, groups), n_two))
    return rows


def share_rows(by: Mapping[str, Labels], problems: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    """Count the sentences of each label by each annotator.

    Args:
        by: Annotator -> its label of every sentence; None where it is not known.
        problems: The problem of every sentence.
        names: The labels that are counted.

    Returns:
        Rows of annotator, label, n_sentences, n_problems in which it occurs, n_unknown of the annotator, and share of
        the sentences that it knows, with its interval over problems.
    """
    rows = []
    groups: Int[np.ndarray, " n_sentences"] = np.unique(np.asarray(problems), return_inverse=True)[1]
    for annotator, labels in by.items():
        is_known = np.array([label is not None for label in labels])
        for name in names:
            shows = np.array([label == name for label in labels])
            share = Interval(float("nan"))
            if is_known.any():
                share = proportion_over_groups(shows[is_known], groups[is_known])
            rows.append(
                {
                    "annotator": annotator,
                    "label": name,
                    "n_sentences": int(shows.sum()),
                    "n_problems": len(set(groups[shows].tolist())),
                    "n_unknown": int((~is_known).sum()),
                    **share.columns("share"),
                }
            )
    return rows


def _row(
    coefficient: str, annotators: str, behaviour: str, value: Interval, n: int, same: Interval | None = None
) -> dict[str, Any]:
    return {
        "coefficient": coefficient,
        "annotators": annotators,
        "behaviour": behaviour,
        **value.columns("value"),
        "n_sentences": n,
        "n_problems": value.n,
        **(same or Interval(float("nan"))).columns("same"),
        "is_low": coefficient == ALPHA and behaviour != ALL and value.value < LOW,
    }
