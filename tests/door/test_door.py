"""What holds for every command: exit codes, one line for a mistake, quiet, the version, completion."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from safetensors import SafetensorError
from typer.testing import CliRunner

from reasonlens import InputError, write_traces
from reasonlens.cli import completion
from reasonlens.cli.app import app
from reasonlens.cli.console import HUB_BARS
from reasonlens.models import BUILT_IN
from reasonlens.models.organism import organism_names
from reasonlens.rundir import RunDirectory

from .test_options import COMMANDS

ROOT = Path(__file__).parents[2]


def reasonlens(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "reasonlens.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)


@pytest.fixture
def collecting(tiny, traces, tmp_path: Path) -> list[str]:
    """A command that loads a model, shows progress and has notes."""
    tiny("llama").model.save_pretrained(tmp_path / "model")
    tiny("llama").tokenizer.save_pretrained(tmp_path / "model")
    write_traces(traces, tmp_path / "traces.jsonl")
    places = {"--model": tmp_path / "model", "--traces": tmp_path / "traces.jsonl", "--out": tmp_path / "acts"}
    return ["collect", "--device", "cpu", *(str(word) for pair in places.items() for word in pair)]


def test_the_version_is_printed() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"reasonlens {version('reasonlens')}\n", "")


def test_no_command_of_a_group_is_help() -> None:
    for words in (["steer"], ["organisms"]):
        done, asked = CliRunner().invoke(app, words), CliRunner().invoke(app, [*words, "--help"])
        assert done.exit_code == 0 and done.stdout == asked.stdout and "Usage: " in done.stdout


@pytest.mark.parametrize("words", COMMANDS)
def test_a_wrong_option_is_one_line_and_exit_code_two_for_every_command(words: str) -> None:
    done = CliRunner().invoke(app, [*words.split(), "--colour", "red"])
    assert done.exit_code == 2 and done.stdout == ""
    assert done.stderr.startswith("reasonlens: No such option: --colour") and done.stderr.count("\n") == 1
    assert f" {words} --help`" in done.stderr


def test_what_is_missing_or_unknown_is_named_in_one_line() -> None:
    for words, message in (
        (["steer", "write"], "Missing argument 'VECTORS'; see `reasonlens steer write --help`"),
        (["collect"], "Missing option '--out'; see `reasonlens collect --help`"),
        (["locat"], "No such command 'locat'"),
        (["locate", "--lyers", "1"], "No such option: --lyers (Possible options: --layers)"),
        (["locate", "--folds", "x"], "Invalid value for '--folds'"),
        (["locate", "--template", "x"], "Invalid value for '--template': 'x' is not one of 'auto', 'chat', 'plain'"),
    ):
        done = reasonlens(*words)
        assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
        assert done.stderr.startswith(f"reasonlens: {message}"), done.stderr


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("reasonlens.doctor", fail)


def test_an_interrupt_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, KeyboardInterrupt())
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 130 and done.stdout == ""
    assert done.stderr == "reasonlens: stopped; nothing of it was kept\n"


def test_an_interrupt_names_the_run_that_can_be_resumed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def stopped_in_a_run(is_recorded: bool) -> None:
        with RunDirectory(tmp_path / "run", "doctor") as run:
            if is_recorded:
                run.record()
            raise KeyboardInterrupt

    monkeypatch.setattr("reasonlens.doctor", lambda: stopped_in_a_run(is_recorded=False))
    assert CliRunner().invoke(app, ["doctor"]).stderr == "reasonlens: stopped; nothing of it was kept\n"
    monkeypatch.setattr("reasonlens.doctor", lambda: stopped_in_a_run(is_recorded=True))
    expected = f"{tmp_path}/run holds what was finished, and the same command goes on from there"
    assert CliRunner().invoke(app, ["doctor"]).stderr == f"reasonlens: stopped; {expected}\n"


def test_a_users_mistake_is_one_line_whatever_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, InputError("this is\n  wrong: x"))
    done = CliRunner().invoke(app, ["doctor"])
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", "reasonlens: this is wrong: x\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "out/x"), "cannot use out/x: No space left on device. Free"),
        (OSError(errno.ENOSPC, "No space left on device"), "cannot write: No space left on device. Free some space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", b"out/x"), "cannot use out/x: Disk quota exceeded. Free some of"),
        (OSError(errno.EROFS, "Read-only file system", "x"), "cannot use x: Read-only file system. Choose a place"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300), "cannot use xxx"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "cannot use x: Permission denied. Choose a place"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "x"), "cannot use x: Is a directory. Choose a place"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), "cannot use x: No such file or directory."),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "cannot write: No space left on device."),
    ],
)
def test_a_file_or_disk_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch, error: Exception, line: str) -> None:
    raising(monkeypatch, error)
    done = CliRunner().invoke(app, ["doctor"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"reasonlens: {line}") and done.stderr.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["--help"], ["export", "--formats"]])
def test_an_output_on_a_full_disk_is_one_line(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "reasonlens.cli", *words]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and done.stderr.startswith("reasonlens: cannot write: No space left on device.")
    assert done.stderr.count("\n") == 1


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (ValueError("ours"), RuntimeError("ours"), OSError(5, "ours")):
        raising(monkeypatch, error)
        done = CliRunner().invoke(app, ["doctor"])
        assert done.exit_code == 1 and done.exception is error and "reasonlens: " not in done.stderr


def test_a_traceback_is_printed_by_the_command_itself() -> None:
    code = "import reasonlens as d, reasonlens.cli as c; d.doctor = lambda: 1 / 0; c.main()"
    done = subprocess.run([sys.executable, "-c", code, "doctor"], capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback (most recent call last)" in done.stderr
    assert done.stderr.rstrip().endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize("words", [["--help"], ["steer", "sweep", "--help"], ["export", "--formats"], ["doctor"]])
def test_a_reader_that_leaves_is_no_error(words: list[str]) -> None:
    """As `reasonlens ... | head -c 0` does: stdout is closed before anything is written."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "reasonlens.cli", "--quiet", *words],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert done.stderr == "" and done.returncode in (0, 1)


