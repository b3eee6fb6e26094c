"""Runs are listed with what they found, and results are read back whichever command wrote them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from reasonlens import InputError, read_result, runs
from reasonlens.rundir import RunDirectory

from ..passk.results import passk_result
from ..profile.results import profile_result


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A finished run that holds another one, a run that was cut off, and a result without a run."""
    with RunDirectory(tmp_path / "deep" / "passk", "passk", options={"model": "<b>base</b>"}) as run:
        run.record()
        passk_result().write(run.path)
        profile_result().write(run.path / "part")
        run.finish(["results.json"])
    with RunDirectory(tmp_path / "cut", "profile") as run:
        run.record()
    profile_result().write(tmp_path / "written")
    for age, name in enumerate(("written", "cut", "deep/passk")):
        for file in (tmp_path / name).glob("*.json"):
            os.utime(file, (1e9 - age * 60, 1e9 - age * 60))
    return tmp_path


def test_each_run_is_listed_once_with_its_state_and_headline(directory: Path) -> None:
    listing = runs(directory)
    assert [(run.path, run.command, run.state) for run in listing.runs] == [
        ("written", "", "written"),
        ("cut", "profile", "running"),
        (os.path.join("deep", "passk"), "passk", "done"),
    ]
    first, cut, passk = listing.runs
    assert first.headline and first.headline in repr(profile_result())
    assert passk.headline in repr(passk_result()) and passk.model == "<b>base</b>" and cut.headline == ""
    assert len(listing) == 3 and list(listing.to_frame()["path"]) == [run.path for run in listing.runs]
    assert "<b>" not in listing._repr_html_()


def test_a_result_is_read_back_from_its_directory_or_file(directory: Path) -> None:
    for path in (directory / "deep" / "passk", directory / "deep" / "passk" / "results.json"):
        result = read_result(path)
        assert type(result) is type(passk_result())
        pd.testing.assert_frame_equal(result.to_frame(), passk_result().to_frame())


def test_what_cannot_be_read_is_said_in_a_line_and_hides_no_other_run(directory: Path) -> None:
    file = directory / "written" / "results.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"format": "reasonlens.profile/0"}))
    with pytest.raises(InputError, match="is of reasonlens.profile/0, and this version reads reasonlens.profile/"):
        read_result(directory / "written")
    file.write_text("{")
    listing = runs(directory)
    assert len(listing) == 3
    assert any(run.headline.startswith("cannot be read: results.json") for run in listing.runs)
    with pytest.raises(InputError, match="holds no results.json: the run has not ended"):
        read_result(directory / "cut")
    with pytest.raises(InputError, match="there is no directory"):
        runs(directory / "nowhere")
    file.write_text(json.dumps({"format": "another"}))
    with pytest.raises(InputError, match="'another', of no result that is known"):
        read_result(file)
