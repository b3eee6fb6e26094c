"""What may happen to a log between two runs: every alteration is named with its line, or heals to the same rows."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from reasonlens import InputError
from reasonlens.rundir import RowLog

COLUMNS = {"trace": str, "span": int, "is_solved": bool, "scores": list[float | None]}
ABOUT = {"model": {"name": "tiny", "layers": [0, 1]}, "seed": 0}
ROWS = [
    {"trace": f"t{number} – ü", "span": number, "is_solved": number % 2 == 0, "scores": [0.5, None, float(number)]}
    for number in range(5)
]
KEYS = [(row["trace"], row["span"]) for row in ROWS]


def log(path: Path | None, **changes: Any) -> RowLog:
    return RowLog(path, **({"about": ABOUT, "key": ("trace", "span"), "columns": COLUMNS} | changes))


def resumed(path: Path) -> list[Any]:
    """Make what is missing, as a command would, and return all rows in the order asked."""
    rows = log(path)
    rows.add([ROWS[KEYS.index(key)] for key in rows.missing(KEYS)])
    return [rows[key] for key in KEYS]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    written = log(path)
    written.add(ROWS[:3])
    written.add(ROWS[3:])
    return path


def test_rows_are_read_back_as_they_were_added(file: Path) -> None:
    read = log(file)
    assert [read[key] for key in KEYS] == ROWS and len(read) == 5 and ("other", 0) not in read


def test_nothing_is_written_before_the_first_row(tmp_path: Path) -> None:
    log(tmp_path / "rows.jsonl")
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_log_cut_at_any_byte_heals_to_the_same_bytes(file: Path) -> None:
    whole = file.read_bytes()
    for end in range(len(whole)):
        file.write_bytes(whole[:end])
        assert resumed(file) == ROWS
        assert file.read_bytes() == whole, end


@pytest.mark.parametrize("number", range(1, 6))
def test_a_deleted_row_is_made_again(file: Path, number: int) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
    assert resumed(file) == ROWS


def test_neither_reversed_nor_doubled_lines_change_the_rows(file: Path) -> None:
    header, *lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(header + b"".join(lines[::-1]))
    assert resumed(file) == ROWS
    file.write_bytes(header + b"".join(lines + lines))
    assert resumed(file) == ROWS


def test_every_flipped_bit_is_named_with_its_line_or_heals(file: Path) -> None:
    whole = file.read_bytes()
    n_healed = 0
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << (place % 8)
        file.write_bytes(flipped)
        line = whole[:place].count(b"\n") + 1
        try:
            rows = resumed(file)
        except InputError as error:
            named = f"{file}, line {line}" in str(error) or line == 1 or whole[place] == ord("\n")
            assert named and str(file) in str(error), (place, error)
        else:
            n_healed += 1
            assert rows == ROWS, place
    assert n_healed <= 1  # the very last byte: the row that it ended is made again


@pytest.mark.parametrize(
    ("before", "after"), [(b"true", b'"true"'), (b"true", b"false"), (b"0.5", b"0.75"), (b'"span": 1', b'"span": 7')]
)
def test_an_altered_value_or_type_is_named_with_its_line(file: Path, before: bytes, after: bytes) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines) if before in line)
    lines[number] = lines[number].replace(before, after)
    file.write_bytes(b"".join(lines))
    with pytest.raises(InputError, match=rf"rows.jsonl, line {number + 1} is altered: .*remove the file and its rows"):
        log(file)


def test_two_rows_of_one_key_are_an_error(file: Path, tmp_path: Path) -> None:
    other = log(tmp_path / "other.jsonl")
    other.add([ROWS[0] | {"is_solved": False}])
    file.write_bytes(file.read_bytes() + (tmp_path / "other.jsonl").read_bytes().splitlines(keepends=True)[1])
    with pytest.raises(InputError, match=r"line 7: another row for \('t0 – ü', 0\) stands above it"):
        log(file)


def test_a_row_of_another_log_is_an_error(file: Path, tmp_path: Path) -> None:
    other = log(tmp_path / "other.jsonl", about=ABOUT | {"seed": 1})
    other.add([ROWS[0] | {"trace": "new"}])
    file.write_bytes(file.read_bytes() + (tmp_path / "other.jsonl").read_bytes().splitlines(keepends=True)[1])
    with pytest.raises(InputError, match="line 7 is altered"):
        log(file)


def test_rows_of_something_else_are_refused_with_what_differs(file: Path) -> None:
    with pytest.raises(InputError, match=r"holds rows of something else \(seed 0 there, 1 asked\)"):
        log(file, about=ABOUT | {"seed": 1})
    with pytest.raises(InputError, match=r"model.name 'tiny' there, 'big' asked"):
        log(file, about={"model": {"name": "big", "layers": [0, 1]}, "seed": 0})
    with pytest.raises(InputError, match=r"key \['trace', 'span'\] there, \['trace'\] asked"):
        log(file, key="trace")


@pytest.mark.parametrize("content", [b"thesis", b"thesis\n", b"[]\n", b'{"format": "x"}\n', b"\xff\xfe\n"])
def test_another_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no rows of reasonlens"):
        log(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"is_solved": 1}, "is_solved is 1 and must be bool"),
        ({"is_solved": "false"}, "is_solved is 'false' and must be bool"),
        ({"span": True}, "span is True and must be int"),
        ({"span": 1.0}, "span is 1.0 and must be int"),
        ({"scores": [0.5, "x"]}, r"scores is \[0.5, 'x'\] and must be list\[float | None\]"),
        ({"more": 1}, "more is no field of it"),
    ],
)
def test_a_row_of_other_types_is_not_added(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    rows = log(tmp_path / "rows.jsonl")
    with pytest.raises(TypeError, match=said):
        rows.add([ROWS[0] | change])
    with pytest.raises(TypeError, match="trace is missing"):
        rows.add([{"span": 1}])
    assert len(rows) == 0 and not (tmp_path / "rows.jsonl").exists()


def test_a_schema_that_has_changed_is_an_error(file: Path) -> None:
    with pytest.raises(InputError, match="line 2: note is missing"):
        log(file, columns=COLUMNS | {"note": str})


def test_half_of_a_surrogate_pair_is_kept(tmp_path: Path) -> None:
    log(tmp_path / "rows.jsonl").add([ROWS[0] | {"trace": "\ud800"}])
    assert list(log(tmp_path / "rows.jsonl")) == [("\ud800", 0)]


def test_rows_added_from_many_threads_are_all_there(tmp_path: Path) -> None:
    rows = RowLog(tmp_path / "rows.jsonl", about={}, key="id", columns={"id": int})

    def add(start: int) -> None:
        for number in range(start, start + 50):
            rows.add([{"id": number}])

    threads = [threading.Thread(target=add, args=(50 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = RowLog(tmp_path / "rows.jsonl", about={}, key="id", columns={"id": int})
    assert sorted(again) == list(range(400))


def test_several_rows_are_one_write_that_fails_as_a_whole(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    before, real, calls = file.read_bytes(), os.write, []

    def half(descriptor: int, content: bytes) -> int:
        calls.append(len(content))
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, content[: len(content) // 2])

    rows = log(file)
    monkeypatch.setattr(os, "write", half)
    with pytest.raises(InputError, match="cannot write .*rows.jsonl: No space left on device. Free some space and run"):
        rows.add([ROWS[0] | {"trace": "a"}, ROWS[0] | {"trace": "b"}])
    monkeypatch.undo()
    assert file.read_bytes() == before and ("a", 0) not in rows
    rows.add([ROWS[0] | {"trace": "a"}])
    assert len(log(file)) == 6
