"""Plain sampling of an organism against transformers: `python -m benchmarks.sampling`.

1. An organism answers test problems: greedily, sampled, and many times the same few problems (as pass@k asks).
2. `transformers` is `generate` of the same model on the same left-padded batch, with the same limit and end of text.
3. One process, one thread, interleaved rounds whose order is reversed from round to round; CPU seconds a token, or on
   a GPU seconds on the wall. The ratio is that of one round, ours over theirs: the median with the range. Greedy tokens
   are compared; in float32 they are the same.

On a CPU: a built-in organism. On CUDA: the shape of a 1.5B Qwen with random weights in bfloat16, whose texts never end.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from benchmarks.workloads import SHAPES, random_model
from reasonlens.generation import Sampling, encode_prompts, end_tokens, generate
from reasonlens.models import LanguageModel, load
from reasonlens.organisms import problems
from reasonlens.organisms.task import MAX_RESPONSE_TOKENS

N_NEW = MAX_RESPONSE_TOKENS + 1  # the end of the text is a token, too
TokenRows = list[list[int]]


def ours(model: LanguageModel, prompts: TokenRows, sampling: Sampling, seed: int) -> TokenRows:
    """Write with the step loop of this package."""
    return generate(model, prompts, sampling, seed=seed, n_rows=len(prompts))


def transformers_generate(model: LanguageModel, prompts: TokenRows, sampling: Sampling, seed: int) -> TokenRows:
    """Write with `generate` of transformers, cut after the end of each text."""
    ends = end_tokens(model)
    end = ends[0] if ends else None
    pad = end or 0
    width = max(map(len, prompts))
    device = model.device
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in prompts], device=device)
    torch.manual_seed(seed)
    options: dict[str, Any] = {"do_sample": False}
    if sampling.temperature:
        options = {"do_sample": True, "temperature": sampling.temperature, "top_k": 0, "top_p": 1.0}
    written = model.model.generate(
        ids, attention_mask=mask, max_new_tokens=sampling.max_new_tokens, pad_token_id=pad, eos_token_id=end, **options
    )
    rows = written[:, width:].tolist()
    return [row[: row.index(end) + 1] if end in row else row for row in rows]


def case_of(options: argparse.Namespace) -> tuple[LanguageModel, TokenRows]:
    """The model that writes, and its prompts."""
    shape = options.shape or ("1.5b" if options.device.startswith("cuda") else None)
    if shape is not None:
        n_words = SHAPES[shape]["vocab_size"]
        prompts = np.random.default_rng(0).integers(0, n_words, (options.problems, 64)).tolist()
        return random_model(shape, 0, options.device), prompts
    model = load(options.model, device="cpu")
    return model, encode_prompts(model, [problem.prompt for problem in islice(problems("test", 0), options.problems)])


def measured(
    model: LanguageModel, prompts: TokenRows, n_samples: int, rounds: int, n_new: int = N_NEW
) -> dict[str, dict[str, Any]]:
    """Time every case; seconds are of the CPU, of one thread, or of a GPU on the wall."""
    on_cuda = model.device.type == "cuda"
    clock = time.perf_counter if on_cuda else time.process_time
    greedy = Sampling(temperature=0.0, max_new_tokens=n_new)
    sampled = Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=n_new)
    repeated = [row for row in prompts[:4] for _ in range(n_samples)]
    cases = {"greedy": (prompts, greedy), "sampled": (prompts, sampled), "sampled again": (repeated, sampled)}
    ways: dict[str, Callable[..., TokenRows]] = {"reasonlens": ours, "transformers": transformers_generate}
    results = {}
    for case, (rows, sampling) in cases.items():
        first = {way: write(model, rows, sampling, 0) for way, write in ways.items()}  # warms, too
        per_token: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(rounds):
            for way in list(ways) if number % 2 == 0 else list(ways)[::-1]:
                start = clock()  # both ways end with their tokens on the host
                n_tokens = sum(map(len, ways[way](model, rows, sampling, number)))
                per_token[way].append((clock() - start) / n_tokens)
        ratios = np.array(per_token["reasonlens"]) / np.array(per_token["transformers"])
        results[case] = {
            "n_rows": len(rows),
            "n_prompts": len({tuple(row) for row in rows}),
            "tokens_per_second": round(1 / float(np.median(per_token["reasonlens"]))),
            "tokens_per_second_transformers": round(1 / float(np.median(per_token["transformers"]))),
            "ratio": round(float(np.median(ratios)), 3),
            "ratio_range": [round(float(ratios.min()), 3), round(float(ratios.max()), 3)],
            "same_tokens": first["reasonlens"] == first["transformers"] if sampling is greedy else None,
        }
    return results


def table(results: dict[str, dict[str, Any]]) -> str:
    """Write one row for each case as Markdown."""
    lines = [
        "| | rows | prompts | tokens/s | transformers, tokens/s | time a token over transformers' (least to most) |",
        "|---|---|---|---|---|---|",
    ]
    for case, row in results.items():
        least, most = row["ratio_range"]
        lines.append(
            f"| {case} | {row['n_rows']} | {row['n_prompts']} | {row['tokens_per_second']:,} | "
            f"{row['tokens_per_second_transformers']:,} | {row['ratio']:.2f} ({least:.2f} to {most:.2f}) |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the benchmark as the command line asks."""
    options = _arguments()
    torch.set_num_threads(1)
    results = measured(*case_of(options), options.samples, options.rounds, options.new_tokens)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "sampling.json").write_text(json.dumps(results, indent=1) + "\n")
        (options.out / "sampling.md").write_text(table(results))
    sys.stdout.write(json.dumps(results) + "\n" if options.json else table(results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="organism/rl-timing")
    parser.add_argument("--problems", type=int, default=256)
    parser.add_argument("--samples", type=int, default=64, help="of each of four problems")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--new-tokens", type=int, default=N_NEW)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shape", choices=SHAPES, help="random weights of this shape; on CUDA 1.5b")
    parser.add_argument("--out", type=Path, help="directory for sampling.json and sampling.md")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser.parse_args()


if __name__ == "__main__":
    main()
