"""All benchmarks as one command: `python -m benchmarks --device cuda --out DIR`.

1. Collection, probes, steering, sampling and hybrid decoding run one after another, each in a process of its own, with
   those of its peers that are installed.
2. Each has a share of the time (ten minutes on a GPU); one that needs more is stopped, and the table says so.
3. `benchmarks.json`, one table (`benchmarks.md`) and one figure (`benchmarks.html`): time relative to what each is
   compared with, the median over interleaved rounds with the least and most. Below 1 is faster.

On CUDA: an 8B Llama with random weights in bfloat16 for collection alone and for steering, which takes two at once;
the shape of a 1.5B Qwen where more processes or models have to fit beside each other.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from benchmarks.collect import PEERS, _device
from benchmarks.rows import Row, collect_rows, hybrid_rows, probes_rows, sampling_rows, steer_rows

MODULES = {"hidden_states": "transformers"}  # of a peer that is not named after its package


@dataclass(frozen=True)
class Part:
    """One benchmark: its module and options, the seconds that it may take, and the rows of its results."""

    name: str
    module: str
    options: list[str]
    seconds: float
    rows: Callable[[dict[str, Any]], Iterator[Row]]


def main() -> None:
    options = _arguments()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"device": _device(options.device), "rows": [], "stopped": {}, "seconds": {}}
    began = time.perf_counter()
    for part in parts(options.device, options.small):
        start = time.perf_counter()
        rows, problem = run(part, options.device, out / f"{part.name}.log")
        report["rows"] += rows
        report["stopped"] |= {part.name: problem} if problem else {}
        report["seconds"][part.name] = round(time.perf_counter() - start, 1)
        sys.stderr.write(f"{part.name}: {len(rows)} rows in {report['seconds'][part.name]} s\n")
    report["seconds"]["all"] = round(time.perf_counter() - began, 1)
    (out / "benchmarks.json").write_text(json.dumps(report, indent=1) + "\n")
    (out / "benchmarks.md").write_text(table(report))
    figure(report).write_html(out / "benchmarks.html", include_plotlyjs=True, config={"displayModeBar": False})
    sys.stdout.write(table(report))
    raise SystemExit(1 if not report["rows"] or report["stopped"] else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m benchmarks")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--small", action="store_true", help="tiny sizes, one round: whether all of it runs")
    parser.add_argument("--out", required=True, help="directory for the table (Markdown), the figure (HTML), the JSON")
    return parser.parse_args()


def parts(device: str, is_small: bool) -> list[Part]:
    """The benchmarks, with sizes that fit the device, or with tiny ones."""
    installed = [name for name in PEERS if importlib.util.find_spec(MODULES.get(name, name)) is not None]
    peers = ["--peers", ",".join(installed)]
    steer_peers = [
        "--peers",
        ",".join(["bare_hook", *(name for name in installed if name not in ("hidden_states", "nnsight"))]),
    ]
    if is_small:
        tiny = ["--shape", "small"]
        return [
            Part(
                "collect",
                "collect",
                [*tiny, "--tokens", "64", "--texts-tokens", "256", "--rounds", "1", "--peers", "hidden_states"],
                900,
                collect_rows,
            ),
            Part(
                "probes",
                "probes",
                ["--shapes", "1x32", "--n", "200", "--rounds", "1", "--no-choice", "--no-agreement"],
                900,
                probes_rows,
            ),
            Part(
                "steer",
                "steer",
                [*tiny, "--new-tokens", "4", "--batch-sizes", "2", "--rounds", "2", "--peers", "bare_hook"],
                900,
                steer_rows,
            ),
            Part(
                "sampling",
                "sampling",
                ["--problems", "4", "--samples", "2", "--rounds", "1", "--new-tokens", "8"],
                900,
                sampling_rows,
            ),
            Part(
                "hybrid",
                "hybrid",
                [*tiny, "--batch-sizes", "2", "--rounds", "1", "--uncached-rounds", "0", "--new-tokens", "8"],
                900,
                hybrid_rows,
            ),
        ]
    if device.startswith("cuda"):
        return [
            Part("collect 8b", "collect", ["--one-read", "--peers", "", "--rounds", "5"], 130, collect_rows),
            Part(
                "collect 1.5b",
                "collect",
                ["--shape", "1.5b", "--tokens", "2048", "--rounds", "5", *peers],
                110,
                collect_rows,
            ),
            Part(
                "probes",
                "probes",
                ["--shapes", "30x576,32x4096", "--layers", "1", "--rounds", "2", "--no-choice", "--no-agreement"],
                90,
                probes_rows,
            ),
            Part(
                "steer",
                "steer",
                ["--shape", "8b", "--rounds", "7", "--new-tokens", "24", "--batch-sizes", "8", "--peers", "bare_hook"],
                90,
                steer_rows,
            ),
            Part(
                "sampling",
                "sampling",
                ["--problems", "64", "--samples", "16", "--rounds", "3", "--new-tokens", "128"],
                80,
                sampling_rows,
            ),
            Part(
                "hybrid",
                "hybrid",
                ["--batch-sizes", "64", "--rounds", "3", "--uncached-rounds", "0", "--new-tokens", "128"],
                90,
                hybrid_rows,
            ),
        ]
    return [
        Part("collect", "collect", ["--rounds", "5", *peers], 1200, collect_rows),
        Part(
            "probes",
            "probes",
            ["--shapes", "30x576,32x4096", "--layers", "1", "--rounds", "3", "--no-choice"],
            1200,
            probes_rows,
        ),
        Part(
            "steer",
            "steer",
            ["--rounds", "7", "--new-tokens", "24", "--batch-sizes", "1", *steer_peers],
            1200,
            steer_rows,
        ),
        Part("sampling", "sampling", ["--rounds", "3"], 1200, sampling_rows),
        Part("hybrid", "hybrid", ["--rounds", "5", "--batch-sizes", "64"], 1200, hybrid_rows),
    ]


def run(part: Part, device: str, log: Path) -> tuple[list[Row], str | None]:
    """Run a benchmark.

    Returns:
        Its rows, and what stopped it, if anything did.
    """
    command = [sys.executable, "-m", f"benchmarks.{part.module}", *part.options, "--device", device, "--json"]
    with log.open("w") as errors:
        # A session of its own: one that is stopped takes its peers' processes, and their memory, with it.
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
        try:
            answer, _ = process.communicate(timeout=part.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return [], f"stopped after {part.seconds:g} s"
    if process.returncode:
        return [], f"failed: {(log.read_text().strip().splitlines() or ['see its log'])[-1]}"
    return [{"benchmark": part.name} | row for row in part.rows(json.loads(answer))], None


def table(report: dict[str, Any]) -> str:
    """One row for each ratio, as Markdown."""
    lines = [
        f"On {report['device']}, in {report['seconds']['all']:.0f} s. Ratios of times: below 1 is faster.",
        "",
        "| | case | what | time relative to | ratio | least..most |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['benchmark']} | {row['case']} | {row['what']} | {row['to']} | {row['ratio']:.3f} | "
        f"{row['least']:.3f}..{row['most']:.3f} |"
        for row in report["rows"]
    ]
    lines += ["", *(f"{name}: {why}" for name, why in report["stopped"].items())]
    return "\n".join(lines).rstrip() + "\n"


def figure(report: dict[str, Any]) -> go.Figure:
    """One bar for each ratio, on a logarithmic axis, with the least and most of the rounds."""
    rows = report["rows"][::-1]
    chart = go.Figure(
        go.Scatter(
            x=[row["ratio"] for row in rows],
            y=[f"{row['benchmark']}: {row['what']} / {row['to']} ({row['case']})" for row in rows],
            mode="markers",
            marker={
                "size": 9,
                "color": ["#0072B2" if row["what"].startswith("reasonlens") else "#9AA5B1" for row in rows],
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [row["most"] - row["ratio"] for row in rows],
                "arrayminus": [row["ratio"] - row["least"] for row in rows],
            },
        )
    )
    chart.add_vline(x=1, line_dash="dot", line_color="#666")
    chart.update_layout(
        title=f"Time relative to what each is compared with, on {report['device']}",
        xaxis={"title": "ratio of times (median, least and most of the rounds); below 1 is faster", "type": "log"},
        template="plotly_white",
        width=1100,
        height=120 + 26 * len(rows),
        margin={"l": 620, "r": 30, "t": 60, "b": 60},
    )
    return chart


if __name__ == "__main__":
    main()
