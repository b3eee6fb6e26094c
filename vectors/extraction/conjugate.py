"""Solve thousands of shrunk covariance systems at once, one for each resample, without forming a covariance.

For every weighting r and behaviour b, with T_r the covariance of the weighted rows:

    (T_r + diag shift_rb) v_rb = rhs_rb,         T_r v = X'(c_r * (X v)) / n_r - m_r (m_r . v)

by conjugate gradients (Hestenes & Stiefel 1952), all right-hand sides in one matrix product. The preconditioner is the
inverse with all rows counted once: resamples differ little from it, so that a dozen steps are enough where factorising
every resample would cost d_model^3.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

Vectors = Float[Tensor, "n_weightings n_behaviours d_model"]

TOLERANCE = 3e-3  # of the residual's norm: cosines are then right to about 1e-5 times the condition number
MAX_STEPS = 60
MAX_PRODUCTS = 2**25  # numbers of X v held at once


def solve_shifted(
    rows: Float[Tensor, "n d_model"],
    problem_index: Int[Tensor, " n"],
    weights: Float[Tensor, "n_weightings n_problems"],
    rhs: Vectors,
    shift: Vectors,
) -> Vectors:
    """Solve (covariance + diagonal shift) v = rhs for every weighting and behaviour.

    Args:
        rows: Activations, centred about zero and of similar spread in every dimension, so that sums stay small.
        problem_index: The problem of each row, 0 .. n_problems - 1.
        weights: How often each problem counts.
        rhs: The right-hand sides.
        shift: What is added to the diagonal; nowhere below 0, and above 0 somewhere.

    Returns:
        The solutions v.
    """
    covariance = rows.T @ rows / len(rows)
    mean_shift = shift.flatten(0, 1).mean(dim=0)
    floor = 1e-6 * covariance.diagonal().mean()
    factor = torch.linalg.cholesky((covariance + torch.diag(mean_shift + floor)).double())
    preconditioner = torch.cholesky_inverse(factor).to(rows.dtype)
    chunk = max(1, MAX_PRODUCTS // (len(rows) * rhs.shape[1]))
    chunks = [slice(first, first + chunk) for first in range(0, len(rhs), chunk)]
    return torch.cat(
        [_solve(rows, weights[part][:, problem_index], rhs[part], shift[part], preconditioner) for part in chunks]
    )


def _solve(
    rows: Float[Tensor, "n d_model"],
    counts: Float[Tensor, "n_weightings n"],
    rhs: Vectors,
    shift: Vectors,
    preconditioner: Float[Tensor, "d_model d_model"],
) -> Vectors:
    row_share = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    mean = row_share @ rows  # (n_weightings, d_model)

    def product(v: Vectors) -> Vectors:
        projections = (v @ rows.T) * row_share[:, None]  # (n_weightings, n_behaviours, n)
        mean_projection = torch.einsum("rd,rbd->rb", mean, v)
        return projections @ rows - mean_projection[..., None] * mean[:, None] + shift * v

    def dot(a: Vectors, b: Vectors) -> Float[Tensor, "n_weightings n_behaviours 1"]:
        return (a * b).sum(dim=-1, keepdim=True)

    v = rhs @ preconditioner
    residual = rhs - product(v)
    z = residual @ preconditioner
    step, residual_square = z, dot(residual, z)
    target_square = TOLERANCE**2 * dot(rhs, rhs)
    for _ in range(MAX_STEPS):
        if (dot(residual, residual) <= target_square).all():
            break
        step_product = product(step)
        step_size = residual_square / dot(step, step_product).clamp(min=1e-30)
        v = v + step_size * step
        residual = residual - step_size * step_product
        z = residual @ preconditioner
        previous_square, residual_square = residual_square, dot(residual, z)
        step = z + residual_square / previous_square.clamp(min=1e-30) * step
    return v
