"""Damaged, cut, empty and foreign files: a reader gives traces or one line that names the file, and nothing else."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reasonlens import InputError, read_traces
from reasonlens.cli.app import app

from .test_files import ROWS, WRITERS
from .test_rows import ARCHIVE

SMALL = ROWS[:6]
N_DAMAGES = 60  # of each form


def read_or_refuse(path: Path, n_most: int | None = None) -> bool:
    """Read a file; it gives traces, or an InputError of one line that names it. Return whether it gave traces."""
    try:
        traces = read_traces(path)
    except InputError as error:
        message = str(error)
        assert "\n" not in message and len(message) < 1_000 and path.name in message, message
        return False
    assert traces and all(isinstance(trace.text, str) for trace in traces)
    assert n_most is None or len(traces) <= n_most
    return True


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Write a small sound file of a form."""
    monkeypatch.setattr("tests.traces.readers.test_files.ROWS", SMALL)

    def write(name: str) -> Path:
        path = tmp_path / name
        if name == "log.eval":
            shutil.copy(ARCHIVE, path)
        elif name.endswith(".gz"):
            path.write_bytes(gzip.compress(write(name.removesuffix(".gz")).read_bytes()))
        else:
            WRITERS[name](path)
        return path

    return write


FORMS = (*WRITERS, "log.eval", "rows.jsonl.gz", "table.csv.gz", "table.parquet.gz", "document.json.gz")


@pytest.mark.parametrize("name", FORMS)
def test_a_file_cut_anywhere_or_with_flipped_bytes_is_read_or_refused(small: Callable[[str], Path], name: str) -> None:
    path = small(name)
    sound = path.read_bytes()
    assert read_or_refuse(path)  # the control
    rng = random.Random(0)
    for number in range(N_DAMAGES):
        content = bytearray(sound[: rng.randrange(len(sound))] if number % 2 else sound)
        for _ in range(number % 4 if number % 2 else 1 + number % 8):
            if content:
                content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content)
        read_or_refuse(path)


