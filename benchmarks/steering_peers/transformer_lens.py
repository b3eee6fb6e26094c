"""TransformerLens 4: a bridge's own `generate`, plain and with hooks on the blocks' outputs."""

from __future__ import annotations

from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any

import torch
from peers.transformer_lens import _any_tokenizer
from steering_peers.task import Batch, Task


def prepare(task: Task) -> dict[str, Callable[[Batch], torch.Tensor]]:
    from transformer_lens.model_bridge import TransformerBridge

    model = task.model()
    task.vectors("one layer", model)
    with TemporaryDirectory() as directory:  # TransformerLens makes the tokenizer again from its files
        bridge = TransformerBridge.boot_transformers(
            task.spec.directory or "benchmark",
            hf_model=model,
            tokenizer=task.spec.tokenizer() if task.spec.directory else _any_tokenizer(directory),
            device=task.spec.device,
            dtype=model.dtype,
        )

    def plain(batch: Batch) -> torch.Tensor:
        return bridge.generate(
            batch.ids,
            attention_mask=batch.mask,
            max_new_tokens=task.n_new,
            do_sample=False,
            stop_at_eos=False,
            return_type="tokens",
            verbose=False,
        )

    def steered(way: str) -> Callable[[Batch], torch.Tensor]:
        vectors = {layer: vector.to(task.spec.device, model.dtype) for layer, vector in task.vectors(way).items()}

        def adding(vector: torch.Tensor) -> Callable[..., Any]:
            return lambda activations, hook: activations + vector

        def run(batch: Batch) -> torch.Tensor:
            hooks = [(f"blocks.{layer}.hook_out", adding(vector)) for layer, vector in vectors.items()]
            with bridge.hooks(fwd_hooks=hooks):
                return plain(batch)

        return run

    return {"plain": plain, "one layer": steered("one layer"), "all layers": steered("all layers")}
