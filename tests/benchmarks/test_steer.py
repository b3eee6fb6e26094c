from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long


def test_the_benchmark_of_steering_prints_ratios_to_plain_generation_and_whether_tokens_agree(tmp_path: Path) -> None:
    options = ["--shape", "small", "--new-tokens", "4", "--rounds", "2", "--batch-sizes", "1,3", "--layer", "2"]
    options += ["--peers", "bare_hook,repeng", "--python", f"repeng={sys.executable}"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.steer", *options, "--json", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert set(found["missing"]) <= {"repeng"}  # named, and the others run without it
    assert found["ratio_to_plain"] > 0 and found["layer"] == 2 and set(found["batches"]) == {"1", "3"}
    for measured in found["batches"].values():
        assert set(measured["ratio"]["reasonlens"]) == {"plain again", "one layer", "response", "all layers"}
        low, high = measured["interval"]["reasonlens"]["one layer"]
        assert low <= measured["ratio"]["reasonlens"]["one layer"] <= high
        assert measured["same_tokens"]["bare_hook"] == {"plain": 1, "one layer": 1, "all layers": 1}
        assert measured["changed_tokens"] > 0
    assert "| a hook by hand |" in (tmp_path / "steer.md").read_text()
    assert {file.name for file in tmp_path.iterdir()} == {"steer.json", "steer.md"}
