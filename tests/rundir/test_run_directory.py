from __future__ import annotations

import json
from pathlib import Path

import pytest

from reasonlens import InputError
from reasonlens.rundir import RunDirectory, write_json


def test_nothing_is_written_before_the_run_is_recorded(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run", "locate", {"read": "mean"})
    with run.stage("model"):
        pass
    assert not (tmp_path / "run").exists()
    run.record()
    written = json.loads((tmp_path / "run" / "run.json").read_text())
    assert written["status"] == "running" and set(written["timings_seconds"]) == {"model"}
    assert {"python", "torch", "transformers"} <= set(written["versions"])


def test_the_same_configuration_takes_the_run_up_and_knows_when_it_is_done(tmp_path: Path) -> None:
    RunDirectory(tmp_path, "locate", {"read": "mean"}).record()
    again = RunDirectory(tmp_path, "locate", {"read": "mean"})
    assert not again.is_done(["table"])
    again.finish()
    assert not RunDirectory(tmp_path, "locate", {"read": "mean"}).is_done(["table"])
    (tmp_path / "table").write_text("x")
    assert RunDirectory(tmp_path, "locate", {"read": "mean"}).is_done(["table"])


def test_another_configuration_is_refused_with_what_differs(tmp_path: Path) -> None:
    RunDirectory(tmp_path, "locate", {"read": "mean", "seed": 0}).record()
    with pytest.raises(InputError, match="holds another run \\(read 'mean' there, 'last' asked\\)"):
        RunDirectory(tmp_path, "locate", {"read": "last", "seed": 0})


def test_a_directory_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="holds files and no run.json"):
        RunDirectory(tmp_path, "locate", {})


def test_an_unreadable_run_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{half")
    with pytest.raises(InputError, match="run.json cannot be read"):
        RunDirectory(tmp_path, "locate", {})


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write to .*is no directory you may write to; choose another --out"):
        RunDirectory(tmp_path / "file" / "run", "locate", {})


def test_json_with_nan_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not (tmp_path / "x.json").exists()


def test_what_a_crash_left_half_written_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / ".run.json.1234abcd.tmp").write_text("{")
    RunDirectory(tmp_path, "locate", {}).record()
