"""repeng: a `ControlModel` around the model, unwrapped for plain generation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from steering_peers.task import Batch, Task


def prepare(task: Task) -> dict[str, Callable[[Batch], torch.Tensor]]:
    from repeng import ControlModel, ControlVector

    model = task.model()

    def steered(way: str) -> Callable[[Batch], torch.Tensor]:
        vectors = {layer: vector.numpy() for layer, vector in task.vectors(way, model).items()}
        control = ControlVector(model_type=model.config.model_type, directions=vectors)

        def run(batch: Batch) -> torch.Tensor:
            wrapped = ControlModel(model, list(vectors))
            wrapped.set_control(control, 1.0)
            written = task.generate(wrapped, batch)
            wrapped.unwrap()
            return written

        return run

    return {
        "plain": lambda batch: task.generate(model, batch),
        "one layer": steered("one layer"),
        "all layers": steered("all layers"),
    }