@pytest.mark.parametrize("name", ["rows.jsonl", "document.json", "table.csv", "table.parquet", "log.eval"])
def test_a_gzipped_file_cut_short_is_never_taken_for_a_whole_one(small: Callable[[str], Path], name: str) -> None:
    path = small(name)
    content = gzip.compress(path.read_bytes())
    place = path.with_name(f"{name}.gz")
    for cut in range(len(content) // 20, len(content), max(len(content) // 40, 1)):
        place.write_bytes(content[:cut])
        with pytest.raises(InputError, match=rf"{name}.gz: it is cut short or damaged .*; copy or write it again"):
            read_traces(place)


def test_a_sample_of_a_log_whose_checksum_is_another_is_refused(small: Callable[[str], Path]) -> None:
    path = small("log.eval")
    content = bytearray(path.read_bytes())
    entry = content.index(b"samples/", content.index(b"PK\x01\x02")) - 46  # its line in the archive's directory
    assert content[entry : entry + 4] == b"PK\x01\x02"
    content[entry + 16] ^= 1  # the first byte of the checksum
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"samples/.*its checksum is another; copy the log again|Bad CRC-32"):
        read_traces(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jsonl", b"", "holds no traces"),
        ("blank.jsonl", b"\n \n", "holds no traces"),
        ("empty.json", b"", "not valid JSON"),
        ("none.json", b"[]", "holds no traces"),
        ("null.json", b"null", "holds NoneType: it needs a list of objects"),
        ("nothing.json", b"{}", "no field holds the response"),
        ("empty.csv", b"", "as a CSV table: "),
        ("names.csv", b"question,output\n", "holds no traces"),
        ("empty.parquet", b"", "as a Parquet file: "),
        ("empty.eval", b"", "cut short or damaged"),
        ("empty", b"", "cannot tell what .* is by its name or content: name its form"),
        ("words.txt", b"So 4. Wait.", "cannot tell what .* is by its name or content: name its form"),
        ("wide.json", b'"\xff\xfe"', "is not UTF-8"),
        ("latin.csv", "question,output\nq,d\xe9j\xe0 vu\n".encode("latin-1"), "is not UTF-8"),
        (
            "mixed.jsonl",
            json.dumps(SMALL[0]).encode() + b'\n{"question": "\xe9"}',
            "line 2: byte 14 of it is not UTF-8",
        ),
        ("utf16.csv", "question,output\nq,r\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("utf16", "[]".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("long.csv", b"question,output\nq,r\nq,r,more\n", "as a CSV table: .*line 3"),
        ("longer.csv", b"question,output\nq,r,more\n", "rows with more cells than the first line has names"),
        ("widest.csv", b"question,output\n" + b"1," * 100_000 + b"1\n", "has 100,001 columns"),
        ("quote.csv", b'question,output\nq,"r\n', "as a CSV table: "),
        ("wide.csv", ",".join(f"c{n}" for n in range(100_000)).encode() + b"\n", "has 100,000 columns"),
        ("deep.json", b'[{"a":' * 100_000, "nested too deeply"),
        ("digits.json", b'[{"question": ' + b"9" * 10_000 + b"}]", "thousands of digits"),
        ("cut.jsonl.gz", gzip.compress(json.dumps(SMALL[0]).encode())[:-9], "cut short or damaged"),
        ("not.jsonl.gz", b"plain", "line 1: not valid JSON"),
        ("zip.eval", b"PK\x05\x06" + bytes(18), "holds no samples"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as refusal:
        read_traces(path)
    assert name in str(refusal.value)
    done = CliRunner().invoke(app, ["traces", "convert", str(path), "--out", str(tmp_path / "out.jsonl"), "--quiet"])
    assert done.exit_code == 2 and not done.stdout and "Traceback" not in done.output, done.output
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("reasonlens: "), done.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_a_row_of_100_000_fields_is_read_or_named_in_a_line(tmp_path: Path) -> None:
    row = {f"field {number}": number for number in range(100_000)}
    path = tmp_path / "fields.jsonl"
    path.write_text(json.dumps(row | {"question": "q", "output": "r"}))
    assert [trace.text for trace in read_traces(path)] == ["r"]
    path.write_text(json.dumps(row))
    assert not read_or_refuse(path)


def test_a_table_of_100_000_columns_is_refused_before_it_is_read(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "wide.parquet"
    parquet.write_table(pyarrow.table({f"c{number}": [0] for number in range(3_000)}), path)
    with pytest.raises(InputError, match="wide.parquet has 3,000 columns, and a table of traces at most 1,000"):
        read_traces(path)


def test_what_is_not_there_and_what_is_no_path_is_named(tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl").write_text("")
    for name in ("trace.jsonl", "trace.csv", "trace.parquet", "trace.eval", "trace"):
        with pytest.raises(InputError, match=f"cannot read traces from .*{name}: No such file or directory"):
            read_traces(tmp_path / name)
    with pytest.raises(InputError, match="Did you mean '.*traces.jsonl'"):
        read_traces(tmp_path / "trace.jsonl")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot tell what is in the directory .*folder"):
        read_traces(tmp_path / "folder")
    for source in (None, 5, b"a", ""):
        with pytest.raises(InputError, match="a path is a text"):
            read_traces(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["state.json", "dataset_info.json", "arrow"])
def test_a_damaged_dataset_is_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    import datasets

    datasets.Dataset.from_list(SMALL).save_to_disk(tmp_path / "saved")
    path = next(file for file in (tmp_path / "saved").iterdir() if file.name.endswith(damage))
    sound = path.read_bytes()
    rng = random.Random(0)
    for number in range(12):
        content = bytearray(sound)
        content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content[: rng.randrange(len(content))] if number % 2 else content)
        read_or_refuse(tmp_path / "saved")
