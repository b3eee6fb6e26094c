from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long


def test_the_benchmark_prints_ratios_throughput_and_agreement(tmp_path: Path) -> None:
    options = [
        "--shape",
        "small",
        "--tokens",
        "64,128",
        "--texts-tokens",
        "256",
        "--rounds",
        "2",
        "--peers",
        "hidden_states",
        "--compiled",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.collect", *options, "--json", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["ratio_to_bare"] > 0 and set(found["peers"]) == {"hidden_states"}
    assert set(found["missing"]) <= {"reasonlens_compiled"}  # which needs a C++ compiler
    assert "extra_memory_mb" in found and set(found["workloads"]) == {"64", "128"}
    for measured in found["workloads"].values():
        assert measured["ratio"]["bare"] == 1 and measured["tokens_per_second"]["reasonlens"] > 0
        assert measured["disagreement"]["hidden_states"] < 1e-5
    assert {file.name for file in tmp_path.iterdir()} == {"benchmark.json", "benchmark.md", "benchmark.html"}
