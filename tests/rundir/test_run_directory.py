from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from reasonlens import InputError
from reasonlens.rundir import RunDirectory, write_json


def open_text(path: Path) -> str:
    return path.read_text("utf-8")


def save_text(text: str, path: Path) -> None:
    path.write_text(text, "utf-8")


def test_nothing_is_written_before_the_run_is_recorded(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "runs" / "run", "locate", settings={"read": "mean", "seed": 3}) as run:
        with run.stage("model"):
            pass
        assert {entry.name for entry in run.path.iterdir()} == {".lock", ".holder.json"}
        run.record()
        written = json.loads((run.path / "run.json").read_text())
    assert written["state"] == "running" and set(written["timings_seconds"]) == {"model"}
    assert {"python", "torch", "transformers", "reasonlens"} <= set(written["versions"])
    assert written["seeds"] == {"seed": 3} and written["command"] == "locate"


def test_a_run_that_fails_on_its_input_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such model"), RunDirectory(tmp_path / "a" / "b", "locate"):
        raise InputError("no such model")
    assert os.listdir(tmp_path) == []


def test_a_run_that_fails_later_says_so_and_is_resumed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunDirectory(tmp_path, "locate") as run:
        run.record()
        raise ZeroDivisionError("division by zero")
    written = json.loads((tmp_path / "run.json").read_text())
    assert written["state"] == "failed" and written["error"] == "ZeroDivisionError: division by zero"
    with RunDirectory(tmp_path, "locate") as run:
        run.record()
        assert "error" not in json.loads((tmp_path / "run.json").read_text())
        run.finish()
    assert json.loads((tmp_path / "run.json").read_text())["state"] == "done"


def test_the_same_settings_resume_the_run_and_know_when_it_is_done(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, "locate", settings={"read": "mean"}) as run:
        run.record()
    with RunDirectory(tmp_path, "locate", settings={"read": "mean"}) as run:
        assert not run.is_done(["table"])
        run.finish()
    assert not RunDirectory(tmp_path, "locate", settings={"read": "mean"}).is_done(["table"])
    (tmp_path / "table").write_text("x")
    assert RunDirectory(tmp_path, "locate", settings={"read": "mean"}).is_done(["table"])


def test_an_altered_result_of_a_run_that_is_done_is_named(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, "locate") as run:
        (tmp_path / "table").write_text("x")
        run.finish(["table"])
    assert RunDirectory(tmp_path, "locate").is_done()
    (tmp_path / "table").write_text("y")
    with pytest.raises(InputError, match="table is other than this run wrote it; remove it"):
        RunDirectory(tmp_path, "locate").is_done()
    (tmp_path / "table").unlink()
    assert not RunDirectory(tmp_path, "locate").is_done()


@pytest.mark.parametrize(
    ("settings", "inputs", "said"),
    [
        ({"read": "last", "seed": 0, "deep": {"n": 1}}, {"traces": "a"}, "read 'mean' there, 'last' asked"),
        ({"read": "mean", "seed": 0, "deep": {"n": 2}}, {"traces": "a"}, "deep.n 1 there, 2 asked"),
        ({"read": "mean", "seed": False, "deep": {"n": 1}}, {"traces": "a"}, "seed 0 there, False asked"),
        ({"read": "mean", "deep": {"n": 1}}, {"traces": "a"}, "seed 0 there, nothing asked"),
        ({"read": "mean", "seed": 0, "deep": {"n": 1}}, {"traces": "b"}, "content of traces a there, b asked"),
    ],
)
def test_another_run_is_refused_with_what_differs(
    tmp_path: Path, settings: dict[str, object], inputs: dict[str, str], said: str
) -> None:
    with RunDirectory(
        tmp_path, "locate", settings={"read": "mean", "seed": 0, "deep": {"n": 1}}, inputs={"traces": "a"}
    ) as run:
        run.record()
    with pytest.raises(InputError, match=rf"holds another run \({said}\); choose another --out or remove it"):
        RunDirectory(tmp_path, "locate", settings=settings, inputs=inputs)
    with pytest.raises(InputError, match="command 'locate' there, 'probe' asked"):
        RunDirectory(tmp_path, "probe", settings=settings, inputs=inputs)


def test_options_may_change_when_a_run_is_resumed(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, "locate", options={"device": "cuda"}) as run:
        run.record()
    with RunDirectory(tmp_path, "locate", options={"device": "cpu"}) as run:
        run.record()
    assert json.loads((tmp_path / "run.json").read_text())["options"] == {"device": "cpu"}


def test_changeable_settings_keep_what_does_not_depend_on_them_and_undo_the_end(tmp_path: Path) -> None:
    columns = {"id": int}
    with RunDirectory(tmp_path, "locate", settings={"seed": 0}, changeable={"threshold": 0.5}) as run:
        run.log("rows.jsonl", key="id", columns=columns).add([{"id": 1}])
        run.finish()
    assert RunDirectory(tmp_path, "locate", settings={"seed": 0}, changeable={"threshold": 0.5}).is_done()
    with RunDirectory(tmp_path, "locate", settings={"seed": 0}, changeable={"threshold": 0.8}) as run:
        assert not run.is_done() and 1 in run.log("rows.jsonl", key="id", columns=columns)
        run.finish()
    assert json.loads((tmp_path / "run.json").read_text())["changeable"] == {"threshold": 0.8}


