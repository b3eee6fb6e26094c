from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from reasonlens import InputError
from reasonlens.rundir import atomic_path, write_text
from reasonlens.rundir.places import temporary_name


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "artifact"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["artifact"]


def test_a_directory_that_another_process_finished_first_is_kept(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "model") as temporary:
        temporary.mkdir()
        (temporary / "weights").write_text("ours")
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "weights").write_text("theirs")
    assert (tmp_path / "model" / "weights").read_text() == "theirs"
    assert os.listdir(tmp_path) == ["model"]


def test_a_file_in_place_of_a_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    target = tmp_path / "file" / "artifact"
    with pytest.raises(InputError, match="cannot write .*artifact: .*Choose a place"), atomic_path(target) as temporary:
        temporary.write_text("x")
    assert (tmp_path / "file").read_text() == "kept"


def child_that_writes(target: Path) -> int:
    """Fork a child that never comes to the end of its write; returns its process once it has begun."""
    pid = os.fork()
    if pid == 0:
        with atomic_path(target) as temporary:
            temporary.write_text("half of the n")
            (temporary.parent / ".tmpAbC123").write_text("as safetensors leaves it")
            time.sleep(600)
    while not any(target.parent.glob(f".{target.name}.*-{pid:x}-*.tmp/.tmpAbC123")):
        time.sleep(0.01)
    return pid


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_what_a_killed_writer_left_is_removed_by_the_next_of_the_same_target(tmp_path: Path) -> None:
    target = tmp_path / "vectors.safetensors"
    for _ in range(3):
        end(child_that_writes(target))
    assert len(os.listdir(tmp_path)) == 1, "each removes what the one before it left"
    write_text(target, "new")
    assert os.listdir(tmp_path) == [target.name] and target.read_text() == "new"


def test_what_others_write_beside_a_target_stays(tmp_path: Path) -> None:
    target, long = tmp_path / "vectors.safetensors", tmp_path / ("v" * 250)
    living = child_that_writes(target)
    try:
        ended = child_that_writes(tmp_path / f"{target.name}.txt")
        end(ended)
        name = temporary_name(target.name).replace(f"-{os.getpid():x}-", f"-{ended:x}-")  # of a process that has ended
        elsewhere = re.sub(r"\.\w{8}-", ".00000000-", name)  # on another machine
        mine = ".vectors.safetensors.notes.tmp"
        for other in (name, elsewhere, mine):
            (tmp_path / other).write_text("x")
        before = set(os.listdir(tmp_path))
        write_text(target, "new")
        write_text(long, "new")
        assert before - set(os.listdir(tmp_path)) == {name}
    finally:
        end(living)
    assert os.listdir(tmp_path).count(long.name) == 1
