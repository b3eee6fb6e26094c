"""Compare effects with those of random directions, corrected for all layers, strengths and behaviours looked at.

Each of these is a cell. A random direction is tried in every cell, and its largest effect of all is what chance finds
where as many cells are looked at (maximum statistic, Westfall & Young 1993):

    z = (effect - mean of the others in the cell) / max(standard deviation of the others, FLOOR)
    corrected p = (1 + draws whose largest z of all cells reaches that of this cell) / (1 + random directions)

Cells are standardised, since some behaviours, layers and strengths are moved more by anything. Mean and deviation are
of the other directions tried in the cell, for its own and for random ones alike: with an effect among them, no z could
exceed about the root of their number, and a large one could not be told from chance. Draw k takes direction k for the
first behaviour, k + 1 for the second and so on, since behaviours have directions of their own too. No p is below
1 / (1 + random directions).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from ...stats import corrected_p_values

FLOOR = 0.01  # of a rate: a direction that raises one sentence in a thousand, where others raise none, is no finding


def corrected_over_cells(
    effects: Float[np.ndarray, " n_cells"],
    random: Float[np.ndarray, "n_cells n_random"],
    behaviours: Int[np.ndarray, " n_cells"],
) -> Float[np.ndarray, " n_cells"]:
    """Compute p-values of effects, corrected over all cells.

    Args:
        effects: The effect of the direction in each cell.
        random: The effect of each random direction in each cell; a column is one number of direction, drawn anew at
            each layer.
        behaviours: The number of the behaviour that is counted in each cell, from 0.

    Returns:
        One-sided p-values, for raising the rate.
    """
    draws = np.stack([np.roll(row, -number) for row, number in zip(random, behaviours.tolist(), strict=True)])
    all_effects = np.concatenate([effects[:, None], draws], axis=1)
    standardised = np.stack(
        [
            _against_others(column, np.delete(all_effects, number, axis=1))
            for number, column in enumerate(all_effects.T)
        ],
        axis=1,
    )
    return corrected_p_values(standardised[:, 0], standardised[:, 1:])


def _against_others(
    effects: Float[np.ndarray, " n_cells"], others: Float[np.ndarray, "n_cells n_others"]
) -> Float[np.ndarray, " n_cells"]:
    spread = others.std(axis=1, ddof=1) if others.shape[1] > 1 else np.zeros(len(others))
    z: np.ndarray[tuple[int], np.dtype[np.float64]] = (effects - others.mean(axis=1)) / np.maximum(spread, FLOOR)
    return z