def test_a_directory_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match=r"holds files \(thesis.tex\) and no run.json"):
        RunDirectory(tmp_path, "locate")
    assert os.listdir(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize("content", ["{half", "[]", '{"format": "reasonlens.run/1"}', "null", "\udcff"])
def test_an_unreadable_run_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match="run.json cannot be read"):
        RunDirectory(tmp_path, "locate")


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write to .*is no directory you may write to; choose another --out"):
        RunDirectory(tmp_path / "file" / "run", "locate")


def test_a_name_that_no_file_system_takes_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="File name too long; choose another --out") as error:
        RunDirectory(tmp_path / ("x" * 300), "locate")
    assert len(str(error.value)) < 400


def test_the_home_directory_is_meant_by_its_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with RunDirectory("~/run", "locate") as run:
        run.record()
    assert (tmp_path / "run" / "run.json").is_file()
    with pytest.raises(InputError, match="cannot find the home directory in '~nobody-of-that-name/run'"):
        RunDirectory("~nobody-of-that-name/run", "locate")


def test_what_a_crash_left_half_written_is_swept_when_the_run_is_resumed(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, "locate") as run:
        run.record()
    (tmp_path / "sub").mkdir()
    for name in (".run.json.1234abcd-1f-00000000.tmp", ".tmpAbC123", "sub/.x.0123abcd-1f-00000000.tmp"):
        (tmp_path / name).write_text("{")
    (tmp_path / ".folder.0123abcd-1f-00000000.tmp").mkdir()
    (tmp_path / ".folder.0123abcd-1f-00000000.tmp" / "file").write_text("x")
    (tmp_path / "sub" / "mine.tmp").write_text("kept")
    with RunDirectory(tmp_path, "locate"):
        pass
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"run.json", "sub", "sub/mine.tmp"}


def test_what_a_crash_left_before_the_run_was_recorded_does_not_stand_in_the_way(tmp_path: Path) -> None:
    for name in (".run.json.1234abcd-1f-00000000.tmp", ".lock", ".holder.json"):
        (tmp_path / name).write_text("{")
    with RunDirectory(tmp_path, "locate") as run:
        run.record()
    assert os.listdir(tmp_path) == ["run.json"]


def test_an_artifact_is_made_once(tmp_path: Path) -> None:
    made = []

    def make() -> str:
        made.append(1)
        return "vectors"

    for _ in range(2):
        with RunDirectory(tmp_path, "locate") as run:
            assert run.once("deep/vectors.txt", make, save_text, open_text) == "vectors"
    assert len(made) == 1


def test_a_flipped_bit_in_an_artifact_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, "locate") as run:
        run.once("vectors.txt", lambda: "vectors", save_text, open_text)
    (tmp_path / "vectors.txt").write_text("vectorz")
    with RunDirectory(tmp_path, "locate") as run:
        with pytest.raises(InputError, match="vectors.txt is other than this run wrote it; remove it and run the same"):
            run.once("vectors.txt", lambda: "vectors", save_text, open_text)
        (tmp_path / "vectors.txt").unlink()
        assert run.once("vectors.txt", lambda: "vectors", save_text, open_text) == "vectors"


def test_an_artifact_of_no_run_is_not_taken(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, "locate") as run:
        run.record()
        (tmp_path / "vectors.txt").write_text("of somebody")
        with pytest.raises(InputError, match="vectors.txt is not from this run"):
            run.once("vectors.txt", lambda: "vectors", save_text, open_text)


def test_an_artifact_whose_writing_fails_is_not_there(tmp_path: Path) -> None:
    def save(text: str, path: Path) -> None:
        path.write_text("half")
        raise RuntimeError

    with RunDirectory(tmp_path, "locate") as run:
        with pytest.raises(RuntimeError):
            run.once("vectors.txt", lambda: "vectors", save, open_text)
        assert set(os.listdir(tmp_path)) == {"run.json", ".lock", ".holder.json"}


def test_an_artifact_may_be_a_directory(tmp_path: Path) -> None:
    def save(text: str, path: Path) -> None:
        path.mkdir()
        (path / "part").write_text(text)

    with RunDirectory(tmp_path, "locate") as run:
        assert run.once("parts", lambda: "x", save, lambda path: (path / "part").read_text()) == "x"
    (tmp_path / "parts" / "other").write_text("more")
    with RunDirectory(tmp_path, "locate") as run, pytest.raises(InputError, match="parts is other than this run"):
        run.once("parts", lambda: "x", save, lambda path: (path / "part").read_text())


def test_without_a_directory_the_same_code_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with RunDirectory(None, "locate") as run:
        with run.stage("model"):
            pass
        run.record()
        assert run.once("vectors.txt", lambda: "vectors", save_text, open_text) == "vectors"
        run.log("rows.jsonl", about={}, key="id", columns={"id": str}).add([{"id": "a"}])
        run.finish(["table"])
        assert run.file("x") is None and not run.is_done() and set(run.timings_seconds) == {"model"}
    assert os.listdir(tmp_path) == []


def test_json_with_nan_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not (tmp_path / "x.json").exists()


def test_a_run_is_written_only_while_it_is_held(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="inside `with RunDirectory"):
        RunDirectory(tmp_path, "locate").record()


def test_the_command_line_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["reasonlens", "locate", "--out", "a b"])
    with RunDirectory(tmp_path, "locate") as run:
        run.record()
    assert json.loads((tmp_path / "run.json").read_text())["command_line"] == "reasonlens locate --out 'a b'"
