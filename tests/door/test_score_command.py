from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from reasonlens import (
    Span,
    Trace,
    load,
    write_traces,
)
from reasonlens.analysis._score import score
from reasonlens.cli.app import app
from reasonlens.cli.score import rendered
from reasonlens.probes.saved import SavedProbes

from ..conftest import D_MODEL

TEXT = "So it makes 8. Wait, that was wrong."


def probes_of(identity: dict[str, object], d_model: int = D_MODEL) -> SavedProbes:
    generator = torch.Generator().manual_seed(1)
    names = ("backtracking", "deduction")
    return SavedProbes(
        weights={name: 30 * torch.randn(2, d_model, generator=generator) for name in names},
        biases={name: torch.zeros(2) for name in names},
        layers=(0, 1),
        read="mean",
        model=identity,
        method="planted",
        best_layers={"backtracking": 1, "deduction": 0},
        prevalence={"backtracking": 0.1, "deduction": None},
        scores={name: {} for name in names},
        seed=0,
    )


@pytest.fixture
def directory(tiny, tmp_path: Path) -> Path:
    """A model, and probes that name it."""
    tiny().model.save_pretrained(tmp_path / "model")
    tiny().tokenizer.save_pretrained(tmp_path / "model")
    probes_of(load(tmp_path / "model", device="cpu").identity()).save(tmp_path / "probes.safetensors")
    return tmp_path


@pytest.mark.parametrize("text", [TEXT * 20, f"{TEXT}\n{TEXT}"])
def test_the_next_command_is_another_where_the_text_is_no_line_to_type(directory: Path, text: str) -> None:
    assert "next: reasonlens locate --model " in run(directory, "--text", text).stderr


def run(directory: Path, *options: object, stdin: str | bytes | None = None):
    words = ["score", str(directory / "probes.safetensors"), "--device", "cpu", *map(str, options)]
    return CliRunner().invoke(app, words, input=stdin)


def test_the_model_that_the_file_names_reads_the_text(directory: Path) -> None:
    done = run(directory, "--text", TEXT)
    assert done.exit_code == 0, done.output
    assert TEXT in done.stdout
    assert "backtracking, layer 1; log odds, -2.20 for any training span" in done.stdout
    assert "deduction, layer 0; log odds\n" in done.stdout
    assert "(sentence)" in done.stdout and "probability" in done.stdout


def test_json_is_what_python_gives_and_nothing_else(directory: Path) -> None:
    done = run(directory, "--text", TEXT, "--prompt", "What is 4 + 4?", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    expected = score(
        load(directory / "model", device="cpu"),
        [Trace("text", "What is 4 + 4?", TEXT)],
        directory / "probes.safetensors",
        progress=False,
    )
    assert found == json.loads(json.dumps(expected.to_dict()))


def test_text_comes_on_stdin_too(directory: Path) -> None:
    piped = run(directory, "--json", stdin=TEXT + "\n")
    assert json.loads(piped.stdout)["texts"][0]["text"] == TEXT + "\n"


def test_traces_are_scored_and_the_terminal_shows_the_first_few(directory: Path, traces) -> None:
    write_traces(traces, directory / "traces.jsonl")
    done = run(directory, "--traces", directory / "traces.jsonl", "--behaviours", "backtracking")
    assert done.exit_code == 0, done.output
    assert "t0\n" in done.stdout and "t2\n" in done.stdout and "t3\n" not in done.stdout
    assert "… and 9 more texts: --html or --json gives all" in done.stdout and "deduction," not in done.stdout
    every = json.loads(run(directory, "--traces", directory / "traces.jsonl", "--json").stdout)
    assert len(every["texts"]) == 12


@pytest.mark.parametrize(
    ("options", "stdin"),
    [
        (("--text", TEXT, "--prompt", "What is 4 + 4?", "--behaviours", "deduction", "--layer", "1"), None),
        (("--template", "plain"), TEXT),
    ],
)
def test_the_next_command_scores_the_same_text_on_a_page(
    directory: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], stdin: str | None
) -> None:
    monkeypatch.chdir(directory)
    done = run(directory, *options, "--json", stdin=stdin)
    following = shlex.split(done.stderr.splitlines()[-1].removeprefix("next: reasonlens "))
    assert following[-2:] == ["--html", "scores.html"]
    again = CliRunner().invoke(app, [*following, "--device", "cpu", "--json"])
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout) == json.loads(done.stdout) and (directory / "scores.html").is_file()


def test_a_page_is_written_and_named_on_stderr(directory: Path) -> None:
    done = run(directory, "--text", TEXT, "--html", directory / "page.html", "--json")
    assert done.exit_code == 0, done.output
    json.loads(done.stdout)
    assert f"page: {directory / 'page.html'}" in done.stderr
    assert "<!doctype html>" in (directory / "page.html").read_text("utf-8")


