"""Optimise many vectors at one layer at once, each on its own sentences and stopped by sentences of its own.

    minimise over v, |v| <= max_strength:    mean over sentences of the cross-entropy of their tokens, v added (+ bias)

1. A step takes some sentences of every vector that is still being optimised; the losses of different vectors share no
   term, so that one backward pass gives the gradient of each.
2. Adam (Kingma & Ba 2015) on v in units of the residual norm; a vector longer than max_strength is shortened to it.
3. Every few steps the loss on stopping sentences is measured. The best vector of each task is stored, and a task ends
   when its loss has not improved at several of these checks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...models.device_copies import uploaded
from .likelihood import sentence_likelihood, sentence_loss
from .rows import Batches
from .targets import Target

MIN_IMPROVEMENT = 1e-4  # nats a token; a smaller decrease of the stopping loss is no improvement


@dataclass(frozen=True, slots=True)
class Task:
    """The sentences that one vector is optimised on, and those that decide when it stops."""

    training: Sequence[Target]
    stopping: Sequence[Target]


@dataclass(frozen=True, eq=False, slots=True)
class DescentResult:
    """The best vector of every task, one row a task."""

    relative_vectors: Float[Tensor, "n_tasks d_model"]  # in units of the residual norm
    steps: list[int]  # the step at which each was best


def descend(
    batches: Batches,
    layer: int,
    residual_norm: float,
    tasks: Sequence[Task],
    *,
    bias: Float[Tensor, " d_model"] | None = None,
    random: np.random.Generator,
    on_steps: Callable[[int], object] = lambda _: None,
) -> DescentResult:
    """Optimise the vector of every task.

    Args:
        batches: Makes batches of sentences for the model; holds the settings.
        layer: The block at whose output vectors are added.
        residual_norm: The mean token norm of the residual stream there, the unit of the vectors.
        tasks: One for each vector.
        bias: A vector in the same unit that is added to every other one, and not changed.
        random: Draws the order of the sentences.
        on_steps: Is called with the number of steps done since the last call.

    Returns:
        The best vector of every task.
    """
    settings, model = batches.settings, batches.model
    n_tasks, d_model, device = len(tasks), model.d_model, model.device
    vectors = torch.zeros(n_tasks, d_model, device=device, requires_grad=True)
    fixed = torch.zeros(d_model, device=device) if bias is None else bias.to(device)
    adam = torch.optim.Adam([vectors], lr=settings.step / d_model**0.5)
    best, best_loss, best_step = vectors.detach().clone(), [float("inf")] * n_tasks, [0] * n_tasks
    active, n_without_improvement = list(range(n_tasks)), [0] * n_tasks
    orders = [_RandomOrder(len(task.training), random) for task in tasks]
    for step in range(1, settings.max_steps + 1):
        chosen = [(task, row) for task in active for row in orders[task].take(settings.sentences_per_step)]
        sentences = [tasks[task].training[row] for task, row in chosen]
        of_task = torch.tensor([task for task, _ in chosen])
        # The loss of a task is the mean over its sentences.
        sentence_weight = uploaded(1 / torch.bincount(of_task, minlength=n_tasks)[of_task], device)
        task_index = uploaded(of_task, device)
        adam.zero_grad()
        for rows in batches(sentences):
            members = uploaded(list(rows.targets), device)
            loss, _ = sentence_loss(model, layer, rows, (vectors[task_index[members]] + fixed) * residual_norm)
            torch.autograd.backward((loss * sentence_weight[members].to(loss.device)).sum())
        adam.step()
        with torch.no_grad():
            vectors *= (settings.max_strength / vectors.norm(dim=1, keepdim=True).clamp(min=1e-30)).clamp(max=1.0)
        on_steps(1)
        if step % settings.check_every and step < settings.max_steps:
            continue
        losses = _stopping_losses(batches, layer, residual_norm, tasks, active, vectors.detach() + fixed)
        for task, loss_now in zip(list(active), losses, strict=True):
            if loss_now < best_loss[task] - MIN_IMPROVEMENT:
                best[task], best_loss[task], best_step[task] = vectors.detach()[task], loss_now, step
                n_without_improvement[task] = 0
            else:
                n_without_improvement[task] += 1
                if n_without_improvement[task] >= settings.patience:
                    active.remove(task)
        if not active:
            on_steps(settings.max_steps - step)
            break
    return DescentResult(best.cpu(), best_step)


def _stopping_losses(
    batches: Batches,
    layer: int,
    residual_norm: float,
    tasks: Sequence[Task],
    active: Sequence[int],
    vectors: Float[Tensor, "n_tasks d_model"],
) -> list[float]:
    """Compute the mean stopping loss of every active task."""
    sentences = [(task, target) for task in active for target in tasks[task].stopping]
    task_index = torch.tensor([task for task, _ in sentences])
    sentence_vectors = (vectors * residual_norm)[uploaded(task_index, vectors.device)]
    result = sentence_likelihood(batches, layer, [target for _, target in sentences], sentence_vectors)
    return [float(result.loss[task_index == task].mean()) for task in active]


class _RandomOrder:
    """Row numbers in random order; when all have been taken they are shuffled again."""

    def __init__(self, n: int, random: np.random.Generator) -> None:
        self._n, self._random = n, random
        self._remaining: list[int] = []

    def take(self, n: int) -> list[int]:
        rows: list[int] = []
        while len(rows) < min(n, self._n):
            if not self._remaining:
                self._remaining = self._random.permutation(self._n).tolist()
            rows.append(self._remaining.pop())
        return rows
