"""Minimise thousands of penalised losses at once: preconditioned L-BFGS, with matrix products shared by all columns.

    f_j(u, b) = sum_i w_ij loss(z_ij, y_ij) + |u_j|^2 / (2 C_j),      z = (x - mean) / spread . u + b

1. One matrix product gives the logits of all columns, another their gradients; everything else is elementwise.
2. The two-loop recursion (Nocedal 1980) starts from an inverse curvature (`preconditioner.py`): that at u = 0, and
   every few steps that at the present logits. Where a weak penalty separates the classes, little of the first is left.
3. Along a direction p the logits are z + t (Z p): a few Newton steps find the minimum on the line without a product.
4. On a CPU it is looked after each step which columns have ended; on an accelerator in blocks of steps (`LOOK_EVERY`).
5. A column ends when the remaining gain corresponds to a change of the logits by a share `tolerance` of their spread (a
   strong penalty leaves little spread, and ranks do not depend on scale); it is then removed from the products.

Independent columns do not influence each other, except by rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...models.device_copies import uploaded
from ...models.products import product
from .design import Columns, Design, Solution
from .loss import Grid, Loss
from .preconditioner import Preconditioner

MEMORY = 6
FLAT = 0.3  # a line search ends where the slope is this share of the first
MAX_LINE_STEPS = 12
MIN_DROPPED = 0.25  # finished columns are removed once they are this share of all
MAX_ITERATIONS = 300
# On an accelerator the host would wait at each look. It looks less often: columns then make up to so many steps more,
# and a line search takes this many Newton steps, of which those that are too many change nothing.
FREE_LOOKS = {"cpu"}
LOOK_EVERY = 6
RENEW_EVERY = 6  # steps after which the preconditioner is that of the present logits
BLIND_LINE_STEPS = 4


@dataclass(slots=True)
class _Vector:
    """Weights and biases of some columns, or a change of them."""

    u: Float[Tensor, "n_columns d_model"]
    b: Float[Tensor, " n_columns"]

    def dot(self, other: _Vector, group: int) -> Float[Tensor, " n_columns"]:
        """Compute the inner product of each problem, repeated at each of its columns."""
        return by_group((self.u * other.u).sum(dim=1) + self.b * other.b, group)

    def plus(self, times: Float[Tensor, " n_columns"], other: _Vector) -> _Vector:
        return _Vector(torch.addcmul(self.u, other.u, times[:, None]), torch.addcmul(self.b, other.b, times))

    def take(self, columns: Int[Tensor, " n"]) -> _Vector:
        return _Vector(self.u[columns], self.b[columns])


def by_group(values: Float[Tensor, " n_columns"], group: int) -> Float[Tensor, " n_columns"]:
    """Sum over the columns of each problem; the sum is repeated at each of them."""
    return values if group == 1 else values.view(-1, group).sum(dim=1).repeat_interleave(group)


def minimise(design: Design, columns: Columns, loss: Loss, start: Float[Tensor, " n_columns"], tol: float) -> Solution:
    """Minimise the loss of every column (penalty: scikit-learn's C), from the biases `start`.

    `tol` is the change, as a share of the logits' spread, at which a column ends. A column with a single class gets
    zero weights and its starting bias.
    """
    search = _Search(design, columns, loss, start, tol)
    n_iterations = 0
    while search.is_going and n_iterations < MAX_ITERATIONS:
        search.step()
        n_iterations += 1
    search.store()
    return Solution(search.weight, search.bias, n_iterations, search.is_done)


class _Search:
    """The state of the search: finished columns in the result, and the active ones."""

    def __init__(
        self, design: Design, columns: Columns, loss: Loss, start: Float[Tensor, " n_columns"], tol: float
    ) -> None:
        rows, n_columns = design.rows, len(columns)
        self._design, self._loss, self._group = design, loss, loss.group
        self.weight = rows.new_zeros(n_columns, rows.shape[1])
        self.bias = start.to(rows.dtype).clone()
        self.is_done = torch.zeros(n_columns, dtype=torch.bool, device=rows.device)
        self._active = torch.arange(n_columns, device=rows.device)  # the active columns
        self._labels = columns.labels.to(rows.dtype)
        self._row_weights = columns.weights(design)
        self._ridge = 1 / columns.penalty.to(rows.dtype)
        self._mean, self._scale = design.mean[columns.subset], design.scale[columns.subset]
        n_rows = self._row_weights.sum(dim=1)
        share = (self._labels * self._row_weights).sum(dim=1) / n_rows.clamp(min=1)
        self._first_curvature = (share * (1 - share)).clamp(min=1e-6) * n_rows.clamp(min=1)
        self._curvature = self._first_curvature
        self._tolerance = max(tol, 10 * torch.finfo(rows.dtype).eps)
        self._precondition = self._preconditioner()
        self._theta = _Vector(torch.zeros_like(self.weight), self.bias.clone())
        self._logits = self._theta.b[:, None].expand(-1, len(rows)).clone()
        self._history: list[tuple[_Vector, _Vector, Tensor]] = []
        self._gradient = self._gradient_of(loss.residual(self._logits, self._labels, self._row_weights)[0])
        self._looks_blind = rows.device.type not in FREE_LOOKS
        self._n_steps = 0
        has_one_class = (share <= 0) | (share >= 1)
        self._buckets, one_class = torch.stack([self._precondition.bucket, has_one_class.long()]).tolist()
        self._precondition.take(self._buckets, None)
        if self._group == 1 and any(one_class):
            self._drop(has_one_class, one_class, at_once=True)

    @property
    def is_going(self) -> bool:
        """Whether any column is active."""
        return len(self._active) > 0

    def step(self) -> None:
        """Make one L-BFGS step for every active column, and remove those that have ended."""
        direction = self._direction()
        slope = self._gradient.dot(direction, self._group)
        self._n_steps += 1
        if not self._looks_blind or self._n_steps % LOOK_EVERY == 0:
            remaining = self._look(slope)
            if not self.is_going:
                return
            if remaining is not None:
                direction, slope = direction.take(remaining), slope[remaining]
        along = self._logits_of(direction)
        length, residual = self._line_search(direction, along, slope)
        self._theta = self._theta.plus(length, direction)
        self._logits.addcmul_(along, length[:, None])
        gradient = self._gradient_of(residual)
        change = _Vector(direction.u * length[:, None], direction.b * length)
        gradient_change = _Vector(gradient.u - self._gradient.u, gradient.b - self._gradient.b)
        curvature = change.dot(gradient_change, self._group)
        # A column that did not move gives no information: its pair has weight 0.
        inverse = torch.where(curvature > 0, 1 / curvature.clamp(min=1e-30), torch.zeros_like(curvature))
        self._history = [*self._history[-MEMORY + 1 :], (change, gradient_change, inverse)]
        self._gradient = gradient

    def _look(self, slope: Float[Tensor, " n_columns"]) -> Int[Tensor, " n_remaining"] | None:
        """Remove the columns that have ended (`_drop`), and renew the preconditioner where it is time; wait once."""
        # By the curvature so far, the slope is twice the remaining gain.
        spread = self._logits - self._logits.mean(dim=1, keepdim=True)
        variance = spread.square_().mean(dim=1)  # Tensor.var takes twenty times as long
        ended = -slope <= by_group(self._first_curvature * variance, self._group) * self._tolerance**2
        if self._n_steps % RENEW_EVERY:
            return self._drop(ended, ended.tolist())
        self._curvature = self._loss.curvature(self._logits, self._row_weights).clamp(min=1e-6)
        self._precondition = self._preconditioner()
        host_ended, self._buckets = torch.stack([ended.long(), self._precondition.bucket]).tolist()
        self._precondition.take(self._buckets, None)
        return self._drop(ended, host_ended)

    def _preconditioner(self) -> Preconditioner:
        """Make the preconditioner of the present curvature, for the mean over all rows, as the Gram matrix is."""
        per_row = self._curvature / len(self._design.rows)
        return Preconditioner(self._design.inverses, per_row.clamp(min=1e-12), self._ridge)

    def store(self) -> None:
        """Write the current weights and biases of the active columns to the result."""
        self.weight[self._active] = self._theta.u / self._scale
        self.bias[self._active] = self._theta.b - (self._mean * self._theta.u / self._scale).sum(dim=1)

    def _drop(
        self, ended: Bool[Tensor, " n_columns"], host_ended: Sequence[int], *, at_once: bool = False
    ) -> Int[Tensor, " n_remaining"] | None:
        """Remove columns that have ended, once there are enough to be worth copying.

        Args:
            ended: Which.
            host_ended: The same, on the host.
            at_once: Whether they are removed however few they are.

        Returns:
            The columns that remain; None: all.
        """
        self.is_done[self._active] = ended
        n_ended = sum(host_ended)
        if not at_once and n_ended < len(host_ended) and n_ended < MIN_DROPPED * len(host_ended):
            return None
        self.store()
        going = [place for place, is_over in enumerate(host_ended) if not is_over]
        remaining = uploaded(torch.tensor(going, dtype=torch.long), ended.device)
        self._buckets = [self._buckets[place] for place in going]
        self._precondition.take(self._buckets, remaining)
        self._active = self._active[remaining]
        self._theta, self._gradient = self._theta.take(remaining), self._gradient.take(remaining)
        self._history = [
            (change.take(remaining), gradient_change.take(remaining), inverse[remaining])
            for change, gradient_change, inverse in self._history
        ]
        columnwise = ("_labels", "_row_weights", "_mean", "_scale", "_logits", "_ridge")
        for name in (*columnwise, "_first_curvature", "_curvature"):
            setattr(self, name, getattr(self, name)[remaining])
        return remaining

    def _logits_of(self, vector: _Vector) -> Grid:
        weight = vector.u / self._scale
        bias = vector.b - (self._mean * weight).sum(dim=1)
        return product(weight, self._design.rows).add_(bias[:, None])

    def _gradient_of(self, residual: Grid) -> _Vector:
        total = residual.sum(dim=1)
        u = (product(residual, self._design.rows.T) - self._mean * total[:, None]) / self._scale
        u += self._theta.u * self._ridge[:, None]
        return _Vector(u, total)

    def _preconditioned(self, vector: _Vector) -> _Vector:
        return _Vector(self._precondition(vector.u), vector.b / self._curvature)

    def _direction(self) -> _Vector:
        q, shares = self._gradient, []
        for change, gradient_change, inverse in reversed(self._history):
            share = inverse * change.dot(q, self._group)
            q = q.plus(-share, gradient_change)
            shares.append(share)
        q = self._preconditioned(q)
        for (change, gradient_change, inverse), share in zip(self._history, reversed(shares), strict=True):
            q = q.plus(share - inverse * gradient_change.dot(q, self._group), change)
        return _Vector(-q.u, -q.b)

    def _line_search(
        self, direction: _Vector, along: Grid, first: Float[Tensor, " n_columns"]
    ) -> tuple[Float[Tensor, " n_columns"], Grid]:
        """Find the step length with slope about zero along `direction` (`first` at 0), and the residual there.

        Newton's method within a bracket.
        """
        inner = (self._theta.u * direction.u).sum(dim=1) * self._ridge
        square = direction.u.square().sum(dim=1) * self._ridge
        length, low, high = (torch.full_like(first, value) for value in (1.0, 0.0, torch.inf))
        for steps_left in reversed(range(BLIND_LINE_STEPS if self._looks_blind else MAX_LINE_STEPS)):
            logits = torch.addcmul(self._logits, along, length[:, None])
            residual, bend = self._loss.residual(logits, self._labels, self._row_weights, along)
            slope = by_group((residual * along).sum(dim=1) + inner + length * square, self._group)
            is_steep = slope.abs() > FLAT * first.abs()
            if steps_left == 0 or not (self._looks_blind or is_steep.any()):
                break
            low = torch.where(is_steep & (slope < 0), length, low)
            high = torch.where(is_steep & (slope > 0), length, high)
            newton = length - slope / by_group(bend + square, self._group)
            middle = torch.where(high.isfinite(), (low + high) / 2, 2 * length)
            inside = (newton > low) & (newton < high)
            length = torch.where(is_steep, torch.where(inside, newton, middle), length)
        return length, residual
