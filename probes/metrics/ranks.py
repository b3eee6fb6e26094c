"""Compute the AUROC of many columns of scores at once, by ranks.

wins = sum of the ranks of the positives - n_positive (n_positive + 1) / 2        (Mann-Whitney; ties share ranks)
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def rank_wins(
    scores: Float[Tensor, "n_columns n"], positive: Bool[Tensor, "n_columns n"]
) -> tuple[Float[Tensor, " n_columns"], Float[Tensor, " n_columns"]]:
    """Count the pairs of a positive and a negative that each column ranks correctly.

    Args:
        scores: One row of scores for each column.
        positive: Whether the example is positive, for each column.

    Returns:
        The correctly ranked pairs (a tie counts one half) and all pairs of each column, float64.
    """
    ordered, order = scores.contiguous().sort(dim=1)
    n = scores.shape[1]
    rank = torch.arange(1, n + 1, device=scores.device, dtype=torch.float64).expand_as(ordered)
    # On an accelerator the host would wait to hear whether there are ties; without them the ranks are the same.
    if ordered.device.type != "cpu" or (ordered[:, 1:] == ordered[:, :-1]).any():
        ordered = ordered.contiguous()
        first = torch.searchsorted(ordered, ordered)
        last = torch.searchsorted(ordered, ordered, right=True)
        rank = (first + last + 1).double() / 2
    is_positive = positive.gather(1, order)
    n_positive = is_positive.sum(dim=1, dtype=torch.float64)
    wins = (rank * is_positive).sum(dim=1) - n_positive * (n_positive + 1) / 2
    return wins, n_positive * (n - n_positive)
