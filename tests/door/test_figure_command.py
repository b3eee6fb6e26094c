"""`reasonlens figure`: a saved table is drawn again, and every other file gets one line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens.cli.app import app

from ..figures.conftest import made


def run(*arguments: object) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["figure", *map(str, arguments)])
    return found.exit_code, found.stderr


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    (tmp_path / "tables").mkdir()
    path = tmp_path / "tables" / "auroc.json"
    path.write_text(json.dumps(made("layer_heatmap").to_dict()))
    (tmp_path / "table.csv").write_text("behaviour,layer\n")
    (tmp_path / "results.json").write_text('{"format": "reasonlens.locate/3"}')
    return path


def test_a_saved_table_becomes_a_page_that_opens_offline(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reasonlens.cli.figure.find_spec", lambda _: None)
    assert run(saved) == (0, "figure: auroc.html\nnext: reasonlens runs\n")
    monkeypatch.setattr("reasonlens.cli.figure.find_spec", lambda _: object())  # as where kaleido is installed
    assert run(saved) == (0, f"figure: auroc.html\nnext: reasonlens figure {saved} --out auroc.svg\n")
    page = (tmp_path / "auroc.html").read_text("utf-8")
    assert "A caption with n = 3" in page and 'data-figure="figure"' in page and 'data-name="results"' in page
    assert len(page) < 900_000, "plotly is in it once, packed"
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    assert run(saved, "--out", tmp_path / "deep" / "other.html")[0] == 0
    assert (tmp_path / "deep" / "other.html").is_file()


def test_a_changed_table_changes_the_figure(saved: Path, tmp_path: Path) -> None:
    content = json.loads(saved.read_text())
    content["options"]["title"] = "Another title"
    content["rows"] = [row for row in content["rows"] if row["behaviour"] == "deduction"]
    saved.write_text(json.dumps(content))
    assert run(saved, "--out", tmp_path / "o.html")[0] == 0
    page = (tmp_path / "o.html").read_text("utf-8")
    assert "Another title" in page and "backtracking" not in page


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("table.csv", "table.csv is CSV and names no figure; draw one of auroc.json in .*/tables"),
        ("results.json", "results.json cannot be drawn: no table of a figure: .*; draw one of auroc.json in .*/tables"),
        ("tables/nothing.json", "cannot read .*nothing.json: No such file or directory; give a file of the folder"),
        ("tables", "cannot read .*tables: Is a directory"),
        (".", "cannot read .*: Is a directory; draw one of auroc.json in .*/tables"),
        ("tables/binary.json", "binary.json cannot be drawn: byte 0 is not UTF-8"),
        ("tables/half.json", "half.json cannot be drawn: not valid JSON .Unterminated string"),
        ("tables/twice.json", "twice.json cannot be drawn: two rows for the behaviour 'deduction' and the layer 0"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(saved: Path, tmp_path: Path, name: str, message: str) -> None:
    twice = made("layer_heatmap").to_dict()
    twice["rows"].append(twice["rows"][0])
    (tmp_path / "tables" / "binary.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "tables" / "half.json").write_text(saved.read_text()[:20])
    (tmp_path / "tables" / "twice.json").write_text(json.dumps(twice))
    for other in ("binary", "half", "twice"):
        if name != f"tables/{other}.json":
            (tmp_path / "tables" / f"{other}.json").unlink()
    code, line = run(tmp_path / name, "--out", tmp_path / "o.html")
    assert code == 2 and line.count("\n") == 1 and re.search(message, line), line
    assert not (tmp_path / "o.html").exists()


def test_an_image_needs_kaleido_and_another_ending_is_refused(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise ValueError("Image export requires kaleido\nand so on")

    monkeypatch.setattr("plotly.graph_objects.Figure.write_image", refuses)
    code, line = run(saved, "--out", tmp_path / "o.png")
    assert code == 2 and "needs kaleido and a browser (Image export requires kaleido); write .html" in line
    code, line = run(saved, "--out", tmp_path / "o.txt")
    assert code == 2 and "written as .html or as an image" in line
    assert [path.name for path in tmp_path.glob("o.*")] == []


def test_an_image_is_written_by_plotly_under_its_own_name(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plotly.graph_objects.Figure.write_image", lambda _, path: Path(path).write_bytes(b"image"))
    assert run(saved, "--out", tmp_path / "o.png")[0] == 0
    assert (tmp_path / "o.png").read_bytes() == b"image"
