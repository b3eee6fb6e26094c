"""Counts from files, logs and rows: what is read, what is left out and said, what is refused in one line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from reasonlens import InputError, PasskSettings, passk
from reasonlens.pairs.passk.count_files import read_counts

HERE = Path(__file__).parent
INSPECT, LM_EVAL = HERE / "inspect_log.json", HERE / "lm_eval_samples.jsonl"  # written by these tools themselves
GOOD = [{"id": f"p{number}", "n": 4, "c": number % 3} for number in range(6)]


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def compared(base: Any, thinking: Any, **settings: Any) -> Any:
    return passk(base_counts=base, thinking_counts=thinking, settings=PasskSettings(n_resamples=100, **settings))


def counted(source: Any, score: str | None = None) -> dict[str, tuple[int, int]]:
    return {counts.id: (counts.c, counts.n) for counts in read_counts(source, score).counts}


def test_a_file_its_gzip_and_its_rows_are_the_same_counts(tmp_path: Path) -> None:
    plain = written(tmp_path / "counts.jsonl", GOOD)
    zipped = tmp_path / "counts.jsonl.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    listed = tmp_path / "counts.json"
    listed.write_text(json.dumps(GOOD, indent=1))
    expected = {row["id"]: (row["c"], row["n"]) for row in GOOD}
    assert counted(plain) == counted(zipped) == counted(listed) == counted(str(plain)) == counted(GOOD) == expected


def test_problems_of_one_file_only_and_without_samples_are_left_out_and_said() -> None:
    base = [*GOOD, {"id": "mine", "n": 4, "c": 1}, {"id": "empty", "n": 0, "c": 0}]
    thinking = [
        *GOOD[::-1],
        {"id": "empty", "n": 4, "c": 2},
        {"id": "yours", "n": 4, "c": 1},
        {"id": 7, "n": 4, "c": 1},
    ]
    result = compared(base, thinking)
    assert [counts.id for counts in result.base_counts] == [counts.id for counts in result.thinking_counts]
    assert len(result.base_counts) == 6
    assert result.notes == (
        "1 problem only in base is left out",
        "2 problems only in thinking are left out",
        "1 problem without any sample of one of the models is left out",
    )


def test_unequal_numbers_of_samples_are_said_and_bound_k() -> None:
    base = [*GOOD, {"id": "few", "n": 2, "c": 1}]
    thinking = [row | {"n": 8} for row in base]
    result = compared(base, thinking)
    assert result.curves.k == (1, 2)
    assert "problems have 2 to 8 samples, so that k goes up to 2 (1 problem, such as 'few')" in result.notes
    fuller = compared(base, thinking, least_samples=3)
    assert fuller.curves.k == (1, 2, 3, 4) and "1 problem with fewer than 3 samples is left out" in fuller.notes
    with pytest.raises(InputError, match="k = 4 needs as many samples of every problem, and one has 2"):
        compared(base, thinking, ks=(1, 4))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "x", "n": 4, "c": 5}, "line 2: c is 5 and n is 4: no more samples can be right than there are"),
        ({"id": "x", "n": -1, "c": 0}, "line 2: n is -1 .*and must be a whole number from 0"),
        ({"id": "x", "n": 4, "c": 0.5}, "line 2: c is 0.5 .*and must be a whole number"),
        ({"id": "x", "n": "4", "c": 1}, "line 2: n is '4'"),
        ({"id": "x", "n": 4, "c": True}, "line 2: c is True"),
        ({"id": None, "n": 4, "c": 1}, "line 2: id is None"),
        ({"n": 4, "c": 1}, "line 2: the row lacks id"),
        ({"id": "x", "n": 4}, "line 2: the row lacks c"),
        ({"id": "x", "n": 4, "c": 1, "right_steps": 2}, "right_steps is 2 and c is 1"),
        ([1, 2], "line 2: a row is an object"),
        ({"id": "p0", "n": 4, "c": 0}, "line 2: 'p0' has a row already .*line 1"),
    ],
)
def test_a_row_that_is_no_count_is_named_with_its_line(row: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_counts(written(tmp_path / "counts.jsonl", [GOOD[0], row, *GOOD[1:]]))
    assert "\n" not in str(error.value)


def test_empty_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    plain = written(tmp_path / "counts.jsonl", GOOD)
    content = plain.read_bytes()
    for name, data, message in (
        ("empty", b"", "holds no rows"),
        ("blank", b"\n \n", "holds no rows"),
        ("cut", content[:-9], "line 6: not valid JSON.*ends within a line, so it may be cut off"),
        ("cut.gz", gzip.compress(content)[:-12], "damaged or cut off gzip file"),
        ("odd.gz", b"\x1f\x8b" + content, "damaged or cut off gzip file"),
        ("binary", b"\xff\xfe\x00{", "not UTF-8"),
        ("log.eval", b"PK\x03\x04", "inspect log dump"),
        ("prose", b"hello\n", "line 1: not valid JSON"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=message) as error:
            read_counts(tmp_path / name)
        assert name in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(InputError, match="No such file or directory.*Did you mean .*counts.jsonl"):
        read_counts(tmp_path / "count.jsonl")
    with pytest.raises(InputError, match="have no score to choose"):
        read_counts(plain, "match")


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="0 problems in common.*Are ids written alike.*'p0' and 'q0'"):
        compared(GOOD, [row | {"id": f"q{number}"} for number, row in enumerate(GOOD)])
    with pytest.raises(InputError, match="1 problem in common"):
        compared(GOOD, GOOD[:1])
    with pytest.raises(InputError, match="counts of one only are given"):
        passk(base_counts=GOOD)
    with pytest.raises(InputError, match="and not both"):
        passk(thinking="organism/rl-timing", base_counts=GOOD, thinking_counts=GOOD)
    with pytest.raises(InputError, match="leave --score out"):
        passk(score="match")


def test_a_log_of_inspect_ai_is_counted_by_epochs() -> None:
    """Four samples of four epochs, one of which failed; sample 4 had no id of its own."""
    source = read_counts(INSPECT, "match")
    assert {counts.id: (counts.c, counts.n) for counts in source.counts} == {
        "4": (2, 4),
        "q0": (1, 4),
        "q1": (2, 4),
        "q2": (1, 3),
    }
    assert source.notes == ("1 sample has no score (it is left out)",)
    assert counted(INSPECT, "includes") == counted(INSPECT, "match")
    with pytest.raises(InputError, match="has 2 scores; choose with --score: match, includes"):
        read_counts(INSPECT)
    with pytest.raises(InputError, match="'mach' is not one of its scores.* Did you mean 'match'"):
        read_counts(INSPECT, "mach")


@pytest.mark.parametrize(
    ("value", "is_right"), [("C", 1), ("I", 0), ("P", 0), ("N", 0), (1, 1), (0.5, 0), (True, 1), ("yes", 1), (0.0, 0)]
)
def test_a_sample_is_right_where_its_score_is_full(value: Any, is_right: int, tmp_path: Path) -> None:
    samples = [{"id": "a", "epoch": 1, "scores": {"s": {"value": value}}}]
    (tmp_path / "log.json").write_text(json.dumps({"status": "cancelled", "eval": {}, "samples": samples}))
    source = read_counts(tmp_path / "log.json")
    assert [(counts.c, counts.n) for counts in source.counts] == [(is_right, 1)]
    assert "the log's status is cancelled: samples may be missing" in source.notes
    assert ("1 sample has part of the score (it counts as wrong)" in source.notes) == (value in ("P", 0.5))


def test_logs_of_inspect_ai_that_say_nothing_are_refused(tmp_path: Path) -> None:
    sample = {"id": "a", "epoch": 1, "scores": {"s": {"value": "C"}}}
    for samples, message in (
        (None, "without samples"),
        ([sample, sample], "epoch 1 of 'a' is there twice"),
        ([{"id": "a"}], "has no id and epoch"),
        ([sample | {"scores": {"s": {"value": {"a": 1}}}}], "a single one is needed"),
        ([sample | {"scores": {"s": {"value": 7}}}], "above 1"),
        ([sample | {"scores": {}}], "holds no scores"),
    ):
        (tmp_path / "log.json").write_text(json.dumps({"status": "success", "eval": {}, "samples": samples}))
        with pytest.raises(InputError, match=message):
            read_counts(tmp_path / "log.json")


def test_repeats_of_lm_eval_are_graded_by_rule_since_its_metric_grades_one_of_them() -> None:
    """Each of three documents was answered 7, 9, 2 and 5; the filter of the log chose the first."""
    source = read_counts(LM_EVAL, "exact_match,strict-match")
    assert {counts.id: (counts.c, counts.n) for counts in source.counts} == {"0": (1, 4), "1": (1, 4), "2": (1, 4)}
    assert source.notes == ("lm-eval's exact_match grades one of several repeats, so 12 responses were graded by rule",)
    with pytest.raises(
        InputError, match="has 2 scores; choose with --score: exact_match,strict-match, exact_match,all"
    ):
        read_counts(LM_EVAL)
    with pytest.raises(InputError, match="'exact_match' is several of its scores"):
        read_counts(LM_EVAL, "exact_match")


def line(document: int, n: int = 1, metric: str = "exact_match", **fields: Any) -> dict[str, Any]:
    return {"doc_id": document, "resps": [["x"] * n], "filter": "none", "metrics": [metric], "target": "7", **fields}


def test_several_runs_of_lm_eval_lists_of_scores_and_pass_at_1_are_counted(tmp_path: Path) -> None:
    runs = [line(document, exact_match=float(run == document)) for run in range(3) for document in range(2)]
    assert counted(written(tmp_path / "runs.jsonl", runs)) == {"0": (1, 3), "1": (1, 3)}
    lists = [line(document, 3, exact_match=[1.0, 0.0, float(document)]) for document in range(2)]
    assert counted(written(tmp_path / "lists.jsonl", lists)) == {"0": (1, 3), "1": (2, 3)}
    shares = [line(document, 8, "pass@1", **{"pass@1": document / 8}) for document in (1, 3)]
    assert counted(written(tmp_path / "shares.jsonl", shares)) == {"1": (1, 8), "3": (3, 8)}
    choices = {"resps": [[["-1.5", "False"]], [["-0.5", "True"]]], "metrics": ["acc"], "acc": 1.0, "filter": "none"}
    assert counted(written(tmp_path / "choices.jsonl", [{"doc_id": 0, **choices}])) == {"0": (1, 1)}


def test_lines_of_lm_eval_that_cannot_be_counted_are_refused(tmp_path: Path) -> None:
    for row, message in (
        (line(0, 8, "pass@1", **{"pass@1": 0.3}), "which is no share of 8 repeats"),
        (line(0, 8, "pass@8", **{"pass@8": 1.0}), "'pass@8' is of one of 8 repeats, or of all together"),
        (line(0, 2, exact_match=1.0, target=""), "no target to grade"),
        ({"doc_id": 0}, "line 2: no sample of lm-eval"),
    ):
        first = line(1, metric=row.get("metrics", ["exact_match"])[0])
        first[first["metrics"][0]] = 1.0
        with pytest.raises(InputError, match=message):
            read_counts(written(tmp_path / "samples.jsonl", [first, row]))
