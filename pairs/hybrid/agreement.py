"""Count whose tokens a steered base writes: the thinking model's, its own, or neither's.

Of the tokens that were steered, and of those at which the gate stayed shut, the share that are the likeliest token of
the thinking model there, and the share that are the base's own likeliest. Where the gate opens as the likeliest differ,
a token steered there is at most one of the two; those after it, through the sentence, may be both. Answers whether
steering only injects the thinking model's tokens: in one trace of arXiv 2510.07364 8 of 158 steered tokens were its own
(5%).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from ...stats import Interval, ratio_over_groups
from .record import RowRecord

# Tokens steered, of these the thinking model's and the base's likeliest; the same of tokens with a shut gate.
COUNTS = ("n_steered", "as_thinking", "as_base", "n_elsewhere", "elsewhere_as_thinking", "elsewhere_as_base")
N_STEERED, N_ELSEWHERE = 0, 3


def agreement_columns(records: Sequence[Sequence[RowRecord]], problems: Sequence[str]) -> dict[str, float]:
    """Compute the shares of an arm with intervals over problems.

    Args:
        records: For each seed, for each question.
        problems: Of each question; the questions of one are resampled together, and so are the seeds.

    Returns:
        `as_thinking`, `as_base`, `elsewhere_as_thinking` and `elsewhere_as_base`, each with `_low` and `_high`; NaN
        where no token is of the kind, or no thinking model ran.
    """
    counts = np.sum([[token_counts(record) for record in of_seed] for of_seed in records], axis=0)
    columns: dict[str, float] = {}
    for place, name in enumerate(COUNTS):
        if place in (N_STEERED, N_ELSEWHERE):
            continue
        of_all = counts[:, N_STEERED if place < N_ELSEWHERE else N_ELSEWHERE]
        is_known = of_all.sum() > 0 and not (name.endswith("thinking") and _ran_alone(records))
        share = ratio_over_groups(counts[:, place], of_all, groups=problems) if is_known else Interval(float("nan"))
        columns |= share.columns(name)
    return columns


def token_counts(record: RowRecord) -> Int[np.ndarray, " n_counts"]:
    """Count the tokens of one response.

    Args:
        record: What was done at each.

    Returns:
        The numbers that `COUNTS` names.
    """
    tokens = np.array(record.tokens, dtype=int)
    is_steered, is_open = np.array(record.effective, dtype=bool), np.array(record.gated, dtype=bool)
    as_thinking, as_base = tokens == record.thinking_likeliest, tokens == record.base_likeliest
    return np.array(
        [(kind & own).sum() for kind in (is_steered, ~is_open) for own in (True, as_thinking, as_base)], dtype=int
    )


def _ran_alone(records: Sequence[Sequence[RowRecord]]) -> bool:
    """Say whether no thinking model read along."""
    return any(-1 in record.thinking_likeliest for of_seed in records for record in of_seed)
