"""Steered generation against plain generation, and against other tools: `python -m benchmarks.steer`.

1. Every tool runs in a process of its own (`--python NAME=PATH` for one that wants its own environment, see
   `peers/requirements/`) and generates greedily, with a key-value cache, the same number of tokens after the same
   prompts: plain, with a vector added at one layer, at all layers, and for the response only where it can. One prompt,
   and eight of different lengths padded on the left. Setting up and taking down is in the time.
2. Rounds are interleaved: in each, every process runs every way once, one at a time, and plain generation beside it,
   before or after in turn; the order is reversed from round to round. What is reported is the ratio of the two, in CPU
   seconds, or on a GPU in seconds on the wall: the median over rounds with its 95% bootstrap interval, and the range.
   "plain again" is that ratio where nothing differs.
3. The tokens that a tool wrote are compared with ours.

On a CPU: SmolLM2-135M. On CUDA: the shape of an 8B Llama with random weights in bfloat16.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.collect import _device
from benchmarks.spec import Spec
from benchmarks.steering_peers.task import Task
from benchmarks.workloads import SHAPES, short_traces, smollm2_directory

WORKER = Path(__file__).with_name("steering_worker.py")
OURS, PLAIN, AGAIN = "reasonlens", "plain", "plain again"
PEERS = ("bare_hook", "repeng", "steering_vectors", "transformer_lens")
LABELS = {
    "reasonlens": "reasonlens",
    "bare_hook": "a hook by hand",
    "repeng": "repeng",
    "steering_vectors": "steering-vectors",
    "transformer_lens": "TransformerLens, its own generate",
}


@dataclass
class Process:
    """One tool, in its process."""

    name: str
    pipe: subprocess.Popen[str]
    log: Path
    ways: list[str]

    @classmethod
    def start(cls, name: str, python: str, folder: Path) -> Process | str:
        """The process once its model is loaded, or why it cannot be run."""
        log = folder / f"{name}.log"
        command = [python, str(WORKER), name, str(folder / "task.json"), str(folder)]
        pipe = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log.open("w"), text=True)
        process = cls(name, pipe, log, [])
        ready = process._answer()
        if ready is None or "missing" in ready:
            process.stop()
            return str((ready or {}).get("missing") or log.read_text()[-300:])
        process.ways = ready["ways"]
        return process

    def run(self, batch: str, way: str) -> dict[str, float]:
        assert self.pipe.stdin is not None
        self.pipe.stdin.write(f"{batch}\t{way}\n")
        self.pipe.stdin.flush()
        timings = self._answer()
        if timings is None:
            raise SystemExit(f"{self.name} failed: {self.log.read_text()[-800:]}")
        return timings

    def _answer(self) -> dict[str, Any] | None:
        line = self.pipe.stdout.readline() if self.pipe.stdout else ""
        return json.loads(line) if line else None

    def stop(self) -> None:
        self.pipe.kill()
        self.pipe.wait()


def main() -> None:
    options = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        task = _task(options, Path(scratch))
        task.write(Path(scratch) / "task.json")
        results = measure(options, task, Path(scratch))
    if options.out:
        Path(options.out).mkdir(parents=True, exist_ok=True)
        (Path(options.out) / "steer.json").write_text(json.dumps(results, indent=1))
        (Path(options.out) / "steer.md").write_text(table(results))
    sys.stdout.write(json.dumps(results) + "\n" if options.json else table(results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m benchmarks.steer")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1, help="of each process on a CPU")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shape", choices=SHAPES, help="random weights of this shape; on CUDA 8b unless told")
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--batch-sizes", default="1,8", help="by commas")
    parser.add_argument("--layer", type=int, help="the one layer; default one in the middle")
    parser.add_argument("--peers", default=",".join(PEERS), help="by commas; empty: none")
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH", help="interpreter of a peer")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--out", help="directory for the table (Markdown) and the JSON")
    return parser.parse_args()


def _task(options: argparse.Namespace, scratch: Path) -> Task:
    on_cuda = options.device.startswith("cuda")
    shape = options.shape or ("8b" if on_cuda else None)
    sizes = [int(size) for size in options.batch_sizes.split(",")]
    lengths = {size: np.linspace(20, 52, size).astype(int) if size > 1 else np.array([48]) for size in sizes}
    if shape is None:
        directory, tokenizer = smollm2_directory(scratch)
        _let_older_transformers_read(Path(directory) / "config.json")
        spec = Spec(directory, None, options.device, "float32", options.threads, {})
        texts = short_traces(tokenizer, max(sizes)).token_ids  # of 53 and more
        n_layers = 30
    else:
        dtype = "bfloat16" if on_cuda else "float32"
        spec = Spec(None, SHAPES[shape], options.device, dtype, options.threads, {})
        texts = np.random.default_rng(0).integers(5, SHAPES[shape]["vocab_size"], (max(sizes), 52)).tolist()
        n_layers = SHAPES[shape]["num_hidden_layers"]
    prompts = {
        str(size): [text[:length] for text, length in zip(texts, lengths[size].tolist(), strict=False)]
        for size in sizes
    }
    layer = n_layers // 2 if options.layer is None else options.layer
    return Task(spec, prompts, options.new_tokens, layer, str(scratch))


def _let_older_transformers_read(config: Path) -> None:
    """transformers 5 writes the base of the rotary frequencies where 4, which steering-vectors wants, never looks."""
    content = json.loads(config.read_text())
    config.write_text(json.dumps({"rope_theta": content["rope_parameters"]["rope_theta"]} | content))


def measure(options: argparse.Namespace, task: Task, folder: Path) -> dict[str, Any]:
    interpreters = dict(pair.split("=", 1) for pair in options.python)
    running: list[Process] = []
    missing: dict[str, str] = {}
    try:
        for name in [OURS, *(peer for peer in options.peers.split(",") if peer)]:
            process = Process.start(name, interpreters.get(name, sys.executable), folder)
            if isinstance(process, str):
                missing[name] = process
            else:
                running.append(process)
        if OURS in missing:
            raise SystemExit(f"cannot run: {missing}")
        batches = {name: _rounds(running, name, options, task) for name in task.prompts}
        for name, measured in batches.items():
            measured["same_tokens"] = _same_tokens(running, name, folder)
            measured["changed_tokens"] = 1 - _share_same(folder, name, (OURS, PLAIN), (OURS, "one layer"))
    finally:
        for process in running:
            process.stop()
    first = next(iter(batches.values()))
    return {
        "device": _device(options.device),
        "model": "SmolLM2-135M" if task.spec.directory else options.shape or "8b",
        "dtype": task.spec.dtype,
        "n_threads": options.threads,
        "rounds": options.rounds,
        "n_new": task.n_new,
        "layer": task.layer,
        "ratio_to_plain": first["ratio"][OURS]["one layer"],
        "ratio_to_plain_at_all_layers": first["ratio"][OURS]["all layers"],
        "peers": {name: ways["one layer"] for name, ways in first["ratio"].items() if name != OURS},
        "missing": missing,
        "batches": batches,
    }


def _rounds(running: list[Process], batch: str, options: argparse.Namespace, task: Task) -> dict[str, Any]:
    runs = [(process, way) for process in running for way in process.ways if way != PLAIN]
    for process in running:
        for way in process.ways:
            process.run(batch, way)  # warm
    pairs: dict[str, dict[str, list[list[dict[str, float]]]]] = {process.name: {} for process in running}
    for number in range(options.rounds):
        for process, way in runs if number % 2 == 0 else runs[::-1]:
            order = [PLAIN, way] if number % 2 == 0 else [way, PLAIN]
            ran = {run_way: process.run(batch, run_way) for run_way in order}
            pairs[process.name].setdefault(way, []).append([ran[PLAIN], ran[way]])
    clock = "wall" if options.device.startswith("cuda") else "cpu"
    ratios = _ratios(pairs, clock)
    return {
        "n_prompts": len(task.prompts[batch]),
        "ms_per_step": {name: _milliseconds(ways, clock, task.n_new) for name, ways in pairs.items()},
        "ratio": _by_way(ratios, lambda values: round(float(np.median(values)), 4)),
        "interval": _by_way(ratios, _interval),
        "range": _by_way(ratios, lambda values: [round(float(values.min()), 3), round(float(values.max()), 3)]),
        "ratio_on_the_wall": _by_way(_ratios(pairs, "wall"), lambda values: round(float(np.median(values)), 4)),
    }


def _ratios(pairs: dict[str, dict[str, list[list[dict[str, float]]]]], clock: str) -> dict[str, dict[str, np.ndarray]]:
    return {
        name: {way: np.array([steered[clock] / plain[clock] for plain, steered in runs]) for way, runs in ways.items()}
        for name, ways in pairs.items()
    }


def _milliseconds(ways: dict[str, list[list[dict[str, float]]]], clock: str, n_new: int) -> dict[str, float]:
    seconds = {PLAIN: [plain[clock] for runs in ways.values() for plain, _ in runs]}
    seconds |= {way: [steered[clock] for _, steered in runs] for way, runs in ways.items()}
    return {way: round(1e3 * float(np.median(times)) / n_new, 2) for way, times in seconds.items()}


def _by_way(ratios: dict[str, dict[str, np.ndarray]], statistic: Any) -> dict[str, dict[str, Any]]:
    return {name: {way: statistic(values) for way, values in ways.items()} for name, ways in ratios.items()}


def _interval(ratios: np.ndarray) -> list[float]:
    samples = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    return [round(float(bound), 3) for bound in np.quantile(np.median(samples, axis=1), [0.025, 0.975])]


def _same_tokens(running: list[Process], batch: str, folder: Path) -> dict[str, dict[str, float]]:
    """Share of the tokens that are ours, of each tool and way."""
    return {
        process.name: {
            way: round(_share_same(folder, batch, (OURS, way), (process.name, way)), 3) for way in process.ways
        }
        for process in running
        if process.name != OURS
    }


def _share_same(folder: Path, batch: str, one: tuple[str, str], other: tuple[str, str]) -> float:
    tokens = [np.load(folder / f"{name}-{batch}-{way}.npy") for name, way in (one, other)]
    return float((tokens[0] == tokens[1]).mean())


def table(results: dict[str, Any]) -> str:
    """For each batch, the ratios of every tool and way."""
    lines = [
        f"{results['model']}, {results['dtype']}, on {results['device']}, {results['n_threads']} thread(s): "
        f"{results['n_new']} new tokens, greedy, one layer = {results['layer']}, {results['rounds']} rounds",
    ]
    for measured in results["batches"].values():
        n = measured["n_prompts"]
        lines += [
            "",
            f"{n} prompt{'s, padded on the left' if n > 1 else ''}; "
            f"{measured['changed_tokens']:.0%} of the tokens differ from those of plain generation at one layer",
            "",
            "| | steered | ratio to plain | 95% interval | least..most | on the wall | ms a step | tokens as ours |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for name, ways in measured["ratio"].items():
            steps = measured["ms_per_step"][name]
            same = measured["same_tokens"].get(name, {})
            shown = [f"{same[PLAIN]:.0%}" if name != OURS else "–"]
            lines.append(f"| {LABELS[name]} | no | 1 | – | – | – | {steps[PLAIN]:.2f} | {shown[0]} |")
            for way, ratio in ways.items():
                low, high = measured["interval"][name][way]
                least, most = measured["range"][name][way]
                agreeing = f"{same[way]:.0%}" if way in same else "–"
                lines.append(
                    f"| … | {'no, again' if way == AGAIN else way} | {ratio:.3f} | {low:.3f} to {high:.3f} | "
                    f"{least:.3f}..{most:.3f} | {measured['ratio_on_the_wall'][name][way]:.3f} | {steps[way]:.2f} | "
                    f"{agreeing} |"
                )
    lines += ["", *(f"not run: {name}: {why}" for name, why in results["missing"].items())]
    return "\n".join(lines).rstrip("\n") + "\n"


if __name__ == "__main__":
    main()
