from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long


def test_the_benchmark_of_sampling_prints_ratios_and_greedy_tokens_are_those_of_transformers(tmp_path: Path) -> None:
    options = ["--problems", "5", "--samples", "3", "--rounds", "2", "--out", str(tmp_path), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.sampling", *options], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads(done.stdout)
    assert results["greedy"]["same_tokens"]
    assert (results["sampled again"]["n_rows"], results["sampled again"]["n_prompts"]) == (12, 4)
    for row in results.values():
        least, most = row["ratio_range"]
        assert 0 < least <= row["ratio"] <= most and row["tokens_per_second"] > 0
    assert {file.name for file in tmp_path.iterdir()} == {"sampling.json", "sampling.md"}
