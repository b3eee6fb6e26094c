from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long


def measured(*options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.hybrid", *options, "--json"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("shape", [None, "small"])
def test_the_benchmark_of_hybrids_prints_ratios_and_that_all_ways_give_the_same_tokens(
    tmp_path: Path, shape: str | None
) -> None:
    options = ["--rounds", "1", "--batch-sizes", "3,5", "--rows-alone", "1", "--out", str(tmp_path)]
    options += ["--new-tokens", "40", "--rollouts", "100"] if shape is None else ["--new-tokens", "8", "--shape", shape]
    options += ["--layer", "3"] if shape else []
    found = measured(*options)
    assert set(found["batches"]) == {"3", "5"} and found["layer"] == (3 if shape else 1)
    for each in found["batches"].values():
        least, most = each["ratio_to_plain_range"]
        assert 0 < least <= each["ratio_to_plain"] <= most
        assert each["each_model_alone_says_what_the_record_says"]
        assert each["same_tokens_uncached"] == 1 and each["speedup_over_uncached"] > 0
        assert each["n_tokens"] == each["n_rows"] * 8 or shape is None
    if shape is None:
        assert found["batches"]["5"]["share_steered"] > 0
    assert {file.name for file in tmp_path.iterdir()} == {"hybrid.json", "hybrid.md"}
