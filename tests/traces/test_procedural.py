from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from reasonlens.rundir import InputError
from reasonlens.traces.problem_sets import open_problem_set
from reasonlens.traces.procedural import FORMAT, procedural
from reasonlens.traces.questions import Question


class Sums:
    """Stands for a data set of reasoning-gym: as many questions as `n_kinds`, over and over."""

    def __init__(self, size: int, seed: int, n_kinds: int) -> None:
        self.size, self.seed, self.n_kinds = size, seed, n_kinds

    def __getitem__(self, number: int) -> dict[str, Any]:
        left = (number + self.seed) % self.n_kinds
        return {"question": f"{left} + 1 =", "answer": str(left + 1)}

    def score_answer(self, answer: str, entry: dict[str, Any]) -> float:
        if answer == "?":
            raise ZeroDivisionError
        return 1.0 if answer == entry["answer"] else 0.5 if entry["answer"] in answer else 0.0


@pytest.fixture
def gym(monkeypatch: pytest.MonkeyPatch) -> None:
    package, factory = ModuleType("reasoning_gym"), ModuleType("reasoning_gym.factory")
    kinds = {"sums": 100, "few": 3}

    def create_dataset(name: str, size: int, seed: int) -> Sums:
        if name == "composite":
            raise AssertionError("Must specify at least one dataset")
        return Sums(size, seed, kinds[name])

    package.create_dataset = create_dataset  # type: ignore[attr-defined]
    factory.DATASETS = SimpleNamespace(**kinds).__dict__ | {"composite": 0}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "reasoning_gym", package)
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", factory)


def test_questions_are_made_to_order_and_none_twice(gym: None) -> None:
    questions, _ = procedural("sums", 5, 3)
    assert questions[0] == Question("sums: 3 + 1 =", "3 + 1 =" + FORMAT, "4")
    assert len({question.problem for question in questions}) == 5
    assert len(procedural("few", 3, 0)[0]) == 3
    found = open_problem_set("reasoning-gym:sums", 4, 1)
    assert found.name == "reasoning-gym:sums" and len(found.questions) == 4


@pytest.mark.parametrize(
    ("response", "is_right"),
    [
        ("<answer>1</answer>", True),
        ("First <answer>3</answer>, no: <answer>\n1 </answer>.", True),
        ("First <answer>1</answer>, no: <answer>3</answer>", False),
        ("<answer>1 or 2</answer>", False),
        ("1", False),
        ("", False),
        ("<answer>?</answer>", False),
    ],
)
def test_only_the_last_answer_counts_and_only_a_full_score(gym: None, response: str, is_right: bool) -> None:
    questions, grader = procedural("sums", 2, 0)
    assert grader(questions[0], response) is is_right


def test_what_cannot_be_made_is_said(gym: None) -> None:
    with pytest.raises(InputError, match="no data set 'nope'; it has composite, few, sums"):
        procedural("nope", 1, 0)
    with pytest.raises(InputError, match="few made 3 different questions, and 4 are wanted"):
        procedural("few", 4, 0)
    with pytest.raises(InputError, match="composite without more settings: Must specify"):
        procedural("composite", 4, 0)
    _, grader = procedural("few", 3, 0)
    with pytest.raises(InputError, match="none of the 3 questions that were made of few"):
        grader(Question("p", "p"), "<answer>1</answer>")


def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(InputError, match="reasoning-gym:chain_sum needs .* `pip install 'reasonlens.problems.'`"):
        open_problem_set("reasoning-gym:chain_sum", 3)


def test_the_packages_own_scorer_takes_its_own_answers() -> None:
    pytest.importorskip("reasoning_gym")
    found = open_problem_set("reasoning-gym:chain_sum", 20, 0)
    for question, other in zip(found.questions, found.questions[1:] + found.questions[:1], strict=True):
        assert found.grader(question, f"So <answer>{question.answer}</answer>")
        assert found.grader(question, f"<answer>{other.answer}</answer>") is (question.answer == other.answer)
