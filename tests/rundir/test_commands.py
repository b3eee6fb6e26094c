"""Every command that writes a directory: killed with -9 at any moment it ends the same; a second writer is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonlens import Directions, Trace, write_traces
from reasonlens.models import load

from ..conftest import _short_trace
from .forked import COMMANDS

QUICK_KILLS, LONG_KILLS = 2, 25
RACED = ("collect", "stability", "locate", "sweep")


def inputs(work: Path, tiny: Any, traces: list[Trace]) -> None:
    """Write what the commands read."""
    model = tiny()
    model.model.save_pretrained(work / "model")
    model.tokenizer.save_pretrained(work / "model")
    write_traces(traces, work / "traces.jsonl")
    organism = load("organism/base", device="cpu")
    Directions(
        vectors={"verification": torch.ones(4, organism.d_model)},
        layers=(0, 1, 2, 3),
        method="ones",
        model=organism.identity(),
        read="before:1",
        residual_norm=(22.0, 33.0, 47.0, 104.0),
        n_examples={"verification": 1},
        n_problems=1,
    ).save(work / "vectors.safetensors")


def forked(work: Path, *tasks: str) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("forked.py"), work, *tasks],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def happened(tiny, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the quick tasks came to, all of them in one process that has everything imported."""
    work = tmp_path_factory.mktemp("work")
    inputs(work, tiny, [_short_trace(number) for number in range(12)])
    kills = [f"kill:{command}:{QUICK_KILLS}" for command in COMMANDS]
    return forked(work, *kills, *(f"race:{command}" for command in RACED))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_that_was_killed_ends_in_the_same_bytes(command: str, happened: dict[str, dict[str, Any]]) -> None:
    found = happened[f"kill:{command}:{QUICK_KILLS}"]
    assert "error" not in found, found["error"]
    assert found["killed"] >= 1 and found["finished"] >= 1


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_that_was_killed_many_times_ends_in_the_same_bytes(command: str, tiny, traces, tmp_path: Path) -> None:
    inputs(tmp_path, tiny, traces)
    (found,) = forked(tmp_path, f"kill:{command}:{LONG_KILLS}").values()
    assert found.get("killed") == LONG_KILLS, found


@pytest.mark.parametrize("command", RACED)
def test_of_two_that_start_together_one_is_refused_and_told_whose_the_directory_is(
    command: str, happened: dict[str, dict[str, Any]]
) -> None:
    found = happened[f"race:{command}"]
    assert found["loser"] == 2, found
    (line,) = re.findall(r"^reasonlens: .*$", found["says"], re.MULTILINE)
    assert f"/out is being written by process {found['winner']} on " in line
    assert f"reasonlens {COMMANDS[command][0]}" in line and "wait for it, stop it, or choose another --out" in line
