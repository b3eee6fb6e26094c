"""How rows lie in a file: every form gives the same traces, and so does each gzipped or under another name."""

from __future__ import annotations

import csv
import gzip
import json
import logging
import shutil
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest

from reasonlens import InputError, Trace, collect, iter_traces, read_traces, traces_convert, write_traces
from reasonlens.models import hub
from reasonlens.traces import resolve_traces, stream_traces
from reasonlens.traces.readers import FILE_FORMS

from .test_rows import ARCHIVE

ROWS = [
    {"id": str(n), "question": f"What is {n} + {n}?", "output": f'<think>Hm, "{n}";\n\u2028 é 😀</think> {2 * n}'}
    for n in range(600)  # more than one part of a table
]
EXPECTED = [Trace(row["id"], row["question"], row["output"]) for row in ROWS]


def as_lines(path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")


def as_document(path: Path) -> None:
    path.write_text(json.dumps(ROWS, indent=1, ensure_ascii=False), "utf-8")


def as_object(path: Path) -> None:
    path.write_text(json.dumps({"made": "today", "data": ROWS}), "utf-8")


def as_csv(path: Path, separator: str = ",", mark: str = "") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(mark)
        writer = csv.DictWriter(file, list(ROWS[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(ROWS)


def as_parquet(path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)


WRITERS: dict[str, Any] = {
    "rows.jsonl": as_lines,
    "lines.json": as_lines,
    "lines.out": as_lines,
    "document.json": as_document,
    "document": as_document,
    "object.json": as_object,
    "table.csv": as_csv,
    "semicolons.csv": lambda path: as_csv(path, ";"),
    "of-excel.csv": lambda path: as_csv(path, ",", "\ufeff"),
    "tabs.tsv": lambda path: as_csv(path, "\t"),
    "table.parquet": as_parquet,
    "no-suffix": as_parquet,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_form_gives_the_same_traces_gzipped_or_not(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    assert read_traces(tmp_path / name) == list(iter_traces(tmp_path / name)) == EXPECTED
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    assert read_traces(tmp_path / f"{name}.gz") == EXPECTED


def test_datasets_on_disk_give_the_same_traces(tmp_path: Path) -> None:
    import datasets

    dataset = datasets.Dataset.from_list(ROWS)
    dataset.save_to_disk(tmp_path / "saved")
    assert read_traces(tmp_path / "saved") == EXPECTED
    datasets.DatasetDict({"train": dataset}).save_to_disk(tmp_path / "one")
    assert read_traces(tmp_path / "one") == EXPECTED
    datasets.DatasetDict({"train": dataset, "test": dataset}).save_to_disk(tmp_path / "two")
    with pytest.raises(InputError, match=r"two holds several splits \(test, train\): give one, .*two/SPLIT"):
        read_traces(tmp_path / "two")
    assert read_traces(tmp_path / "two" / "test") == EXPECTED
    for part in range(2):
        place = tmp_path / "parts" / "data" / f"train-0000{part}-of-00002.parquet"
        place.parent.mkdir(parents=True, exist_ok=True)
        dataset.shard(2, part).to_parquet(place)
    assert read_traces(tmp_path / "parts") == EXPECTED
    shutil.copy(place, place.with_name("test-00000-of-00001.parquet"))
    with pytest.raises(InputError, match=r"Parquet files of several splits .*data/test, data/train"):
        read_traces(tmp_path / "parts")


def test_a_dataset_of_the_hub_is_asked_for_by_name_split_and_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    calls = []

    def load_dataset(*names: Any, **options: Any) -> Any:
        calls.append((names, options))
        return datasets.Dataset.from_list(ROWS).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    for name in ("hf:openai/gsm8k", "hf:openai/gsm8k/main:test"):
        assert resolve_traces(name) == list(stream_traces(name)) == EXPECTED
    assert calls[0] == (("openai/gsm8k", None), {"split": "train", "streaming": True})
    assert calls[-1] == (("openai/gsm8k", "main"), {"split": "test", "streaming": True})
    monkeypatch.undo()
    with pytest.raises(InputError, match="cannot fetch hf:nobody/nothing from the hub: .*connection, or download"):
        read_traces("hf:nobody/nothing")  # tests are offline


class Session:
    """Stands for the hub's client: it answers with a code of an error, or not at all."""

    def __init__(self, code: str | None) -> None:
        self.code, self.n_asked = code, 0

    def request(self, *_: Any, **__: Any) -> Any:
        self.n_asked += 1
        if self.code is None:
            raise ConnectionError
        return SimpleNamespace(headers={"X-Error-Code": self.code})


def test_a_hub_out_of_reach_is_asked_once_and_its_client_looks_in_its_cache_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import datasets
    from huggingface_hub import constants

    was_offline = []

    def load_dataset(*_: Any, **__: Any) -> Any:
        was_offline.append(constants.HF_HUB_OFFLINE)
        return datasets.Dataset.from_list(ROWS).to_iterable_dataset()

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    for code, is_offline in ((None, True), ("", False)):
        session = Session(code)
        monkeypatch.setattr(hub, "get_session", lambda session=session: session)
        assert read_traces("hf:openai/gsm8k") == EXPECTED
        assert was_offline.pop() is is_offline and session.n_asked == 1 and not constants.HF_HUB_OFFLINE
    monkeypatch.setattr(hub, "get_session", lambda: Session("RepoNotFound"))
    with pytest.raises(InputError, match="cannot load the dataset 'openai/gsmk': the hub has no such repository"):
        read_traces("hf:openai/gsmk")
    assert not was_offline and not constants.HF_HUB_OFFLINE


@pytest.mark.parametrize("name", ["hf:", "hf:a b", "hf:a/b/c/d", "hf:/a", "hf::test", "hf:a\nb"])
def test_what_is_no_name_of_a_dataset_is_refused_without_asking(name: str) -> None:
    with pytest.raises(InputError, match="is no dataset of the hub: write hf:OWNER/NAME, or hf:OWNER/NAME/CONFIG"):
        read_traces(name)


def test_a_log_of_inspect_as_json_gives_what_the_archive_gives(tmp_path: Path) -> None:
    samples = {trace.id: trace for trace in read_traces(ARCHIVE)}
    rows = [content for _, content in FILE_FORMS["eval"](_file(ARCHIVE))]
    log = {"version": 2, "status": "success", "eval": {"task": "sums"}, "plan": {}, "samples": rows}
    for name, indent in (("log.json", 1), ("line.json", None)):
        (tmp_path / name).write_text(json.dumps(log, indent=indent) + "\n", "utf-8")
        assert {trace.id: trace for trace in read_traces(tmp_path / name)} == samples
    with ZipFile(tmp_path / "deflated.eval", "w") as archive:  # as before 2026, without Zstandard
        for row in rows:
            archive.writestr(f"samples/{row['id']}_epoch_{row['epoch']}.json", json.dumps(row))
        archive.writestr("header.json", "{}")
    assert {trace.id: trace for trace in read_traces(tmp_path / "deflated.eval")} == samples


def _file(path: Path) -> Any:
    from reasonlens.traces.readers.source import RowFile

    return RowFile(path)


def test_traces_of_the_house_are_read_from_tables_too(tmp_path: Path, traces: list[Trace]) -> None:
    import pyarrow
    from pyarrow import parquet

    write_traces(traces, tmp_path / "t.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text("utf-8").splitlines()]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "t.parquet")
    with (tmp_path / "t.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"spans": json.dumps(row["spans"])} for row in rows)
    assert read_traces(tmp_path / "t.parquet") == read_traces(tmp_path / "t.csv") == traces
    extra = [row | {"score": 0.5} for row in rows]
    (tmp_path / "extra.json").write_text(json.dumps(extra))
    with pytest.raises(InputError, match="no key 'score'.*convert FILE --form response` leaves it out"):
        read_traces(tmp_path / "extra.json")
    assert read_traces(tmp_path / "extra.json", form="response") == traces


def test_what_takes_traces_takes_every_form_by_path(tiny: Any, traces: list[Trace], tmp_path: Path) -> None:
    import torch

    rows = [
        {
            "question": trace.prompt,
            "model_answer": trace.text,
            "spans": [{"start": span.start, "end": span.end, "label": span.label} for span in trace.spans],
        }
        for trace in traces
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    traces_convert(tmp_path / "rows.json", tmp_path / "converted.jsonl", fields={"text": "model_answer"})
    converted = [trace.spans for trace in read_traces(tmp_path / "converted.jsonl")]
    assert converted == [trace.spans for trace in traces]
    renamed = [{("text" if name == "model_answer" else name): row[name] for name in row} for row in rows]
    document = [
        row | {"id": trace.id, "prompt": row.pop("question")} for row, trace in zip(renamed, traces, strict=True)
    ]
    (tmp_path / "document.json").write_text(json.dumps(document))
    expected = collect(tiny(), traces, layers=[1], progress=False).layer(1)
    for name in ("converted.jsonl", "document.json"):
        assert torch.equal(collect(tiny(), tmp_path / name, layers=[1], progress=False).layer(1), expected)
        assert [trace.spans for trace in resolve_traces(tmp_path / name)] == [trace.spans for trace in traces]


def test_json_lines_csv_and_parquet_are_streamed(tmp_path: Path) -> None:
    def peak(name: str, n_rows: int) -> int:
        path = tmp_path / f"{n_rows}-{name}"
        rows = [{"question": f"q{number}", "output": "word " * 400} for number in range(n_rows)]
        if name.endswith("jsonl.gz"):
            path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
        elif name.endswith("jsonl"):
            path.write_text("\n".join(map(json.dumps, rows)))
        else:
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        tracemalloc.start()
        assert sum(1 for _ in iter_traces(path)) == n_rows
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    for name in ("rows.jsonl", "rows.jsonl.gz", "rows.csv"):
        peak(name, 2)  # whatever is imported
        assert peak(name, 2_000) < 1.5 * peak(name, 600) + 100_000, name  # the larger file holds 4 MB


def test_a_conversion_is_whole_or_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    as_csv(tmp_path / "table.csv")
    with caplog.at_level(logging.INFO, logger="reasonlens"):
        assert traces_convert(tmp_path / "table.csv", tmp_path / "t.jsonl", progress=False) == len(ROWS)
    assert "read as response" in caplog.text
    assert read_traces(tmp_path / "t.jsonl") == EXPECTED
    before = (tmp_path / "t.jsonl").read_bytes()
    lines = before.decode().split("\n")
    (tmp_path / "cut.jsonl").write_text("\n".join([*lines[:300], lines[300][:40]]))
    with pytest.raises(InputError, match="cut.jsonl, line 301: not valid JSON"):
        traces_convert(tmp_path / "cut.jsonl", tmp_path / "t.jsonl", progress=False)
    assert (tmp_path / "t.jsonl").read_bytes() == before
    with pytest.raises(InputError, match="written as JSON lines, and 't.parquet' is no name for them"):
        traces_convert(tmp_path / "table.csv", tmp_path / "t.parquet", progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.jsonl", "t.jsonl", "table.csv"]


def test_a_file_is_never_converted_in_its_own_place(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "q", "output": "r", "score": 1}\n{"question": "q", "output": "s", "score": 2}\n')
    (tmp_path / "link.jsonl").symlink_to(path)
    before = path.read_bytes()
    for out in (path, tmp_path / "link.jsonl"):
        with pytest.raises(InputError, match="is the file that is converted, and what is not read of it would be lost"):
            traces_convert(path, out, progress=False)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("package", "name"), [("pyarrow", "t.parquet"), ("datasets", "saved"), ("pyarrow", "t.eval")])
def test_a_missing_package_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, name: str
) -> None:
    if name == "saved":
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.json").write_text("{}")
    elif name == "t.eval":
        shutil.copy(ARCHIVE, tmp_path / name)
    else:
        as_parquet(tmp_path / name)
    monkeypatch.setitem(sys.modules, package, None)
    if package == "pyarrow" and name == "t.eval" and sys.version_info >= (3, 14):
        pytest.skip("zipfile reads Zstandard itself")
    with pytest.raises(InputError, match=rf"needs the package {package}: `pip install 'reasonlens\[readers\]'`"):
        read_traces(tmp_path / name)