def test_a_layer_may_be_counted_from_the_end(directory: Path) -> None:
    found = json.loads(run(directory, "--text", TEXT, "--layer", "-3", "--json").stdout)
    assert {each["layer"] for each in found["behaviours"].values()} == {0}


def test_another_model_is_refused_unless_forced(directory: Path, tiny) -> None:
    tiny("gpt2").model.save_pretrained(directory / "other")
    tiny("gpt2").tokenizer.save_pretrained(directory / "other")
    refused = run(directory, "--text", TEXT, "--model", directory / "other")
    assert refused.exit_code == 2 and "has other weights" in refused.stderr and "--force" in refused.stderr
    forced = run(directory, "--text", TEXT, "--model", directory / "other", "--force", "--json")
    assert forced.exit_code == 0 and json.loads(forced.stdout)["model"]["name"] == str(directory / "other")


def test_probes_of_another_width_are_refused_also_when_forced(directory: Path) -> None:
    probes_of({"name": str(directory / "model")}, d_model=16).save(directory / "probes.safetensors")
    done = run(directory, "--text", TEXT, "--force")
    assert done.exit_code == 2 and "with d_model 16" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--text", ""], "there is nothing to score"),
        (["--text", "x", "--traces", "y"], "give one of --text and --traces"),
        (["--traces", "absent.jsonl"], "cannot read traces from absent.jsonl"),
        (["--traces", "bundled", "--prompt", "p"], "--prompt goes with --text"),
        (["--text", "x", "--behaviours", "dreaming"], "no probe for 'dreaming'; there are probes for backtracking"),
        (["--text", "x", "--layer", "2"], "no probe at layer 2; there are probes at 0, 1"),
        (["--text", "x", "--model", "no/such-model"], "cannot load the model 'no/such-model'"),
        (["--text", "x", "--template", "chat"], "has no chat template"),
        (["--text", "word " * 3000], "shorten it, or allow truncation (--truncate"),
        (["--text", "x", "--html", "/dev/null/page.html"], "cannot write"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(directory: Path, options: list[str], message: str) -> None:
    done = run(directory, *options)
    assert done.exit_code == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("reasonlens: ")]
    assert message in line and "Traceback" not in done.output


def test_bytes_that_are_no_text_are_refused(directory: Path) -> None:
    done = run(directory, stdin=b"\xff\xfe\x00")
    assert done.exit_code == 2 and "what came on stdin is no UTF-8 text" in done.stderr


@pytest.mark.parametrize("content", [None, b"", b"not probes", b"\x00" * 64])
def test_a_file_that_holds_no_probes_is_refused(directory: Path, content: bytes | None) -> None:
    (directory / "probes.safetensors").unlink()
    if content is not None:
        (directory / "probes.safetensors").write_bytes(content)
    done = run(directory, "--text", "x")
    assert done.exit_code == 2 and "cannot read probes from" in done.stderr and "Traceback" not in done.output


def test_probes_that_name_no_model_ask_for_one(directory: Path) -> None:
    probes_of({}).save(directory / "probes.safetensors")
    done = run(directory, "--text", "x")
    assert done.exit_code == 2 and "does not say which model it belongs to: name one with --model" in done.stderr
    assert run(directory, "--text", TEXT, "--model", directory / "model").exit_code == 0


def test_a_terminal_gets_colours_and_no_commands_from_the_text(tiny) -> None:
    model = tiny()
    hostile = "So [bold]it[/bold] \x1b]0;owned\x07 is 4.\x9b31m \u202eWait,\r no 👨‍👩‍👧."
    trace = Trace("[red]id", "", hostile, (Span(0, 12, "deduction"),))
    scores = score(model, trace, probes_of(model.identity()), progress=False)
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, color_system="truecolor", width=200, highlight=False)
    for part in rendered(scores):
        console.print(part)
    shown = written.getvalue()
    assert "\x1b[" in shown and "48;2;" in shown  # rich's own colours
    assert not any(character in shown for character in ("\x1b]", "\x07", "\x9b", "\u202e", "\r"))
    plain = io.StringIO()
    for part in rendered(scores):
        Console(file=plain, width=200, highlight=False).print(part)
    assert "So [bold]it[/bold] ␛]0;owned␇ is 4.�31m �Wait,␍ no 👨‍👩‍👧." in plain.getvalue()
    assert "[red]id" in plain.getvalue()


def test_help_teaches_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, reasonlens.cli\n"
        "try: reasonlens.cli.main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'transformers', 'numpy', 'pandas', 'safetensors'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, "score", "--help"], capture_output=True, text=True, check=True)
    assert "--behaviours" in done.stdout and "Example" in done.stdout and done.stderr.strip() == "[]"
