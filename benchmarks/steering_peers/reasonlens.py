"""This project: `reasonlens.steer`. "plain again" is generation without steering once more: what the noise is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from steering_peers.task import Batch, Task


def prepare(task: Task) -> dict[str, Callable[[Batch], torch.Tensor]]:
    from reasonlens.models import LanguageModel
    from reasonlens.models.blocks import find_blocks, find_body
    from reasonlens.vectors import Direction
    from reasonlens.vectors.steering import steer

    model = task.model()
    tokenizer: Any = task.spec.tokenizer() if task.spec.directory else None
    handle = LanguageModel(
        model=model, tokenizer=tokenizer, body=find_body(model), blocks=find_blocks(model), name="benchmark"
    )

    def steered(way: str, when: str) -> Callable[[Batch], torch.Tensor]:
        vectors = task.vectors(way, model)
        direction = Direction.of(torch.stack(list(vectors.values())), layers=list(vectors))

        def run(batch: Batch) -> torch.Tensor:
            with steer(handle, direction, layer=list(vectors), absolute=True, when=when) as count:
                written = task.generate(model, batch)
            n_prompt, n_fed = int(batch.mask.sum()), batch.ids.shape[0] * (task.n_new - 1)
            expected = n_prompt + n_fed if when == "all" else batch.ids.shape[0] * task.n_new
            if tokenizer is None and count.n_steered != expected:  # with one, a response may end
                raise RuntimeError(f"{count.n_steered} tokens were steered, and {expected} should have been")
            return written

        return run

    return {
        "plain": lambda batch: task.generate(model, batch),
        "plain again": lambda batch: task.generate(model, batch),
        "one layer": steered("one layer", "all"),
        "response": steered("response", "response"),
        "all layers": steered("all layers", "all"),
    }
