"""Every command that writes: killed with -9 at any moment, or refused by the disk, it ends the same.

Of two that write one directory, one is refused.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonlens import Directions, Trace, write_traces
from reasonlens.models import load

from ..conftest import _short_trace
from ..traces.test_endpoint_annotator import sentences_asked
from ..traces.test_judge import Endpoint, Reply, endpoint, said
from .commands import AT_AN_ENDPOINT, COMMANDS, COSTLY, COSTLY_TO_REFUSE, DIRECTORIES, ENDPOINT

__all__ = ["endpoint"]  # the fixture
LONG_KILLS, COSTLY_KILLS, LONG_REFUSALS = 30, 8, 10
QUICK = tuple(command for command in COMMANDS if command not in (*COSTLY, *AT_AN_ENDPOINT))
REFUSED = tuple(command for command in QUICK if command not in COSTLY_TO_REFUSE)
RESUMED = ("label", "sample")  # files whose rows are kept beside them: a second try has less left to write
RACED = ("collect", "stability", "locate", "sweep")


def inputs(work: Path, tiny: Any, traces: list[Trace]) -> None:
    """Write what the commands read."""
    model = tiny()
    model.model.save_pretrained(work / "model")
    model.tokenizer.save_pretrained(work / "model")
    write_traces(traces, work / "traces.jsonl")
    organism = load("organism/base-timing", device="cpu")
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


def forked(work: Path, *tasks: str, url: str = "") -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("forked.py"), work, *tasks],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", ENDPOINT: url},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return outcomes


@pytest.fixture(scope="module")
def happened(tiny, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the quick tasks came to, all of them in one process that has everything imported."""
    work = tmp_path_factory.mktemp("work")
    inputs(work, tiny, [_short_trace(number) for number in range(12)])
    kills = [f"kill:{command}:{n_kills(command)}" for command in QUICK]
    refusals = [f"refuse:{command}:{n_refusals(command)}" for command in REFUSED]
    return forked(work, *kills, *refusals, *(f"race:{command}" for command in RACED))


@pytest.fixture
def labeller(endpoint: Endpoint) -> Endpoint:
    """An endpoint that takes its time and labels by what it is asked."""

    def reply(number: int, text: str) -> Reply:
        time.sleep(0.02)
        names = ("deduction", "verification", "none")
        labels = {str(place + 1): names[(place + len(text)) % 3] for place in range(sentences_asked(text))}
        return said(json.dumps(labels))

    endpoint.reply = reply
    return endpoint


def n_kills(command: str) -> int:
    return 2 if command in DIRECTORIES else 1


def n_refusals(command: str) -> int:
    return 1 if command in (*DIRECTORIES, *RESUMED) else 2


@pytest.mark.parametrize("command", QUICK)
def test_a_run_that_was_killed_ends_in_the_same_bytes(command: str, happened: dict[str, dict[str, Any]]) -> None:
    outcome = happened[f"kill:{command}:{n_kills(command)}"]
    assert "error" not in outcome, outcome["error"]
    assert outcome["killed"] >= 1 and outcome["finished"] >= 1


@pytest.mark.parametrize("command", REFUSED)
def test_a_disk_that_refuses_to_write_is_one_line_and_the_same_command_then_ends_in_the_same_bytes(
    command: str, happened: dict[str, dict[str, Any]]
) -> None:
    outcome = happened[f"refuse:{command}:{n_refusals(command)}"]
    assert "error" not in outcome, outcome["error"]
    assert len(outcome["refused"]) == n_refusals(command)


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_that_was_killed_many_times_ends_in_the_same_bytes(
    command: str, tiny, traces, tmp_path: Path, labeller: Endpoint
) -> None:
    inputs(tmp_path, tiny, traces)
    kills = LONG_KILLS if command not in COSTLY else COSTLY_KILLS
    outcome = forked(tmp_path, f"kill:{command}:{kills}", f"die:{command}:{LONG_REFUSALS}", url=labeller.url)
    assert outcome[f"kill:{command}:{kills}"].get("killed") == kills, outcome
    assert outcome[f"die:{command}:{LONG_REFUSALS}"].get("killed", 0) >= 1, outcome


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_a_disk_that_refuses_at_many_operations_or_is_full_or_read_only_is_one_line(
    command: str, tiny, traces, tmp_path: Path, labeller: Endpoint
) -> None:
    inputs(tmp_path, tiny, traces)
    outcome = forked(tmp_path, f"refuse:{command}:{LONG_REFUSALS}", f"full:{command}", url=labeller.url)
    assert outcome[f"refuse:{command}:{LONG_REFUSALS}"].get("refused"), outcome
    assert "error" not in outcome[f"full:{command}"], outcome


@pytest.mark.parametrize("command", RACED)
def test_of_two_that_start_together_one_is_refused_and_told_whose_the_directory_is(
    command: str, happened: dict[str, dict[str, Any]]
) -> None:
    outcome = happened[f"race:{command}"]
    assert outcome["loser"] == 2, outcome
    (line,) = re.findall(r"^reasonlens: .*$", outcome["says"], re.MULTILINE)
    assert f"/out is being written by process {outcome['winner']} on " in line
    assert f"reasonlens {COMMANDS[command][0]}" in line and "wait for it, stop it, or choose another --out" in line
