"""Published tables: small files of both forms, what is left out, and what is refused in a line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reasonlens import DynamicsSettings, InputError, dynamics
from reasonlens.pairs.dynamics.published import ProblemTable, read_table

SETTINGS = DynamicsSettings(n_resamples=200)
HEAD = "condition,step,avg_verifications,total_verifications,accuracy,response_length"


def problems_file(place: Path, *, jump: float = 0.3, n: int = 60, n_steps: int = 8) -> Path:
    """Eighths of problems, of which accuracy jumps by so much after the third evaluation; some have more of them."""
    rng = np.random.default_rng(0)
    rows = {}
    for number in range(n):
        rate = rng.beta(3, 5) + jump * (np.arange(n_steps + number % 3) > 2)
        rows[f"p{number}"] = (rng.binomial(8, np.clip(rate, 0, 1)) / 8).tolist()
    path = place / "problems.json"
    path.write_text(json.dumps(rows))
    return path


def behaviours_file(place: Path, lines: list[str] | None = None) -> Path:
    rng = np.random.default_rng(1)
    if lines is None:
        lines = []
        for run, top in (("rises", 5.0), ("level", 2.0)):
            for step in range(0, 200, 10):
                rate = round((2.0 if step < 95 else top) + 0.1 * rng.normal(), 2)
                lines.append(f"{run},{step},{rate},{200 * rate:.0f},{0.3 + 0.01 * rng.normal():.3f},{200 + step}")
        lines.append("once,0,1,200,0.1,100")
    path = place / "behaviours.csv"
    path.write_text("\n".join([HEAD, *lines]) + "\n")
    return path


def test_problems_have_intervals_a_change_point_and_pass_at_the_samples_that_shares_tell(tmp_path: Path) -> None:
    result = dynamics(table=problems_file(tmp_path), settings=SETTINGS, out=tmp_path / "out", progress=False)
    run = result.run
    assert run.n_problems == 60 and run.steps == tuple(map(float, range(8))) and run.axis == "evaluation"
    change = run.change("accuracy")
    assert (change.at.value, change.shape) == (2.5, "jump") and change.control_p > 0.05
    shares = np.array([row[:8] for row in json.loads((tmp_path / "problems.json").read_text()).values()])
    assert [one.value for one in run.curve("accuracy").values] == pytest.approx(shares.mean(axis=0).tolist())
    assert [one.value for one in run.curve("pass@k", "pass@8").values] == pytest.approx((shares > 0).mean(axis=0))
    assert run.collapse is not None and run.collapse.k == 8
    assert run.gain is not None and run.gain.low > 0.2 and run.verdict.rule == "gain"
    assert "60 problems of 60 that have them, 480 of 540 shares" in run.notes[0] and "multiples of 1/8" in run.notes[1]
    assert (tmp_path / "out" / "results.json").is_file() and (tmp_path / "out" / "table.csv").is_file()


def test_more_evaluations_leave_out_problems_with_fewer(tmp_path: Path) -> None:
    table = read_table(problems_file(tmp_path), evaluations=10)
    assert isinstance(table, ProblemTable) and table.shares.shape == (20, 10) and table.n_samples == 8
    with pytest.raises(InputError, match="8 to 10 evaluations, so that 0 of them have 11"):
        read_table(tmp_path / "problems.json", evaluations=11)


def test_a_table_without_a_change_says_so(tmp_path: Path) -> None:
    run = dynamics(table=problems_file(tmp_path, jump=0.0), settings=SETTINGS, progress=False).run
    assert run.verdict.rule == "no change" and not run.change("accuracy").is_shown


def test_behaviours_change_where_planted_and_steps_have_no_interval(tmp_path: Path) -> None:
    result = dynamics(table=behaviours_file(tmp_path), settings=SETTINGS, progress=False)
    assert list(result.runs) == ["rises", "level"] and result.notes == (
        "once is left out: a run has 3 steps or more, and it has 1",
    )
    change = result.runs["rises"].change("times a response", "verifications")
    assert change.at.low <= 95 <= change.at.high and change.shape == "jump"
    assert not result.runs["level"].change("times a response", "verifications").is_shown
    assert result.runs["rises"].change("tokens a response").shape == "steady"
    assert "200 responses a step" in result.runs["rises"].notes[0]
    assert result.to_frame()["value_low"].isna().all() and set(result.figures()) == {"steps-0", "steps-1"}
    assert result.runs["level"].verdict.rule == "no change"
    chosen = dynamics(
        table=tmp_path / "behaviours.csv", settings=DynamicsSettings(condition=("level",), n_resamples=200)
    )
    assert list(chosen.runs) == ["level"]
    assert chosen.runs["level"].to_dict() == result.runs["level"].to_dict()  # alone as among others


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,0,1,2,.1,9", "a,20,1,2,.1,9", "a,10,1,2,.1,9"], "line 4 of a has 10 behind 20"),
        (["a,0,1,2,.1,9", "a,10,1,2,.1,9", "a,10,1,2,.1,9"], "a has step 10 in line 3 and again in line 4"),
        (["a,0,1,2,.1,9", "a,10,x,2,.1,9", "a,20,1,2,.1,9"], "avg_verifications in line 3 is no number: 'x'"),
        (["a,0,1,2,.1,9", "a,10,1,2,.1,9"], "no run has 3 steps or more"),
        ([], "is no table of a training"),
    ],
)
def test_rows_that_cannot_be_followed_are_named(lines: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        dynamics(table=behaviours_file(tmp_path, lines), progress=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": [0.5, 0.5, 0.5]}', "holds no two problems"),
        ('{"a": [0.5, 0.5, 2], "b": [0, 0, 0]}', "no list of shares from 0 to 1"),
        ('{"a": [0.5, 0.5], "b": [0, 0]}', "two problems of three evaluations are needed"),
        ("{", "not valid JSON"),
        ("x,y\n1,2\n", "is no table of a training"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "table").write_text(text)
    with pytest.raises(InputError, match=message):
        dynamics(table=tmp_path / "table", progress=False)


def test_what_does_not_go_with_a_table_is_refused(tmp_path: Path) -> None:
    path = problems_file(tmp_path)
    with pytest.raises(InputError, match="cannot read a table of a training from .*nowhere"):
        dynamics(table=tmp_path / "nowhere.json")
    with pytest.raises(InputError, match="a table takes the place of checkpoints"):
        dynamics("organism/rl-timing", table=path)
    with pytest.raises(InputError, match="leave --condition out"):
        dynamics(table=path, settings=DynamicsSettings(condition=("a",)))
    with pytest.raises(InputError, match="leave --evaluations out"):
        dynamics(table=behaviours_file(tmp_path), settings=DynamicsSettings(evaluations=5))
    with pytest.raises(InputError, match="has no run 'rise'.*rises"):
        dynamics(table=tmp_path / "behaviours.csv", settings=DynamicsSettings(condition=("rise",)))
