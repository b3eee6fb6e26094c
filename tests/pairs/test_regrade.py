"""Published answers graded anew: known counts, missing fields, problems that stand twice."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest
from typer.testing import CliRunner

from reasonlens import InputError, PublishedKeys, regrade
from reasonlens.cli.app import app

N_RIGHT = {"base_model": 10, "thinking_model": 40, "hybrid_model": 25}


def published(**more: Any) -> dict[str, Any]:
    """Fifty problems; each model has the first so many right."""
    tasks = [
        {
            "question": f"What is {number} + {number}?",
            "correct_answer": f"Twice {number}. #### {2 * number}",
            "model_answers": {
                model: f"It is <b>so</b>. The answer is {2 * number if number < n else 2 * number + 1}."
                for model, n in N_RIGHT.items()
            },
            "hybrid_stats": {"steered_count": 5, "total_tokens": 50},
        }
        for number in range(50)
    ]
    return {"metadata": {}, "results": {"correct_count": {**N_RIGHT, "base_model": 12}}, "tasks": tasks} | more


def written(tmp_path: Path, content: Any) -> Path:
    file = tmp_path / "published.json"
    file.write_text(json.dumps(content))
    return file


def test_counts_gap_and_tests_are_those_of_the_file(tmp_path: Path) -> None:
    result = regrade(written(tmp_path, published()))
    assert {name: arm.n_right for name, arm in result.arms.items()} == {"base": 10, "thinking": 40, "hybrid": 25}
    assert {name: arm.n_published for name, arm in result.arms.items()} == {"base": 12, "thinking": 40, "hybrid": 25}
    assert result.arms["base"].accuracy.value == 0.2 and result.arms["base"].accuracy.n == 50
    assert result.gap.share.value == pytest.approx(0.5) and result.gap.share.low < 0.5 < result.gap.share.high
    assert result.steered == pytest.approx(0.1) and result.n_questions == 50
    # One question a problem: the sign-flip test is McNemar's exact test, of 15 that only the hybrid solves.
    assert result.arms["base"].p_against_hybrid == pytest.approx(binomtest(0, 15).pvalue)
    assert result.arms["hybrid"].p_against_hybrid == 1


def test_a_problem_that_stands_twice_is_one_problem_and_two_questions(tmp_path: Path) -> None:
    content = published()
    content["tasks"] += content["tasks"]
    once, twice = regrade(written(tmp_path, published())), regrade(written(tmp_path, content))
    assert twice.n_questions == 100 and twice.arms["base"].accuracy.n == 50 and twice.gap.share.n == 50
    for end in ("value", "low", "high"):  # half as wide if questions counted as problems: more than 0.02 apart
        assert getattr(twice.gap.share, end) == pytest.approx(getattr(once.gap.share, end), abs=0.02)
    assert twice.arms["base"].p_against_hybrid == pytest.approx(once.arms["base"].p_against_hybrid)


def test_what_cannot_be_told_is_unsure_and_not_right(tmp_path: Path) -> None:
    result = regrade(written(tmp_path, published()), grader=lambda question, text: None if "0" in text else True)
    assert 0 < result.arms["base"].unsure < 1
    assert result.arms["base"].accuracy.value == pytest.approx(1 - result.arms["base"].unsure)


def test_other_fields_are_named_by_keys_and_no_gap_is_said(tmp_path: Path) -> None:
    content = published()
    for task in content["tasks"]:
        task["replies"] = {"a": task["model_answers"]["base_model"], "b": task["model_answers"]["base_model"]}
        task["replies"]["c"] = task["model_answers"]["hybrid_model"]
        del task["model_answers"], task["hybrid_stats"]
    keys = PublishedKeys(base="a", thinking="b", hybrid="c", answers="replies")
    result = regrade(written(tmp_path, content), keys)
    assert isnan(result.gap.share.value) and "not shown to be better than the base" in result.gap.no_gap
    assert isnan(result.steered) and result.arms["base"].n_published is None


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content["tasks"][3].pop("question"), r"tasks\[3\] holds no text 'question' \(it holds corr"),
        (lambda content: content["tasks"][4].pop("model_answers"), r"tasks\[4\] holds no object 'model_answers'"),
        (
            lambda content: content["tasks"][5]["model_answers"].pop("hybrid_model"),
            r"tasks\[5\]\.model_answers holds no text 'hybrid_model' \(it holds base_model, thinking_model\)",
        ),
        (lambda content: content.update(tasks=content["tasks"][:1]), "holds 1 problems in 'tasks'"),
        (lambda content: content.update(tasks=content["tasks"][:1] * 4), "holds one problem only"),
        (lambda content: content.update(tasks={}), "tasks"),
    ],
)
def test_what_is_missing_is_named_with_its_place(tmp_path: Path, damage: Any, message: str) -> None:
    content = published()
    damage(content)
    with pytest.raises(InputError, match=message):
        regrade(written(tmp_path, content))


def test_the_command_prints_the_gap_and_writes_a_page(tmp_path: Path) -> None:
    file, out = written(tmp_path, published()), tmp_path / "out"
    done = CliRunner().invoke(app, ["regrade", str(file), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "the hybrid recovers 0.500 [" in done.stdout and "12" in done.stdout
    assert (out / "report.html").is_file() and json.loads((out / "results.json").read_text())["n_questions"] == 50
    done = CliRunner().invoke(app, ["regrade", str(file), "--json", "--hybrid-key", "hybird_model"])
    assert done.exit_code == 2 and "holds no text 'hybird_model'" in " ".join(done.stderr.split())


def test_a_result_is_read_back_from_json(tmp_path: Path) -> None:
    for content in (published(), published(results={})):
        result = regrade(written(tmp_path, content))
        again = type(result).from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))
        assert again.to_dict() == result.to_dict() and repr(again) == repr(result)
        assert again.to_frame().equals(result.to_frame()) and again.figure().to_json() == result.figure().to_json()
        assert again.keys == PublishedKeys()
