from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from reasonlens.rundir import InputError
from reasonlens.traces.problem_sets import ProblemSet, open_problem_set, resolve_questions
from reasonlens.traces.questions import Question, mathematics

GSM8K = [
    {"question": "How many eggs?", "answer": "16 - 7 = <<16-7=9>>9 eggs\n#### 9"},
    {"question": "How far?", "answer": "Two laps.\n#### 1,200"},
    {"question": "How much is left?", "answer": "Nothing.\n#### 0"},
]
MATH = [
    {
        "problem": "Convert $(0,3)$ to polar coordinates.",
        "solution": "We have \\boxed{\\left( 3, \\frac{\\pi}{2} \\right)}.",
        "answer": "\\left( 3, \\frac{\\pi}{2} \\right)",
        "unique_id": "test/precalculus/807.json",
        "level": 2,
    }
]


def hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[tuple[Any, ...]]:
    """Stands for the hub: what was asked of it."""
    asked: list[tuple[Any, ...]] = []

    def load_dataset(repository: str, configuration: str | None, split: str) -> Any:
        asked.append((repository, configuration, split))
        if isinstance(answer, Exception):
            raise answer
        return answer

    module = ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    return asked


def test_gsm8k_comes_from_the_hub_with_the_answer_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = hub(monkeypatch, GSM8K)
    found = open_problem_set("gsm8k")
    assert asked == [("openai/gsm8k", "main", "test")]
    assert found.questions[1] == Question("How far?", "How far?", "1,200")
    assert [each.answer for each in found.questions] == ["9", "1,200", "0"]
    assert found.grader is mathematics


def test_math_500_comes_from_the_hub_and_is_graded_as_mathematics(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = hub(monkeypatch, MATH)
    found = open_problem_set("math-500")
    assert asked == [("HuggingFaceH4/MATH-500", None, "test")]
    (question,) = found.questions
    assert question.problem == "test/precalculus/807.json" and question.prompt == MATH[0]["problem"]
    assert found.grader(question, MATH[0]["solution"])
    assert found.grader(question, "So it is $\\boxed{(3, \\pi/2)}$.")
    assert not found.grader(question, "So it is $\\boxed{(3, \\pi)}$.")


def test_files_give_the_same_questions_as_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub(monkeypatch, GSM8K)
    pd.DataFrame(GSM8K).to_parquet(tmp_path / "test.parquet")
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, GSM8K)))
    sets = [open_problem_set(each) for each in ("gsm8k", tmp_path / "test.parquet", tmp_path / "test.jsonl")]
    assert sets[0].questions == sets[1].questions == sets[2].questions
    assert len({each.digest for each in sets}) == 1


def test_reference_answers_are_right_and_other_problems_answers_wrong(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text("\n".join(map(json.dumps, GSM8K)))
    found = open_problem_set(path)
    for number, question in enumerate(found.questions):
        graded = [found.grader(question, row["answer"]) for row in GSM8K]
        assert graded == [other == number for other in range(3)]


def test_a_part_of_a_set_is_drawn_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"question": f"q{number}", "answer": str(number)} for number in range(50)]
    hub(monkeypatch, rows)
    first, again, other = (open_problem_set("gsm8k", 20, seed) for seed in (0, 0, 1))
    assert first.questions == again.questions and first.digest == again.digest != other.digest
    assert len({each.problem for each in first.questions}) == 20
    with pytest.raises(InputError, match="gsm8k has 50 questions, and 51 are asked for"):
        open_problem_set("gsm8k", 51)
    with pytest.raises(InputError, match="at least one question, and 0 are asked for"):
        open_problem_set("gsm8k", 0)


@pytest.mark.parametrize("error", [ConnectionError("Couldn't reach it"), ValueError("Unknown split")])
def test_without_a_connection_the_way_round_is_named(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    hub(monkeypatch, error)
    with pytest.raises(InputError, match=f"cannot fetch gsm8k .*{error}.* give the path of that"):
        open_problem_set("gsm8k")


def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match="math-500 needs the package datasets: `pip install '.*'`; or download"):
        open_problem_set("math-500")


def test_what_is_no_set_and_no_usable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="aime is no file and no problem set; there are gsm8k, math-500, reasoning-gym"
    ):
        open_problem_set("aime")
    pd.DataFrame([{"text": "?"}]).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="row 1: no question in it; one of question, prompt, problem"):
        open_problem_set(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_text("no parquet")
    with pytest.raises(InputError, match="cannot read questions from .*b.parquet"):
        open_problem_set(tmp_path / "b.parquet")
    pd.DataFrame({"question": []}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(InputError, match="c.parquet holds no question"):
        open_problem_set(tmp_path / "c.parquet")


def test_questions_are_found_of_a_file_a_set_or_themselves(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, GSM8K)))
    opened = open_problem_set(tmp_path / "test.jsonl")
    for given in (tmp_path / "test.jsonl", str(tmp_path / "test.jsonl"), opened, opened.questions):
        assert resolve_questions(given, 2) == (opened.questions[:2], mathematics)
        assert resolve_questions(given, 50)[0] == opened.questions


def test_questions_without_an_answer_have_no_grader_unless_their_set_brings_one() -> None:
    open_ended = (Question(problem="a", prompt="a", answer="1"), Question(problem="b", prompt="b"))
    assert resolve_questions(open_ended, 2) == (open_ended, None)
    assert resolve_questions(open_ended, 1)[1] is mathematics, "the second is not asked"

    def grader(question: Question, response: str) -> bool:
        return True

    assert resolve_questions(ProblemSet("own", open_ended, grader), 2) == (open_ended, grader)
    assert resolve_questions(ProblemSet("plain", open_ended, mathematics), 2)[1] is None
