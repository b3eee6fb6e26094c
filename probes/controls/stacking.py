"""Combine several scores into one by logistic regression with weights that are not negative (Breiman 1996).

The weights are fitted to scores of rows that the scorers were not trained on. A weight cannot be negative, so a score
that says nothing cannot be turned round by chance.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from scipy.special import expit

PENALTY = 10.0  # on the squared weights, against the summed loss


def stacked(
    scores: Float[np.ndarray, "n_scores n_examples"], positive: Bool[np.ndarray, " n_examples"]
) -> Float[np.ndarray, " n_scores"]:
    """Fit the weight of each score.

    Args:
        scores: Out-of-fold scores of the training rows.
        positive: Whether each row shows the behaviour.

    Returns:
        Weights of the scores as they are; those of standardised scores are 1 where one class is missing.
    """
    spread = scores.std(axis=1)
    scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0.0)
    if not 0 < positive.sum() < len(positive):
        return scale
    standardised = (scores - scores.mean(axis=1, keepdims=True)) * scale[:, None]  # (n_scores, n_examples)
    signs = np.where(positive, 1.0, -1.0)
    share = positive.mean()

    def loss(
        parameters: Float[np.ndarray, " n_parameters"],
    ) -> tuple[float, Float[np.ndarray, " n_parameters"]]:
        weights, bias = parameters[:-1], parameters[-1]
        margin = signs * (weights @ standardised + bias)
        slope = -signs * expit(-margin)
        gradient = np.append(standardised @ slope + PENALTY * weights, slope.sum())
        return float(np.logaddexp(0, -margin).sum() + PENALTY * weights @ weights / 2), gradient

    start = np.append(np.full(len(scores), 0.5), np.log(share / (1 - share)))
    bounds = [*[(0.0, None)] * len(scores), (None, None)]
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    weights: np.ndarray[tuple[int], np.dtype[np.float64]] = fitted[:-1] * scale
    return weights
