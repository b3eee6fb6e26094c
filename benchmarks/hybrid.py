"""Hybrid decoding against what it is made of: `python -m benchmarks.hybrid`.

1. The base writes, steered where the thinking model disagrees: about one token in thirty on the organisms. Of models
   with random weights (`--shape`) the gate opens at that rate at random, and vectors are random.
2. `plain` is base decode plus thinking decode of the very same texts at the same batch, each over its own cache, rows
   dropped as they end: the least that both can cost. `write` is what decoding both costs in this package without a
   hybrid, each to the end of its own text. `uncached` is the algorithm with every token from the whole text anew, in
   the same batch and, for some rows, one row at a time. `plain` and `uncached` give the hybrid's tokens: checked.
3. One process, interleaved rounds, the order reversed from round to round; ratios of the same round, in CPU seconds, or
   on a GPU in seconds on the wall: the median with the range. "plain again" is that ratio where nothing differs.

On a CPU: the built-in organisms. On CUDA: the shape of a 1.5B Qwen with random weights in bfloat16, twice.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from benchmarks.collect import _device
from benchmarks.hybrid_ways import Rows, plain, uncached
from benchmarks.workloads import SHAPES, random_model
from reasonlens.generation import Sampling, StepState, encode_prompts, write
from reasonlens.models import LanguageModel, load
from reasonlens.pairs.hybrid import (
    Mechanism,
    Plan,
    RowRecord,
    decode,
    disagreement,
)
from reasonlens.vectors import Directions

RATE = 0.035  # of tokens that are steered in the organisms' default pair


@dataclass(frozen=True)
class Case:
    """Two models, prompts, and how the hybrid decodes."""

    name: str
    base: LanguageModel
    thinking: LanguageModel
    prompts: list[list[int]]
    plan: Plan
    n_new: int

    @property
    def sampling(self) -> Sampling:
        return Sampling(temperature=0, max_new_tokens=self.n_new)

    def hybrid(self, prompts: Rows) -> list[RowRecord]:
        return decode(self.base, self.thinking, prompts, None, self.plan, self.sampling, n_rows=len(prompts))

    def write(self, prompts: Rows) -> None:
        for model in (self.base, self.thinking):
            write(model, prompts, self.sampling, n_rows=len(prompts))


def main() -> None:
    options = _arguments()
    torch.set_num_threads(options.threads)
    sizes = [int(size) for size in options.batch_sizes.split(",")]
    case = _random_weights(options, max(sizes)) if _shape(options) else _organisms(options, max(sizes))
    results = measure(options, case, sizes)
    if options.out:
        Path(options.out).mkdir(parents=True, exist_ok=True)
        (Path(options.out) / "hybrid.json").write_text(json.dumps(results, indent=1))
        (Path(options.out) / "hybrid.md").write_text(table(results))
    sys.stdout.write(json.dumps(results) + "\n" if options.json else table(results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m benchmarks.hybrid")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--uncached-rounds", type=int, default=1, help="0: leave it out")
    parser.add_argument("--rows-alone", type=int, default=8, help="decoded without a cache one at a time")
    parser.add_argument("--batch-sizes", default="64,256", help="by commas")
    parser.add_argument("--new-tokens", type=int, default=287)
    parser.add_argument("--threads", type=int, default=1, help="on a CPU")
    parser.add_argument("--thinking", default="organism/rl-timing")
    parser.add_argument("--rollouts", type=int, default=300, help="that behaviour vectors are optimised on")
    parser.add_argument("--directions", metavar="FILE", help="behaviour vectors; default: optimised on the spot")
    parser.add_argument("--layer", type=int, help="steered; default: 1 of the organisms, else in the middle")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shape", choices=SHAPES, help="random weights of this shape; on CUDA 1.5b")
    parser.add_argument("--prompt-tokens", type=int, default=64, help="of models with random weights")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--out", help="directory for the table (Markdown) and the JSON")
    return parser.parse_args()


def _shape(options: argparse.Namespace) -> str | None:
    shape: str | None = options.shape or ("1.5b" if options.device.startswith("cuda") else None)
    return shape


def _organisms(options: argparse.Namespace, n: int) -> Case:
    from itertools import islice

    from reasonlens.organisms import BEHAVIOUR, MOVE_OF, organisms_traces, problems
    from reasonlens.vectors import OptimisedSettings, optimised_directions

    base, thinking = load("organism/base-timing", device="cpu"), load(options.thinking, device="cpu")
    layer = 1 if options.layer is None else options.layer
    if options.directions:
        directions = Directions.open(options.directions)
    else:
        behaviours = ("backtracking", "verification", "uncertainty-estimation")
        traces = organisms_traces(thinking, options.rollouts, split="train")
        directions = optimised_directions(base, traces, [layer], OptimisedSettings(behaviours=behaviours))
    mechanism = Mechanism.of(directions, layer)
    words = base.tokenizer.get_vocab()
    behaviour = torch.zeros((len(words), len(words)), dtype=torch.long)  # of the sentence that two words open
    for (opener, second), move in MOVE_OF.items():
        if BEHAVIOUR[move] in mechanism.behaviours:
            behaviour[words[opener], words[second]] = mechanism.behaviours.index(BEHAVIOUR[move])

    def chosen(state: StepState) -> torch.Tensor:
        return behaviour[state.last_ids, state.follower_likeliest()]

    plan = Plan(gate=disagreement, mechanism=mechanism, chooser=chosen)
    prompts = encode_prompts(base, [problem.prompt for problem in islice(problems("test", 0), n)])
    return Case(f"{options.thinking} steering organism/base-timing", base, thinking, prompts, plan, options.new_tokens)


def _random_weights(options: argparse.Namespace, n: int) -> Case:
    shape = str(_shape(options))
    models = [random_model(shape, seed, options.device) for seed in range(2)]
    config = models[0].model.config
    random = np.random.default_rng(0)
    opens = torch.from_numpy(random.random((n, options.new_tokens)) < RATE).to(options.device)
    units = torch.nn.functional.normalize(torch.from_numpy(random.standard_normal((1, config.hidden_size))).float())
    layer = config.num_hidden_layers // 2 if options.layer is None else options.layer
    mechanism = Mechanism(behaviours=("any",), units=units.to(options.device), layer=layer, residual_norm=1.0)
    plan = Plan(gate=lambda state: opens[state.rows, state.step], mechanism=mechanism)
    prompts = random.integers(0, config.vocab_size, (n, options.prompt_tokens)).tolist()
    return Case(f"two Llamas of shape {shape}, random weights", *models, prompts, plan, options.new_tokens)


def measure(options: argparse.Namespace, case: Case, sizes: list[int]) -> dict[str, Any]:
    batches = {str(size): _batch(options, case, case.prompts[:size]) for size in sizes}
    return {
        "device": _device(options.device),
        "pair": case.name,
        "layer": case.plan.mechanism.layer if case.plan.mechanism else None,
        "n_threads": options.threads,
        "rounds": options.rounds,
        "ratio_to_plain": {size: batch["ratio_to_plain"] for size, batch in batches.items()},
        "ratio_to_write": {size: batch["ratio_to_write"] for size, batch in batches.items()},
        "speedup_over_uncached": {size: batch["speedup_over_uncached"] for size, batch in batches.items()},
        "batches": batches,
    }


def _batch(options: argparse.Namespace, case: Case, prompts: Rows) -> dict[str, Any]:
    on_cuda = options.device.startswith("cuda")

    def seconds(run: Callable[[], Any]) -> float:
        gc.collect()
        if on_cuda:
            torch.cuda.synchronize()
        clock = time.perf_counter if on_cuda else time.process_time
        start = clock()
        run()
        if on_cuda:
            torch.cuda.synchronize()
        return clock() - start

    records = case.hybrid(prompts)
    responses = [record.tokens for record in records]
    alone = {
        "base": lambda: plain(case.base, prompts, responses),
        "thinking": lambda: plain(case.thinking, prompts, responses),
    }
    same = [  # this warms, too
        [tuple(row) for row in run()] == [getattr(record, name) for record in records] for name, run in alone.items()
    ]
    ways: dict[str, Callable[[], Any]] = {
        "hybrid": lambda: case.hybrid(prompts),
        "plain": lambda: [run() for run in alone.values()],
        "plain again": lambda: [run() for run in alone.values()],
        "write": lambda: case.write(prompts),
    }
    durations: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds):
        for name in list(ways) if number % 2 == 0 else list(ways)[::-1]:
            durations[name].append(seconds(ways[name]))
    over_write = np.array(durations["hybrid"]) / np.array(durations["write"])
    over = {name: np.array(times) / np.array(durations["plain"]) for name, times in durations.items()}
    n_tokens = sum(map(len, responses))
    results = {
        "n_rows": len(prompts),
        "n_tokens": n_tokens,
        "share_steered": round(sum(record.n_gated for record in records) / n_tokens, 4),
        "seconds": {name: round(float(np.median(times)), 3) for name, times in durations.items()},
        "ratio_to_plain": round(float(np.median(over["hybrid"])), 3),
        "ratio_to_plain_range": [round(float(f(over["hybrid"])), 3) for f in (np.min, np.max)],
        "ratio_to_write": round(float(np.median(over_write)), 3),
        "ratio_to_write_range": [round(float(f(over_write)), 3) for f in (np.min, np.max)],
        "plain_again": round(float(np.median(over["plain again"])), 3),
        "plain_again_range": [round(float(f(over["plain again"])), 3) for f in (np.min, np.max)],
        "each_model_alone_says_what_the_record_says": all(same),
        "speedup_over_uncached": None,
        "speedup_over_uncached_one_row_at_a_time": None,
        "same_tokens_uncached": None,
    }
    if options.uncached_rounds:
        results |= _against_uncached(options, case, prompts, responses, seconds)
    return results


def _against_uncached(
    options: argparse.Namespace,
    case: Case,
    prompts: Rows,
    responses: Rows,
    seconds: Callable[[Callable[[], Any]], float],
) -> dict[str, Any]:
    """Seconds a token: of the same batch, and of single rows."""
    uncached_responses: list[list[int]] = []
    n_alone = min(options.rows_alone, len(prompts))
    few = sum(len(row) for row in responses[:n_alone])
    together, single = [], []
    for _ in range(options.uncached_rounds):
        ours = seconds(lambda: case.hybrid(prompts)) / sum(map(len, responses))
        uncached_responses.clear()
        batch = seconds(
            lambda: uncached_responses.extend(uncached(case.base, case.thinking, prompts, case.plan, case.n_new))
        )
        together.append(batch / sum(map(len, uncached_responses)) / ours)
        rows = seconds(
            lambda: [
                uncached(case.base, case.thinking, prompts[row : row + 1], case.plan, case.n_new, first=row)
                for row in range(n_alone)
            ]
        )
        single.append(rows / max(few, 1) / ours)
    agree = [
        one == other
        for row, again in zip(responses, uncached_responses, strict=True)
        for one, other in zip_longest(row, again)
    ]
    return {
        "speedup_over_uncached": round(float(np.median(together)), 1),
        "speedup_over_uncached_one_row_at_a_time": round(float(np.median(single)), 1) if n_alone else None,
        "same_tokens_uncached": round(float(np.mean(agree)), 4),
    }


def table(results: dict[str, Any]) -> str:
    """One row a batch size."""
    lines = [
        f"{results['pair']}, on {results['device']}, {results['n_threads']} thread(s), layer {results['layer']}, "
        f"{results['rounds']} rounds",
        "",
        "| rows | tokens | steered | hybrid, s | same texts by both, s | ratio (least to most) | nothing differs | "
        "ratio to `write` (least to most) | times faster than uncached | … one row at a time |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for batch in results["batches"].values():
        least, most = batch["ratio_to_plain_range"]
        low, high = batch["plain_again_range"]
        first, last = batch["ratio_to_write_range"]
        lines.append(
            f"| {batch['n_rows']} | {batch['n_tokens']:,} | {batch['share_steered']:.1%} | "
            f"{batch['seconds']['hybrid']:.2f} | {batch['seconds']['plain']:.2f} | "
            f"{batch['ratio_to_plain']:.3f} ({least:.3f} to {most:.3f}) | "
            f"{batch['plain_again']:.3f} ({low:.3f} to {high:.3f}) | "
            f"{batch['ratio_to_write']:.3f} ({first:.3f} to {last:.3f}) | "
            f"{batch['speedup_over_uncached'] or '–'} | {batch['speedup_over_uncached_one_row_at_a_time'] or '–'} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
