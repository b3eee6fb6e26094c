"""Our engine for vLLM, in vLLM's own environment: greedy and sampled texts, and the log probability of each token."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")

import numpy as np

from reasonlens.generation import Sampling
from reasonlens.generation.engines import Manner, Place, Request, Response, engine_of
from reasonlens.generation.engines.transformers_ import Texts


def main() -> None:
    asked = json.loads(sys.stdin.read())
    place = Place(options={"dtype": "float32", "enforce_eager": True})
    writer: Any = engine_of("vllm").open(asked["model"], place)
    requests = [Request(number, prompt) for number, prompt in enumerate(asked["prompts"])]

    def written(temperature: float, some: list[Request], stop: tuple[str, ...] = ()) -> list[list[Any]]:
        sampling = Sampling(temperature=temperature, top_p=1.0, max_new_tokens=asked["max_new_tokens"])
        responses: dict[int, Response] = {}
        writer.write(some, Manner(sampling=sampling, seed=7, stop=stop), set(), responses.__setitem__)
        ordered = [responses[request.number] for request in some]
        return [[one.text, one.n_tokens, one.is_truncated] for one in ordered]

    start = time.perf_counter()
    greedy = written(0.0, requests)
    seconds = time.perf_counter() - start
    manner = Manner(sampling=Sampling(temperature=0.0, max_new_tokens=asked["max_new_tokens"]))
    texts = Texts(writer.outline)
    parameters = writer.parameters(requests[0], manner, asked["max_new_tokens"], texts, logprobs=0)
    prompts = [{"prompt_token_ids": ids} for ids in asked["prompt_ids"]]
    outputs = [output.outputs[0] for output in writer.llm.generate(prompts, parameters, use_tqdm=False)]
    arrays = {}
    for number, output in enumerate(outputs):
        tokens = list(output.token_ids)
        arrays[f"tokens/{number}"] = np.array(tokens)
        logprobs = [step[token].logprob for step, token in zip(output.logprobs, tokens, strict=True)]
        arrays[f"logprobs/{number}"] = np.array(logprobs)
    np.savez(asked["output"], **arrays)
    answer = {
        "greedy": greedy,
        "tokens_per_second": sum(row[1] for row in greedy) / seconds,
        "sampled": written(1.0, requests),
        "alone": written(1.0, requests[2:3]),
        "stopped": written(0.0, requests, (asked["stop"],)),
    }
    sys.stdout.write(f"\n{json.dumps(answer)}\n")


if __name__ == "__main__":
    main()
