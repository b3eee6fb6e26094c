from __future__ import annotations

import os
import signal

import pytest

from reasonlens.rundir import InputError
from reasonlens.rundir.workers import side_by_side


def place_of(number: int, text: str) -> tuple[int, str, int]:
    return number, text, os.getpid()


def is_killed(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def refuses(number: int) -> int:
    raise InputError(f"no {number}")


def test_one_job_runs_here_and_several_in_other_processes_in_the_order_of_the_tasks() -> None:
    tasks = [(number, "x" * number) for number in range(3)]
    here, there = side_by_side(place_of, tasks, 1), side_by_side(place_of, tasks, 2)
    assert [row[:2] for row in here] == [row[:2] for row in there] == tasks
    assert {row[2] for row in here} == {os.getpid()} and os.getpid() not in {row[2] for row in there}
    assert side_by_side(place_of, tasks[:1], 2)[0][2] == os.getpid(), "nothing stands beside one task"
    assert side_by_side(place_of, [], 2) == []


def test_what_ends_a_task_is_one_line_for_the_user() -> None:
    with pytest.raises(InputError, match="a process was killed .out of memory.*; the same command goes on from there"):
        side_by_side(is_killed, [(0,), (1,)], 2)
    with pytest.raises(InputError, match="^no 3$"):
        side_by_side(refuses, [(3,), (4,)], 2)
    with pytest.raises(InputError, match="jobs are counted from 1, and 0 is none"):
        side_by_side(place_of, [(0, "")], 0)
