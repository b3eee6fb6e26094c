"""Thousands of shrunk covariances inverted at once, each of its own resample, none of them ever formed.

For every weighting r and behaviour b, with T_r the covariance of the weighted rows:

    (T_r + diag shift_rb) v_rb = rhs_rb,         T_r v = X'(c_r * (X v)) / n_r - m_r (m_r . v)

by conjugate gradients (Hestenes & Stiefel 1952), all right-hand sides in one matrix product. The inverse for all rows
counted once is the preconditioner: resamples differ from it little, so that a dozen steps are enough where a
factorisation of every resample would cost d_model^3.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

Vectors = Float[Tensor, "n_weightings n_behaviours d_model"]

TOLERANCE = 3e-3  # of the residual: a cosine is then right to a hundred-thousandth times the condition
MOST_STEPS = 60
MOST_PRODUCTS = 2**25  # numbers of X v held at once


def solve_shifted(
    rows: Float[Tensor, "n d_model"],
    problem: Int[Tensor, " n"],
    weights: Float[Tensor, "n_weightings n_problems"],
    rhs: Vectors,
    shift: Vectors,
) -> Vectors:
    """v of every weighting and behaviour. rows: centred about zero and of like spread, so that sums stay small.

    problem: of each row; weights: how often each problem counts; shift: not below 0 and somewhere above it.
    """
    whole = rows.T @ rows / len(rows)
    usual = shift.flatten(0, 1).mean(dim=0)
    floor = 1e-6 * whole.diagonal().mean()
    factor = torch.linalg.cholesky((whole + torch.diag(usual + floor)).double())
    inverse = torch.cholesky_inverse(factor).to(rows.dtype)
    chunk = max(1, MOST_PRODUCTS // (len(rows) * rhs.shape[1]))
    parts = [slice(first, first + chunk) for first in range(0, len(rhs), chunk)]
    return torch.cat([_solve(rows, weights[part][:, problem], rhs[part], shift[part], inverse) for part in parts])


def _solve(
    rows: Float[Tensor, "n d_model"],
    counts: Float[Tensor, "n_weightings n"],
    rhs: Vectors,
    shift: Vectors,
    inverse: Float[Tensor, "d_model d_model"],
) -> Vectors:
    share = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    mean = share @ rows  # (n_weightings, d_model)

    def product(v: Vectors) -> Vectors:
        along = (v @ rows.T) * share[:, None]  # (n_weightings, n_behaviours, n)
        centre = torch.einsum("rd,rbd->rb", mean, v)
        return along @ rows - centre[..., None] * mean[:, None] + shift * v

    def dot(a: Vectors, b: Vectors) -> Float[Tensor, "n_weightings n_behaviours 1"]:
        return (a * b).sum(dim=-1, keepdim=True)

    v = rhs @ inverse
    residual = rhs - product(v)
    z = residual @ inverse
    step, closeness = z, dot(residual, z)
    enough = TOLERANCE**2 * dot(rhs, rhs)
    for _ in range(MOST_STEPS):
        if (dot(residual, residual) <= enough).all():
            break
        moved = product(step)
        length = closeness / dot(step, moved).clamp(min=1e-30)
        v = v + length * step
        residual = residual - length * moved
        z = residual @ inverse
        before, closeness = closeness, dot(residual, z)
        step = z + closeness / before.clamp(min=1e-30) * step
    return v