@pytest.mark.parametrize("place", ["before", "after", "short"])
def test_quiet_prints_results_and_nothing_on_stderr(collecting: list[str], place: str) -> None:
    words = {
        "before": ["--quiet", *collecting],
        "after": [*collecting, "--quiet"],
        "short": ["-q", *collecting],
    }[place]
    done = reasonlens(*words)
    assert done.returncode == 0, done.stderr
    assert "spans of 12 problems" in done.stdout and done.stderr == ""


def test_quiet_still_says_what_is_wrong(collecting: list[str]) -> None:
    done = CliRunner().invoke(app, ["--quiet", *collecting, "--layers", "99"])
    assert done.exit_code == 2 and done.stderr.startswith("reasonlens: layer 99 does not exist")


def test_quiet_turns_off_the_bars_of_downloads_as_long_as_the_command_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def doctor() -> dict[str, dict[str, str]]:
        seen.append(os.environ.get(HUB_BARS))
        return {}

    monkeypatch.setattr("reasonlens.doctor", doctor)
    for before in (None, "0"):
        monkeypatch.setenv(HUB_BARS, before) if before else monkeypatch.delenv(HUB_BARS, raising=False)
        for words in (["doctor"], ["--quiet", "doctor"], ["doctor", "-q"]):
            assert CliRunner().invoke(app, words).exit_code == 0
            assert os.environ.get(HUB_BARS) == before
    assert seen == [None, "1", "1", "0", "1", "1"]


