"""Collection against the bare forward pass and against other tools: `python -m benchmarks.collect`.

1. Every way of reading runs in a process of its own (other tools may want an environment of their own:
   `--python NAME=PATH`, see `benchmarks/peers/requirements/`), with the model loaded once.
2. Rounds are interleaved: in each, every process runs the workload once, one at a time, in an order that is reversed
   from round to round. What is reported is the median over rounds of the ratio to the bare forward pass of the same
   round, in CPU seconds, or on a GPU in seconds between CUDA events.
3. Memory is the peak over what stood before the first round (after a warm-up on one short text), less that of the bare
   forward pass; resident memory on a CPU, allocated memory on a GPU.
4. Means that a tool gives for the same spans are compared with ours, layer by layer.

On a CPU: SmolLM2-135M and 16 bundled texts. On CUDA: the shape of an 8B Llama with random weights in bfloat16.
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

from benchmarks.report import write_report
from benchmarks.spec import Spec, Workload
from benchmarks.workloads import SHAPES, contrast_pairs, random_texts, short_traces, smollm2_directory

HERE = Path(__file__).parent
OURS, BARE = "reasonlens", "bare"
SEVERAL = ("reasonlens_reads", "reasonlens_sites")  # in one pass
PEERS = ("hidden_states", "transformer_lens", "nnsight", "repeng", "steering_vectors")


@dataclass
class Process:
    """One way of reading, in its process."""

    name: str
    pipe: subprocess.Popen[str]

    @classmethod
    def start(cls, name: str, python: str, spec: Path, results: Path) -> Process:
        command = [python, str(HERE / "worker.py"), name, str(spec), str(results)]
        log = (results / f"{name}.log").open("w")
        pipe = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        return cls(name, pipe)

    def answer(self) -> dict[str, Any] | None:
        line = self.pipe.stdout.readline() if self.pipe.stdout else ""
        return json.loads(line) if line else None

    def run(self, workload: str) -> dict[str, Any] | None:
        if self.pipe.stdin is None:
            return None
        self.pipe.stdin.write(f"{workload}\n")
        self.pipe.stdin.flush()
        return self.answer()

    def stop(self) -> None:
        self.pipe.kill()
        self.pipe.wait()


def main() -> None:
    options = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch)
        spec = _spec(options, results)
        spec.write(results / "spec.json")
        report = measure(options, spec, results)
    if options.out:
        write_report(report, Path(options.out))
    if options.json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        sys.stdout.write(_table(report))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m benchmarks.collect")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of each process on a CPU")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shape", choices=SHAPES, help="random weights of this shape; on CUDA 8b unless told")
    parser.add_argument("--tokens", default="256,2048,8192", help="lengths of the texts for a shape, by commas")
    parser.add_argument("--texts-tokens", type=int, default=65_536, help="tokens of all texts of a shape together")
    parser.add_argument("--peers", default=",".join(PEERS), help="by commas; empty: none")
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH", help="interpreter of a peer")
    parser.add_argument("--one-read", action="store_true", help="leave out several reads and sites in one pass")
    parser.add_argument("--compiled", action="store_true", help="also with compiled blocks")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--out", help="directory for the figure (HTML), the table (Markdown) and the JSON")
    return parser.parse_args()


def _spec(options: argparse.Namespace, scratch: Path) -> Spec:
    on_cuda = options.device.startswith("cuda")
    shape = options.shape or ("8b" if on_cuda else None)
    if shape is None:
        directory, tokenizer = smollm2_directory(scratch)
        workloads = {"warm": short_traces(tokenizer, 2), "main": short_traces(tokenizer, 16)}
        workloads["pairs"] = contrast_pairs(tokenizer)
        return Spec(directory, None, options.device, "float32", options.threads, workloads)
    config = SHAPES[shape]
    lengths = [int(length) for length in options.tokens.split(",")]
    workloads = {"warm": random_texts(config["vocab_size"], 64, 64, on_cuda)}
    workloads |= {f"{n}": random_texts(config["vocab_size"], n, options.texts_tokens, on_cuda) for n in lengths}
    dtype = "bfloat16" if on_cuda else "float32"
    return Spec(None, config, options.device, dtype, options.threads, workloads)


def measure(options: argparse.Namespace, spec: Spec, results: Path) -> dict[str, Any]:
    interpreters = dict(pair.split("=", 1) for pair in options.python)
    names = [BARE, OURS, *(() if options.one_read else SEVERAL)]
    if not spec.device.startswith("cuda"):
        names += ["bare_masked"]
    if options.compiled:
        names += ["reasonlens_compiled"]
    if "pairs" in spec.workloads:
        names += ["reasonlens_unshared"]
    peers = [name for name in options.peers.split(",") if name]
    if spec.directory is None:
        peers = [name for name in peers if name not in ("repeng", "steering_vectors")]  # they read strings
    running, missing = {}, {}
    for name in names + peers:
        process = Process.start(name, interpreters.get(name, sys.executable), results / "spec.json", results)
        ready = process.answer()
        if ready and "ready" in ready and process.run("warm"):
            running[name] = process
        else:
            missing[name] = (ready or {}).get("missing") or (results / f"{name}.log").read_text()[-300:]
            process.stop()
    if BARE not in running or OURS not in running:
        raise SystemExit(f"cannot run: {missing}")
    try:
        measured = {name: _rounds(running, name, options.rounds, results) for name in spec.workloads if name != "warm"}
    finally:
        for process in running.values():
            process.stop()
    report: dict[str, Any] = {
        "device": _device(options.device),
        "model": "SmolLM2-135M" if spec.directory else options.shape or "8b",
        "n_threads": options.threads,
        "rounds": options.rounds,
        "missing": missing,
        "workloads": {
            name: measured[name] | {"n_texts": len(load.texts), "n_tokens": load.n_tokens}
            for name, load in spec.workloads.items()
            if name != "warm"
        },
    }
    first = report["workloads"].get("main") or next(iter(report["workloads"].values()))
    report["ratio_to_bare"] = first["ratio"][OURS]
    report["extra_memory_mb"] = first["extra_memory_mb"][OURS]
    report["ratios_of_several"] = {name: first["ratio"][name] for name in SEVERAL if name in first["ratio"]}
    report["peers"] = {name: first["ratio"][name] for name in peers if name in first["ratio"]}
    if "pairs" in measured:
        pairs = report["workloads"]["pairs"]
        report["prefix_ratio"] = round(pairs["ratio"]["reasonlens_unshared"] / pairs["ratio"][OURS], 3)
        report["prefix_token_ratio"] = spec.workloads["pairs"].n_tokens / _distinct_tokens(spec.workloads["pairs"])
    if spec.config is not None:
        for name, load in spec.workloads.items():
            if name != "warm":
                report["workloads"][name] |= _throughput(report["workloads"][name], load, spec, report["device"])
    return report


def _rounds(running: dict[str, Process], workload: str, n_rounds: int, results: Path) -> dict[str, Any]:
    names = [name for name in running if workload in ("main", "pairs") or name != "reasonlens_unshared"]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    memory: dict[str, float] = {}
    for number in range(n_rounds):
        for name in names if number % 2 == 0 else names[::-1]:
            answer = running[name].run(workload)
            if answer is None:
                raise SystemExit(f"{name} failed: {(results / f'{name}.log').read_text()[-500:]}")
            seconds[name].append(answer["seconds"])
            memory.setdefault(name, answer["extra_mb"])
    bare = np.array(seconds[BARE])
    return {
        "seconds": {name: round(float(np.median(times)), 4) for name, times in seconds.items()},
        "ratio": {name: round(float(np.median(np.array(times) / bare)), 3) for name, times in seconds.items()},
        "ratio_range": {
            name: [round(float(ratio), 3) for ratio in np.quantile(np.array(times) / bare, [0, 1])]
            for name, times in seconds.items()
        },
        "extra_memory_mb": {name: round(megabytes - memory[BARE], 1) for name, megabytes in memory.items()},
        "disagreement": _disagreement(names, workload, results),
    }


def _disagreement(names: list[str], workload: str, results: Path) -> dict[str, float]:
    """Largest distance to our means relative to their norm, over spans and all layers but the last (see peers)."""
    ours = np.load(results / f"{OURS}-{workload}.npy")[:, :-1]
    distances = {}
    for name in names:
        file = results / f"{name}-{workload}.npy"
        if name != OURS and file.is_file():
            distance = np.linalg.norm(np.load(file)[:, :-1] - ours, axis=-1) / np.linalg.norm(ours, axis=-1)
            distances[name] = float(f"{distance.max():.2g}")
    return distances


def _distinct_tokens(pairs: Workload) -> int:
    """Tokens when what two neighbours share is counted once."""
    total = 0
    for one, other in zip(pairs.token_ids[::2], pairs.token_ids[1::2], strict=True):
        shared = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
        total += len(one) + len(other) - shared
    return total


def _throughput(measured: dict[str, Any], load: Workload, spec: Spec, device: str) -> dict[str, Any]:
    """Tokens a second, and model FLOPs utilisation: 2 FLOPs a weight and token, and attention, over the peak."""
    config = spec.config or {}
    d, n_layers, heads = config["hidden_size"], config["num_hidden_layers"], config["num_attention_heads"]
    kv = config["num_key_value_heads"] * d // heads
    weights = n_layers * (2 * d * d + 2 * d * kv + 3 * d * config["intermediate_size"])
    length = load.n_tokens / len(load.texts)
    flops = 2 * weights + 2 * n_layers * d * length  # causal: a token looks at half of the others, twice (QK, AV)
    peak = next((flops_per_second for name, flops_per_second in PEAK_FLOPS.items() if name in device), None)
    speed = {name: load.n_tokens / duration for name, duration in measured["seconds"].items()}
    return {
        "tokens_per_second": {name: round(rate, 1) for name, rate in speed.items()},
        "flops_per_token": flops,
        "mfu": {name: round(rate * flops / peak, 3) for name, rate in speed.items()} if peak else None,
    }


PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # dense bfloat16, as NVIDIA states it


def _device(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), "CPU")


def _table(report: dict[str, Any]) -> str:
    from benchmarks.report import markdown

    return markdown(report) + "".join(f"not run: {name}: {why}\n" for name, why in report["missing"].items())


if __name__ == "__main__":
    main()
