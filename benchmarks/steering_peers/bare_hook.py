"""A hook written by hand that adds the vector to whatever a block returns, padding included: the least there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from steering_peers.task import Batch, Task


def prepare(task: Task) -> dict[str, Callable[[Batch], torch.Tensor]]:
    model = task.model()

    def steered(way: str) -> Callable[[Batch], torch.Tensor]:
        vectors = {
            layer: vector.to(task.spec.device, model.dtype) for layer, vector in task.vectors(way, model).items()
        }

        def adding(vector: torch.Tensor) -> Callable[..., Any]:
            def hook(module: Any, args: Any, output: Any) -> Any:
                return (output[0] + vector, *output[1:]) if isinstance(output, tuple) else output + vector

            return hook

        def run(batch: Batch) -> torch.Tensor:
            hooks = [
                model.model.layers[layer].register_forward_hook(adding(vector)) for layer, vector in vectors.items()
            ]
            written = task.generate(model, batch)
            for hook in hooks:
                hook.remove()
            return written

        return run

    return {
        "plain": lambda batch: task.generate(model, batch),
        "one layer": steered("one layer"),
        "all layers": steered("all layers"),
    }
