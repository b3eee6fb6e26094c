from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long


def test_the_benchmark_of_probes_prints_speed_and_agreement(tmp_path: Path) -> None:
    options = ["--shapes", "2x32", "--n", "300", "--rounds", "1", "--json", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.probes", *options], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["speedup"] > 0 and found["speedup_with_choice_of_penalty"] > 0
    assert found["max_abs_auroc_difference"] < 2e-3  # 300 spans: one pair weighs more than that of the real case
    assert {file.name for file in tmp_path.iterdir()} == {"probes.json", "probes.md"}
