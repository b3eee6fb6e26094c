"""What a Llama in transformers computes: the output of every block, and the logits. Used by the tools' scripts."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import torch


def request() -> dict[str, Any]:
    """The JSON on stdin."""
    return json.load(sys.stdin)


def answer(asked: dict[str, Any], arrays: dict[str, np.ndarray], **said: Any) -> None:
    """Arrays into the file that was asked for, and the rest as one line of JSON."""
    np.savez(asked["output"], **arrays)
    sys.stdout.write("\n" + json.dumps(said) + "\n")


def llama(directory: str) -> Any:
    """The model in float32, the same attention as ours."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(directory, torch_dtype=torch.float32).eval()


def run(model: Any, ids: list[list[int]], name: str) -> dict[str, np.ndarray]:
    """`name/acts` (n_layers, tokens, d_model), what each block gives when all of its hooks have run; `name/logits`."""
    kept: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, args: tuple[Any, ...], output: Any) -> None:
        kept.append((output[0] if isinstance(output, tuple) else output)[0].clone())

    handles = [block.register_forward_hook(keep) for block in model.model.layers]
    try:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor(ids)).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    return {f"{name}/acts": torch.stack(kept).numpy(), f"{name}/logits": logits.numpy()}