def test_quiet_goes_between_a_group_and_its_command_too(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    for words in (["organisms", "--quiet", "traces"], ["organisms", "traces", "-q"]):
        done = CliRunner().invoke(app, [*words, "--n", "1", "--out", str(out)])
        assert done.exit_code == 0 and done.stderr == "" and "1 traces" in done.stdout, done.output
    done = CliRunner().invoke(app, ["organisms", "traces", "--n", "1", "--out", str(out)])
    assert "next: reasonlens locate --model organism/rl-timing --traces" in done.stderr, "quiet ends with its command"


def test_progress_on_a_pipe_is_lines(collecting: list[str]) -> None:
    done = reasonlens(*collecting)
    assert done.returncode == 0 and "\r" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("reading activations: ")]
    assert "token/s" in line
    assert done.stderr.splitlines()[-1].startswith("next: reasonlens probe ")


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_ends_with_the_next_one(words: str) -> None:
    """Its module names it; that it is printed is tested where the command is run."""
    module = "export" if words in ("import", "convert") else words.replace(" ", "_").replace("-", "_")
    module = "organisms" if words.startswith("organisms") else module
    source = (ROOT / f"src/reasonlens/cli/{module}.py").read_text("utf-8")
    assert any(f"{name}(" in source for name in ("next_command", "next_of_pair", "next_steer_write"))


def test_next_commands_are_commands_with_options_that_there_are(collecting: list[str]) -> None:
    done = CliRunner().invoke(app, collecting)
    following = done.stderr.splitlines()[-1].removeprefix("next: reasonlens ").split()
    help_text = CliRunner().invoke(app, [following[0], "--help"]).stdout
    assert all(word in help_text for word in following if word.startswith("--"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")  # the tests may run without any shell
    done = reasonlens("--show-completion", shell)
    assert done.returncode == 0 and "_REASONLENS_COMPLETE" in done.stdout and done.stderr == ""


def completed(line: str) -> list[str]:
    """What bash offers at the end of the line, in a process that must not import torch."""
    words = f"reasonlens {line}"
    code = (
        "import sys, reasonlens.cli\n"
        "try: reasonlens.cli.main()\n"
        "finally: print(*sorted({'torch', 'numpy', 'pandas'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ
        | {
            "_REASONLENS_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
    )
    assert done.stderr.strip() == "", done.stderr
    return done.stdout.split()


def test_commands_options_models_and_behaviours_are_completed_without_torch(tmp_path: Path) -> None:
    assert completed("lo") == ["locate"] and "--layers" in completed("locate --lay")
    assert completed("locate --model organism/r") == ["organism/rl-both", "organism/rl-skill", "organism/rl-timing"]
    assert completed("locate --template pl") == ["plain"]
    assert completed("locate --traces bundled --behaviours back") == ["backtracking"]


def test_built_in_models_are_named_as_the_library_names_them() -> None:
    assert completion.BUILT_IN == tuple(BUILT_IN)
    assert completion.complete_models("gem") == ["gemma3-270m"]
    assert completion.complete_models("organism/") == [name for name in organism_names() if "@" not in name]


def test_behaviours_are_those_of_the_file_that_is_named(tmp_path: Path, traces) -> None:
    import torch

    from reasonlens import Directions

    directions = Directions(
        vectors={name: torch.ones(1, 4) for name in ("deduction", "doubt")},
        layers=(0,),
        method="planted",
        model={},
        read="mean",
        residual_norm=(1.0,),
        n_examples={},
        n_problems=0,
    )
    directions.save(tmp_path / "v.safetensors")
    write_traces(traces, tmp_path / "traces.jsonl")
    for parameters, incomplete, expected in (
        ({"vectors": tmp_path / "v.safetensors"}, "d", ["deduction", "doubt"]),
        ({"vectors": [tmp_path / "v.safetensors"]}, "deduction,d", ["deduction,doubt"]),
        ({"traces": str(tmp_path / "traces.jsonl")}, "b", ["backtracking"]),
        ({"traces": str(tmp_path / "absent.jsonl")}, "b", []),
        ({"vectors": tmp_path / "traces.jsonl"}, "b", []),
        ({}, "b", []),
    ):
        context = typer.Context(typer.main.get_command(app))
        context.params = parameters
        assert completion.complete_behaviours(context, incomplete) == expected
