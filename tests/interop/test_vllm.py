"""The vLLM engine beside the transformers engine on the same model: greedy texts, log probabilities, seeds, stops."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reasonlens import load
from reasonlens.generation import Sampling, encode_prompts
from reasonlens.generation.engines import Manner, Place, Request, Response, engine_of
from reasonlens.organisms import problems

from .conftest import answer

NAME = "organism/rl-timing"
N_TOKENS = 120
STOP = " hit"


def ours(prompts: list[str], stop: tuple[str, ...] = ()) -> list[list[Any]]:
    sampling = Sampling(temperature=0, max_new_tokens=N_TOKENS)
    requests = [Request(number, prompt) for number, prompt in enumerate(prompts)]
    responses: dict[int, Response] = {}
    writer = engine_of("transformers").open(NAME, Place(device="cpu"))
    writer.write(requests, Manner(sampling=sampling, stop=stop), set(), responses.__setitem__)
    ordered = [responses[number] for number in range(len(prompts))]
    return [[one.text, one.n_tokens, one.is_truncated] for one in ordered]


@pytest.mark.interop
def test_both_engines_write_the_same_greedily_and_give_each_token_the_same_probability(
    tmp_path: Path, measured: Any
) -> None:
    prompts = [problem.prompt for problem in islice(problems("test", 0), 16)]
    model = load(NAME, device="cpu")
    ids = encode_prompts(model, prompts)
    asked = {"model": NAME, "prompts": prompts, "prompt_ids": ids, "max_new_tokens": N_TOKENS, "stop": STOP}
    reply, arrays = answer("vllm", "vllm_.py", asked, tmp_path)
    start = time.perf_counter()
    greedy = ours(prompts)
    speed = sum(row[1] for row in greedy) / (time.perf_counter() - start)
    assert reply["greedy"] == greedy
    assert reply["stopped"] == ours(prompts, (STOP,)) != greedy
    assert reply["alone"] == reply["sampled"][2:3], "a sample does not depend on the batch"
    assert reply["sampled"] != greedy and len({row[0] for row in reply["sampled"]}) == len(prompts)
    worst = 0.0
    for number, prompt in enumerate(ids):
        tokens = arrays[f"tokens/{number}"].tolist()
        with torch.inference_mode():
            logits = model.model(torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
        logprobs = logits.log_softmax(dim=-1).gather(1, torch.tensor(tokens)[:, None])[:, 0].numpy()
        worst = max(worst, float(np.abs(logprobs - arrays[f"logprobs/{number}"]).max()))
    measured("vllm", "greedy texts that are equal", f"{len(prompts)} of {len(prompts)}")
    measured("vllm", "largest difference of a token's log probability", f"{worst:.1e}")
    measured("vllm", "tokens a second (transformers)", f"{reply['tokens_per_second']:,.0f} ({speed:,.0f})")
    assert worst < 1e-4
