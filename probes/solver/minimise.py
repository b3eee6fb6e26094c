"""Minimising thousands of penalised losses at once: L-BFGS with a preconditioner, every product shared by all columns.

    f_j(u, b) = sum_i w_ij loss(z_ij, y_ij) + |u_j|^2 / (2 C_j),      z = (x - mean) / spread . u + b

1. One matrix product gives the logits of all columns, one more their gradients; all else is elementwise.
2. The two-loop recursion (Nocedal 1980) starts from the inverse curvature at u = 0 (`preconditioner.py`).
3. Along a direction p the logits are z + t (Z p): a few Newton steps find the minimum on the line without a product.
4. A column ends when the gain that is left is that of a change of the logits by a share `tolerance` of their spread (a
   strong penalty leaves little spread, and ranks are the same at every scale), and then leaves the products.

An independent column is never influenced by those beside it but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .design import Columns, Design, Solution
from .loss import Grid, Loss
from .preconditioner import Preconditioner

MEMORY = 6
FLAT = 0.3  # a line search ends where the slope is this share of the first
MOST_LINE_STEPS = 12
LEAST_DROPPED = 0.25
MOST_ITERATIONS = 300


@dataclass(slots=True)
class _Vector:
    """Weights and biases of some columns, or a change of them."""

    u: Float[Tensor, "n_columns d_model"]
    b: Float[Tensor, " n_columns"]

    def dot(self, other: _Vector, group: int) -> Float[Tensor, " n_columns"]:
        """The inner product of each problem, at each of its columns."""
        return by_group((self.u * other.u).sum(dim=1) + self.b * other.b, group)

    def plus(self, times: Float[Tensor, " n_columns"], other: _Vector) -> _Vector:
        return _Vector(torch.addcmul(self.u, other.u, times[:, None]), torch.addcmul(self.b, other.b, times))

    def take(self, columns: Int[Tensor, " n"]) -> _Vector:
        return _Vector(self.u[columns], self.b[columns])


def by_group(values: Float[Tensor, " n_columns"], group: int) -> Float[Tensor, " n_columns"]:
    """The sum over the columns of each problem, at each of them."""
    return values if group == 1 else values.view(-1, group).sum(dim=1).repeat_interleave(group)


def minimise(design: Design, columns: Columns, loss: Loss, start: Float[Tensor, " n_columns"], tol: float) -> Solution:
    """The minimum of every column (penalty: scikit-learn's C). start: biases to begin from. tol: the share
    of the logits' spread that may be left undone.

    A column with one class only keeps no weights and its starting bias.
    """
    search = _Search(design, columns, loss, start, tol)
    n_iterations = 0
    while search.is_going and n_iterations < MOST_ITERATIONS:
        search.step()
        n_iterations += 1
    search.put_away()
    return Solution(search.weight, search.bias, n_iterations, search.is_done)


class _Search:
    def __init__(
        self, design: Design, columns: Columns, loss: Loss, start: Float[Tensor, " n_columns"], tol: float
    ) -> None:
        rows, n_columns = design.rows, len(columns)
        self._design, self._loss, self._group = design, loss, loss.group
        self.weight = rows.new_zeros(n_columns, rows.shape[1])
        self.bias = start.to(rows.dtype).clone()
        self.is_done = torch.zeros(n_columns, dtype=torch.bool, device=rows.device)
        self._at = torch.arange(n_columns, device=rows.device)  # the columns still searched for
        self._labels = columns.labels.to(rows.dtype)
        self._row_weights = columns.weights(design)
        self._ridge = 1 / columns.penalty.to(rows.dtype)
        self._mean, self._scale = design.mean[columns.subset], design.scale[columns.subset]
        n_rows = self._row_weights.sum(dim=1)
        share = (self._labels * self._row_weights).sum(dim=1) / n_rows.clamp(min=1)
        curvature = (share * (1 - share)).clamp(min=1e-6)
        self._bias_curvature = curvature * n_rows.clamp(min=1)
        self._tolerance = max(tol, 10 * torch.finfo(rows.dtype).eps)
        trained = n_rows / len(rows)  # the Gram matrix is that of all rows
        self._precondition = Preconditioner(rows, curvature * trained.clamp(min=1e-6), self._ridge)
        self._theta = _Vector(torch.zeros_like(self.weight), self.bias.clone())
        self._logits = self._theta.b[:, None].expand(-1, len(rows)).clone()
        self._history: list[tuple[_Vector, _Vector, Tensor]] = []
        self._gradient = self._gradient_of(loss.residual(self._logits, self._labels, self._row_weights)[0])
        one_class = (share <= 0) | (share >= 1)
        if self._group == 1 and one_class.any():
            self._drop(one_class)

    @property
    def is_going(self) -> bool:
        return len(self._at) > 0

    def step(self) -> None:
        direction = self._direction()
        slope = self._gradient.dot(direction, self._group)
        # The slope is the gain that is left, twice, as the curvature seen so far has it.
        variance = self._logits.var(dim=1, correction=0)
        ended = -slope <= by_group(self._bias_curvature * variance, self._group) * self._tolerance**2
        kept = self._drop(ended)
        if not self.is_going:
            return
        direction, slope = direction.take(kept), slope[kept]
        along = self._logits_of(direction)
        length, residual = self._line_search(direction, along, slope)
        self._theta = self._theta.plus(length, direction)
        self._logits.addcmul_(along, length[:, None])
        gradient = self._gradient_of(residual)
        moved = _Vector(direction.u * length[:, None], direction.b * length)
        turned = _Vector(gradient.u - self._gradient.u, gradient.b - self._gradient.b)
        curvature = moved.dot(turned, self._group)
        # Where nothing moved any more the pair says nothing: its weight is 0.
        inverse = torch.where(curvature > 0, 1 / curvature.clamp(min=1e-30), torch.zeros_like(curvature))
        self._history = [*self._history[-MEMORY + 1 :], (moved, turned, inverse)]
        self._gradient = gradient

    def put_away(self) -> None:
        self.weight[self._at] = self._theta.u / self._scale
        self.bias[self._at] = self._theta.b - (self._mean * self._theta.u / self._scale).sum(dim=1)

    def _drop(self, ended: Bool[Tensor, " n_columns"]) -> Int[Tensor, " n_kept"]:
        """Take columns that have ended out of the work, once they are enough to be worth the copying; which stay."""
        self.is_done[self._at] = ended
        n_ended = int(ended.sum())
        if n_ended < len(ended) and n_ended < LEAST_DROPPED * len(ended):
            return torch.arange(len(ended), device=ended.device)
        self.put_away()
        left = (~ended).nonzero()[:, 0]
        self._at = self._at[left]
        self._theta, self._gradient = self._theta.take(left), self._gradient.take(left)
        self._history = [
            (moved.take(left), turned.take(left), inverse[left]) for moved, turned, inverse in self._history
        ]
        for name in ("_labels", "_row_weights", "_mean", "_scale", "_logits", "_ridge", "_bias_curvature"):
            setattr(self, name, getattr(self, name)[left])
        return left

    def _logits_of(self, vector: _Vector) -> Grid:
        weight = vector.u / self._scale
        bias = vector.b - (self._mean * weight).sum(dim=1)
        return torch.addmm(bias[:, None], weight, self._design.rows.T)

    def _gradient_of(self, residual: Grid) -> _Vector:
        total = residual.sum(dim=1)
        u = (residual @ self._design.rows - self._mean * total[:, None]) / self._scale
        u += self._theta.u * self._ridge[:, None]
        return _Vector(u, total)

    def _preconditioned(self, vector: _Vector) -> _Vector:
        return _Vector(self._precondition(vector.u, self._at), vector.b / self._bias_curvature)

    def _direction(self) -> _Vector:
        q, shares = self._gradient, []
        for moved, turned, inverse in reversed(self._history):
            share = inverse * moved.dot(q, self._group)
            q = q.plus(-share, turned)
            shares.append(share)
        q = self._preconditioned(q)
        for (moved, turned, inverse), share in zip(self._history, reversed(shares), strict=True):
            q = q.plus(share - inverse * turned.dot(q, self._group), moved)
        return _Vector(-q.u, -q.b)

    def _line_search(
        self, direction: _Vector, along: Grid, first: Float[Tensor, " n_columns"]
    ) -> tuple[Float[Tensor, " n_columns"], Grid]:
        """How far to go along `direction`, near where the slope (`first` at 0) is zero, and the residual there.

        Newton's method within a bracket.
        """
        inner = (self._theta.u * direction.u).sum(dim=1) * self._ridge
        square = direction.u.square().sum(dim=1) * self._ridge
        length, low, high = (torch.full_like(first, value) for value in (1.0, 0.0, torch.inf))
        for left in reversed(range(MOST_LINE_STEPS)):
            logits = torch.addcmul(self._logits, along, length[:, None])
            residual, bend = self._loss.residual(logits, self._labels, self._row_weights, along)
            slope = by_group((residual * along).sum(dim=1) + inner + length * square, self._group)
            going = slope.abs() > FLAT * first.abs()
            if left == 0 or not going.any():
                break
            low = torch.where(going & (slope < 0), length, low)
            high = torch.where(going & (slope > 0), length, high)
            newton = length - slope / by_group(bend + square, self._group)
            middle = torch.where(high.isfinite(), (low + high) / 2, 2 * length)
            inside = (newton > low) & (newton < high)
            length = torch.where(going, torch.where(inside, newton, middle), length)
        return length, residual
