from __future__ import annotations

import os
from pathlib import Path

import pytest

from reasonlens import InputError
from reasonlens.rundir import atomic_path


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
