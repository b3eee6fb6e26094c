"""steering-vectors: `SteeringVector.apply`. For the response, `min_token_index`, which counts within a forward pass."""

from __future__ import annotations

from collections.abc import Callable

import torch
from steering_peers.task import Batch, Task


def prepare(task: Task) -> dict[str, Callable[[Batch], torch.Tensor]]:
    from steering_vectors import SteeringVector

    model = task.model()

    def steered(way: str) -> Callable[[Batch], torch.Tensor]:
        vectors = {layer: vector.to(model.dtype) for layer, vector in task.vectors(way, model).items()}
        vector = SteeringVector(layer_activations=vectors)

        def run(batch: Batch) -> torch.Tensor:
            first = batch.ids.shape[1] - 1 if way == "response" else 0
            with vector.apply(model, min_token_index=first):
                return task.generate(model, batch)

        return run

    return {
        "plain": lambda batch: task.generate(model, batch),
        "one layer": steered("one layer"),
        "response": steered("response"),
        "all layers": steered("all layers"),
    }
