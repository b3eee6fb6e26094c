"""A run killed with -9 at any moment is taken up and ends bit-identical to one that was left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reasonlens import write_traces


def test_runs_killed_at_random_moments_end_bit_identical(
    tiny, traces, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model = tiny()
    model.model.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    many = [replace(trace, id=f"{trace.id}-{copy}") for copy in range(6) for trace in traces]
    write_traces(many, tmp_path / "traces.jsonl")
    n_kills = request.config.getoption("--kills") or (30 if request.config.getoption("--full") else 10)
    done = subprocess.run(
        [
            *(sys.executable, Path(__file__).with_name("kill_loop.py")),
            *(tmp_path / "model", tmp_path / "traces.jsonl", tmp_path, str(n_kills), "0"),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["killed"] == n_kills
