"""The accelerator's paths on a stand-in, in processes of their own: once as CUDA, once with backward passes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from . import stand_in
from .plugin import KIND

HERE = Path(__file__).parent
PATHS = [
    "test_stand_in.py",
    "test_sync_debug.py",
    "test_memory.py",
    "test_collection.py",
    "test_probes.py",
    "test_steering.py",
    "test_writing.py",
]
RUNS = {
    stand_in.CUDA: [*(HERE / name for name in PATHS), HERE.parent / "activations" / "test_gpu.py"],
    stand_in.OTHER: [HERE / "test_gradients.py"],
}
# Over two devices, what differs from one device in where things are; all else is left to the long test.
ALIKE = "steered or samples or texts or drafts or refused or boundaries or unshared or small or store"
QUICK = f"not (two and ({ALIKE})) and not ridge"
MADE_FOR = (HERE.parents[1] / "constraints.txt").read_text()


@pytest.mark.skipif(
    f"torch=={torch.__version__.split('+')[0]}\n" not in MADE_FOR, reason="made for the torch of constraints.txt"
)
@pytest.mark.skipif(stand_in.machine is not None, reason="this is the process")
@pytest.mark.parametrize(
    ("kind", "chosen"),
    [
        (stand_in.CUDA, QUICK),
        (stand_in.OTHER, ""),
        pytest.param(stand_in.CUDA, "", marks=pytest.mark.long),
    ],
)
def test_what_runs_on_an_accelerator_runs_on_a_stand_in(kind: str, chosen: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.rehearsal.plugin", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*command, "-k", chosen, *map(str, RUNS[kind])],
        cwd=HERE.parents[1],
        env=environment | {KIND: kind, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout and "skipped" not in run.stdout, run.stdout
