"""Steer in vLLM, in vLLM's own environment: greedy texts, log probabilities and counts under several steerings."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")

import numpy as np
import torch
from vllm import LLM, SamplingParams

from reasonlens.models.sources import find_source
from reasonlens.vectors import Direction
from reasonlens.vectors.steering.in_vllm import steer_vllm


def main() -> None:
    asked = json.loads(sys.stdin.read())
    llm = LLM(
        model=find_source(asked["model"]).location,
        dtype="float32",
        enforce_eager=True,
        max_num_batched_tokens=asked["chunk"],
        max_model_len=asked["context"],
        generation_config="vllm",
    )
    parameters = SamplingParams(temperature=0, max_tokens=asked["max_new_tokens"], logprobs=0, ignore_eos=True)
    prompts = [{"prompt_token_ids": ids} for ids in asked["prompt_ids"]]
    answers, arrays = [], {}

    def write(name: str) -> dict[str, Any]:
        outputs = [output.outputs[0] for output in llm.generate(prompts, parameters, use_tqdm=False)]
        for number, output in enumerate(outputs):
            steps = zip(output.logprobs, output.token_ids, strict=True)
            arrays[f"{name}/{number}"] = np.array([step[token].logprob for step, token in steps])
        return {"tokens": [list(output.token_ids) for output in outputs]}

    before = write("before")
    vector = torch.tensor(asked["vector"])
    for number, options in enumerate(asked["steerings"]):
        direction = Direction.of(vector, layers=asked["layer"], residual_norm=asked["residual_norm"])
        with steer_vllm(llm, direction, **options) as steered:
            answer = write(f"steered{number}")
        answers.append(answer | {"n_tokens": steered.n_tokens, "by_layer": steered.by_layer()})
    np.savez(asked["output"], **arrays)
    sys.stdout.write(f"\n{json.dumps({'before': before, 'after': write('after'), 'steered': answers})}\n")


if __name__ == "__main__":
    main()
