"""Many vectors at one layer descended at once, each on sentences of its own and each stopped by its own held-out ones.

    minimise over v, |v| <= max_dose:    mean over sentences of the cross-entropy of their tokens, v added (+ bias)

1. A step takes some sentences of every vector that is still going; the losses of different vectors share no term, so
   that one backward pass gives the gradient of each.
2. Adam (Kingma & Ba 2015) on v in units of the residual norm; what is longer than the longest dose is shortened to it.
3. After every few steps the held-out sentences say which vectors got better; the best of each is kept, and one that
   has not gained for a while is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .likelihood import likelihood, predicted
from .rows import Batches
from .targets import Target

GAIN = 1e-4  # nats a token: less is no gain


@dataclass(frozen=True, slots=True)
class Task:
    """What one vector is found on."""

    training: Sequence[Target]
    held_out: Sequence[Target]


@dataclass(frozen=True, eq=False, slots=True)
class Descended:
    """One row a task."""

    doses: Float[Tensor, "n_tasks d_model"]  # in units of the residual norm
    steps: list[int]  # at which each was best


def descend(
    batches: Batches,
    layer: int,
    residual_norm: float,
    tasks: Sequence[Task],
    *,
    bias: Float[Tensor, " d_model"] | None = None,
    random: np.random.Generator,
    done: Callable[[int], object] = lambda _: None,
) -> Descended:
    """The best vector of every task. bias: added as well, and not changed. done: hears of every step."""
    settings, model = batches.settings, batches.model
    n_tasks, d_model, device = len(tasks), model.d_model, model.device
    doses = torch.zeros(n_tasks, d_model, device=device, requires_grad=True)
    held = torch.zeros(d_model, device=device) if bias is None else bias.to(device)
    adam = torch.optim.Adam([doses], lr=settings.step / d_model**0.5)
    best, best_loss, best_step = doses.detach().clone(), [float("inf")] * n_tasks, [0] * n_tasks
    going, waits = list(range(n_tasks)), [0] * n_tasks
    orders = [_Order(len(task.training), random) for task in tasks]
    for step in range(1, settings.max_steps + 1):
        drawn = [(task, row) for task in going for row in orders[task].take(settings.sentences_per_step)]
        sentences = [tasks[task].training[row] for task, row in drawn]
        owner = torch.tensor([task for task, _ in drawn], device=device)
        share = 1 / torch.bincount(owner, minlength=n_tasks)[owner]  # a task's loss is the mean of its sentences
        adam.zero_grad()
        for rows in batches(sentences):
            here = torch.tensor(rows.targets, device=device)
            loss, _ = predicted(model, layer, rows, (doses[owner[here]] + held) * residual_norm)
            torch.autograd.backward((loss * share[here].to(loss.device)).sum())
        adam.step()
        with torch.no_grad():
            doses *= (settings.max_dose / doses.norm(dim=1, keepdim=True).clamp(min=1e-30)).clamp(max=1.0)
        done(1)
        if step % settings.check_every and step < settings.max_steps:
            continue
        losses = _held_out(batches, layer, residual_norm, tasks, going, doses.detach() + held)
        for task, loss_now in zip(list(going), losses, strict=True):
            if loss_now < best_loss[task] - GAIN:
                best[task], best_loss[task], best_step[task], waits[task] = doses.detach()[task], loss_now, step, 0
            else:
                waits[task] += 1
                if waits[task] >= settings.patience:
                    going.remove(task)
        if not going:
            done(settings.max_steps - step)
            break
    return Descended(best.cpu(), best_step)


def _held_out(
    batches: Batches,
    layer: int,
    residual_norm: float,
    tasks: Sequence[Task],
    going: Sequence[int],
    doses: Float[Tensor, "n_tasks d_model"],
) -> list[float]:
    """The mean loss of every task that is going."""
    sentences = [(task, target) for task in going for target in tasks[task].held_out]
    owner = torch.tensor([task for task, _ in sentences])
    vectors = (doses * residual_norm)[owner.to(doses.device)]
    found = likelihood(batches, layer, [target for _, target in sentences], vectors)
    return [float(found.loss[owner == task].mean()) for task in going]


class _Order:
    """Rows in random order, round after round."""

    def __init__(self, n: int, random: np.random.Generator) -> None:
        self._n, self._random = n, random
        self._left: list[int] = []

    def take(self, n: int) -> list[int]:
        taken: list[int] = []
        while len(taken) < min(n, self._n):
            if not self._left:
                self._left = self._random.permutation(self._n).tolist()
            taken.append(self._left.pop())
        return taken
