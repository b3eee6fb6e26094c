"""Steering inside vLLM beside `steer` on the same model: the same tokens, log probabilities and counts."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reasonlens import load
from reasonlens.generation import encode_prompts
from reasonlens.organisms import problems
from reasonlens.vectors import Direction, steer

from .conftest import answer

NAME = "organism/rl-timing"
LAYER = 1
N_TOKENS = 40
STEERINGS = [
    {"strength": 0.8},
    {"strength": 0.8, "when": "response"},
    {"strength": 2.0, "when": "response:5"},
    {"strength": 0.8, "when": "prompt"},
    {"strength": 0.5, "when": "from:3", "operation": "add-preserving-norm"},
    {"strength": 1.0, "operation": "project-out"},
    {"strength": 0.7, "operation": "clamp", "when": "response"},
]


@pytest.mark.interop
def test_tokens_probabilities_and_counts_are_those_of_steer(tmp_path: Path, measured: Any) -> None:
    model = load(NAME, device="cpu")
    prompts = [problem.prompt for problem in islice(problems("test", 0), 4)]
    ids = encode_prompts(model, prompts)
    ids[1] = ids[1][:-7]  # prompts of several lengths
    norm = residual_norm(model, ids[0])
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(1))
    asked = {
        "model": NAME,
        "prompt_ids": ids,
        "vector": vector.tolist(),
        "layer": LAYER,
        "residual_norm": norm,
        "steerings": STEERINGS,
        "max_new_tokens": N_TOKENS,
        "chunk": 64,
        "context": 384,
    }
    reply, arrays = answer("vllm", "vllm_steering_.py", asked, tmp_path)
    assert reply["before"] == reply["after"], "a block leaves nothing behind, also not in the cache of prompts"
    direction = Direction.of(vector, layers=LAYER, residual_norm=norm)
    worst, changed = 0.0, set()
    for number, (options, there) in enumerate(zip(STEERINGS, reply["steered"], strict=True)):
        n_tokens, by_layer = 0, 0
        for row, prompt in enumerate(ids):
            tokens = there["tokens"][row]
            with steer(model, direction, **options, n_prompt_tokens=len(prompt)) as steered, torch.inference_mode():
                logits = model.model(torch.tensor([[*prompt, *tokens[:-1]]])).logits[0, len(prompt) - 1 :]
            assert logits.argmax(dim=-1).tolist() == tokens, options
            logprobs = logits.log_softmax(dim=-1).max(dim=-1).values.numpy()
            worst = max(worst, float(np.abs(logprobs - arrays[f"steered{number}/{row}"]).max()))
            n_tokens += steered.n_tokens
            by_layer += steered.n_steered
        assert there["n_tokens"] == n_tokens
        assert [place["n_steered"] for place in there["by_layer"]] == [by_layer]
        changed.add(str(there["tokens"]))
    assert len({*changed, str(reply["before"]["tokens"])}) > len(STEERINGS) // 2, "steering changes what is written"
    measured("vllm", "largest difference of a steered token's log probability", f"{worst:.1e}")
    assert worst < 1e-4


def residual_norm(model: Any, prompt: list[int]) -> float:
    norms = []
    hook = model.blocks[LAYER].register_forward_hook(
        lambda _, __, output: norms.append(
            float((output[0] if isinstance(output, tuple) else output).norm(dim=-1).mean())
        )
    )
    with torch.inference_mode():
        model.model(torch.tensor([prompt]))
    hook.remove()
    return norms[0]
