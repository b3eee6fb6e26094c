"""All benchmarks as one command."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import figure, parts, table
from benchmarks.rows import collect_rows, probes_rows, steer_rows

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("is_small", [True, False], ids=["small", "whole"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_part_is_given_options_that_it_has(device: str, is_small: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in parts(device, is_small):
        module = import_module(f"benchmarks.{part.module}")
        monkeypatch.setattr(sys, "argv", ["benchmark", *part.options, "--device", device, "--json"])
        assert module._arguments().device == device


def test_on_a_gpu_all_parts_end_within_ten_minutes_and_cover_the_five_benchmarks() -> None:
    of_gpu = parts("cuda", is_small=False)
    assert sum(part.seconds for part in of_gpu) <= 600
    for device in ("cuda", "cpu"):
        modules = [part.module for part in parts(device, is_small=False)]
        assert list(dict.fromkeys(modules)) == ["collect", "probes", "steer", "sampling", "hybrid"]


def test_rows_are_times_relative_to_what_each_is_compared_with() -> None:
    workload = {"ratio": {"reasonlens": 1.02}, "ratio_range": {"reasonlens": [0.9, 1.1]}}
    (read,) = collect_rows({"model": "8b", "workloads": {"2048": workload}})
    assert (read["case"], read["to"], read["ratio"]) == ("8b, texts of 2048 tokens", "the bare forward pass", 1.02)
    fit = {"speedup": 5.0, "speedup_range": [4.0, 8.0]}
    (probe,) = probes_rows({"cases": [{"shape": "1x2", "n": 3, "fit": fit, "choose": {"speedup": None}}]})
    assert (probe["ratio"], probe["least"], probe["most"]) == (0.2, 0.125, 0.25)
    batch = {"n_prompts": 8, "ratio": {"repeng": {"one": 1.1}}, "range": {"repeng": {"one": [1.0, 1.2]}}}
    (steered,) = steer_rows({"model": "8b", "batches": {"8": batch}})
    assert (steered["what"], steered["to"], steered["most"]) == ("repeng", "its own plain generation", 1.2)
    rows = [{"benchmark": "any"} | row for row in (read, probe, steered)]
    report = {"device": "a GPU", "rows": rows, "stopped": {"hybrid": "stopped after 90 s"}, "seconds": {"all": 1.0}}
    lines = table(report).splitlines()
    assert (
        len([line for line in lines if line.startswith("| any |")]) == 3 and lines[-1] == "hybrid: stopped after 90 s"
    )
    assert list(figure(report).data[0].x) == [1.1, 0.2, 1.02]


@pytest.mark.long
def test_the_small_benchmarks_write_one_table_and_one_figure(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--small", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout
    report = json.loads((tmp_path / "benchmarks.json").read_text())
    assert not report["stopped"]
    assert {row["benchmark"] for row in report["rows"]} == {"collect", "probes", "steer", "sampling", "hybrid"}
    assert all(0 < row["least"] <= row["ratio"] <= row["most"] for row in report["rows"])
    assert (tmp_path / "benchmarks.md").read_text() == done.stdout
    assert "plotly" in (tmp_path / "benchmarks.html").read_text()
