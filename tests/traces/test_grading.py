"""Grades of responses: endings as a reader grades them, forms of numbers, and places where a signal does not work."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from reasonlens.rundir import InputError
from reasonlens.traces import equivalence
from reasonlens.traces.questions import Grader, Question, answered_in_thoughts, best_guess, mathematics


# Each with the grade that a reader gives. `open` were looked at while the rule was written; all others were measured
# first and looked at afterwards, one part after the other, with changes of the rule between: what passes here is no
# measure of endings that are new to the rule (docs/traces.md has those figures).
def endings(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (Path(__file__).parent / name).read_text("utf-8").split("\n") if line]


ENDINGS = endings("endings.jsonl") + endings("endings_later.jsonl")
OF_OTHERS = endings("endings_of_others.jsonl")  # by two writers who did not know the rule
GRADES = {True: "right", False: "wrong", None: "unsure"}


def grade(answer: str, response: str, question: str = "p") -> bool | None:
    return mathematics(Question("p", question, answer), response)


def cells_by(grader: Grader, given: Sequence[dict[str, str]]) -> Counter[tuple[str, str, str]]:
    """Count endings by form, a reader's grade and the grader's."""
    cells: Counter[tuple[str, str, str]] = Counter()
    for ending in given:
        form = "boxed" if "\\boxed" in ending["response"] else "prose"
        is_right = grader(Question("p", ending["question"], ending["gold"]), ending["response"])
        cells[form, ending["grade"], GRADES[is_right]] += 1
    return cells


def test_endings_are_graded_as_a_reader_grades_them() -> None:
    cells = cells_by(best_guess, ENDINGS)
    n = cells.total()
    assert n >= 150
    agreed = {form: sum(cells[form, each, each] for each in GRADES.values()) for form in ("boxed", "prose")}
    of_form = {form: sum(count for cell, count in cells.items() if cell[0] == form) for form in agreed}
    assert sum(agreed.values()) / n >= 0.97
    assert abs(agreed["boxed"] / of_form["boxed"] - agreed["prose"] / of_form["prose"]) <= 0.03
    assert sum(count for cell, count in cells.items() if cell[1:] == ("wrong", "right")) / n <= 0.01
    assert sum(count for cell, count in cells.items() if cell[2] == "unsure") / n <= 0.05


def test_what_is_decided_is_decided_right_also_where_the_writer_did_not_know_the_rule() -> None:
    cells, guesses = cells_by(mathematics, ENDINGS + OF_OTHERS), cells_by(best_guess, ENDINGS + OF_OTHERS)
    for form in ("boxed", "prose"):
        n_right = sum(count for cell, count in cells.items() if cell[:2] == (form, "right"))
        n_wrong = sum(count for cell, count in cells.items() if cell[:2] == (form, "wrong"))
        assert cells[form, "right", "wrong"] / n_right <= 0.01
        assert cells[form, "wrong", "right"] / n_wrong <= 0.015
    assert cells["prose", "right", "wrong"] < 0.1 * guesses["prose", "right", "wrong"]
    assert cells["prose", "right", "right"] >= guesses["prose", "right", "right"]
    assert sum(count for cell, count in cells.items() if cell[0] == "boxed" and cell[2] == "unsure") == 0


@pytest.mark.parametrize(
    ("answer", "question", "response", "expected"),
    [
        ("63", "How many spots?", "Answer = 9 x 7 = 63 spots", True),
        (
            "9:05",
            "When is it over?",
            "It begins at 8:40. 20 minutes later it's 9:00. 5 more, and it ends by 9:05.",
            None,
        ),
        ("0", "How many are left?", "She gives away 24. There are no stickers left of the 24.", None),
        ("7/8", "What fraction?", "Kim eats 3 of 8, so the fraction is 3/8. There is 5/8 of the pizza left.", False),
        ("8", "Of 8 slices, how many are left?", "So of the 8 slices 5 are left.", False),
        ("40", "How many miles?", "40 + 2 = 42. So he runs 42 miles.", False),
        ("14", "How many players?", "Option A: 14 players. Option B: 7 players. Tell me which you meant.", None),
        ("Friday", "Which day?", "The answer is Saturday, as it was a Friday before.", None),
        ("Friday", "Which day?", "The answer is Saturday.", False),
        ("5", "How many?", "It is 5, or \\boxed{6}.", False),
    ],
)
def test_a_wrong_answer_whose_ending_holds_the_reference_may_be_right(
    answer: str, question: str, response: str, expected: bool | None
) -> None:
    assert grade(answer, response, question) is expected


@pytest.mark.parametrize(
    ("answer", "response"),
    [
        ("42", "\\boxed {42}"),
        ("-5", "The answer is \u22125."),
        ("1234567", "\\boxed{1\\,234\\,567}"),
        ("1234567", "\\boxed{1{,}234{,}567}"),
        ("1234567", "The answer is 1\u2009234\u2009567."),
        ("42", "It is \uff14\uff12."),
        ("42", "It is \u096a\u0968."),
        ("Friday", "The answer is Friday."),
        ("245", "The answer is two hundred and forty-five dollars."),
        ("2030", "It is two thousand and thirty."),
        ("1200", "It is one thousand two hundred."),
        ("42", "So \\boxed{42}. Check: \\boxed{"),
        ("5/2", "It is 2\u00bd."),
        ("2 1/2", "\\boxed{2\\frac{1}{2}}"),
        ("7:45", "\\boxed{7:45 \\text{ PM}}"),
        ("0.00032", "It is 3.2 \u00d7 10\u207b\u2074."),
        ("B", "\\boxed{\\text{(B) 9}}"),
        ("48", "\\boxed{\\$48.00}"),
        ("90", "\\boxed{90^\\circ}"),
        ("5", "\\boxed{x = 5}"),
        ("x^2+1", "\\boxed{1+x^2}"),
        ("\\sqrt{2}", "\\boxed{2^{1/2}}"),
        ("(1, 2)", "\\boxed{(1,2)}"),
    ],
)
def test_a_right_answer_is_right_in_every_form(answer: str, response: str) -> None:
    assert grade(answer, response) is True


@pytest.mark.parametrize(
    ("answer", "response"),
    [
        ("42", "\\boxed {24}"),
        ("-5", "The answer is 5."),
        ("1234567", "\\boxed{1\\,234\\,568}"),
        ("Friday", "The answer is Saturday."),
        ("2 1/2", "\\boxed{2\\frac{1}{3}}"),
        ("7:45 am", "\\boxed{7:45 \\text{ PM}}"),
        ("B", "\\boxed{\\text{(C) 9}}"),
        ("5", "\\boxed{5x}"),
        ("x^2+1", "\\boxed{x^2}"),
        ("\\sqrt{2}", "\\boxed{2}"),
        ("42", "\\boxed{" + "{" * 5000),
    ],
)
def test_a_wrong_answer_is_wrong_in_every_form(answer: str, response: str) -> None:
    assert grade(answer, response) is False


def test_what_gives_two_answers_with_equal_right_is_unsure_if_one_is_the_reference() -> None:
    question, response = "How many miles a day?", "It could be 10 miles a day or it could be 12 miles a day."
    assert grade("10", response, question) is None
    assert grade("11", response, question) is False


def test_a_thread_and_an_event_loop_grade_as_the_main_thread_does() -> None:
    equivalence.are_equal.cache_clear()
    grades: list[Any] = []
    thread = threading.Thread(target=lambda: grades.append(grade("\\sqrt{2}", "\\boxed{2^{1/2}}")))
    thread.start()
    thread.join()

    async def within() -> bool | None:
        return grade("\\sqrt{3}", "\\boxed{3^{1/2}}")

    assert [*grades, asyncio.run(within())] == [True, True]


def test_an_expression_without_end_is_unsure_in_bounded_time_and_later_ones_are_graded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert equivalence.are_equal("\\boxed{1}", "\\boxed{1}") is True
    monkeypatch.setattr(equivalence, "MAX_S", 0.5)
    start = time.monotonic()
    assert grade("42", "\\boxed{9^{9^{9^{9}}}}") is None
    assert time.monotonic() - start < 10
    assert grade("\\sqrt{5}", "\\boxed{5^{1/2}}") is True


def test_a_long_response_without_sentences_takes_no_long_time() -> None:
    start = time.monotonic()
    grade("42", "42 " * 30000)
    assert time.monotonic() - start < 10


def test_an_answer_boxed_in_thoughts_that_never_end_is_none_and_counted() -> None:
    response = "<think>First guess \\boxed{42}, but check: 6 times 8 is"
    assert grade("42", response) is False and answered_in_thoughts(response)
    assert not answered_in_thoughts("<think>\\boxed{42}</think> It is \\boxed{42}.")
    assert not answered_in_thoughts("<think>It is 42")


@pytest.mark.parametrize(
    ("answer", "response", "is_right"),
    [
        ("18", "So she makes 9 * 2 = $18 every day.", True),
        ("18", "So she makes 81.", False),
        ("$\\boxed{\\frac12}$", "The answer is \\boxed{0.5}.", True),
        ("1,000", "That gives 1000.", True),
        ("18", "First 18, but then the answer is 20.", False),
        ("18", "", False),
    ],
)
def test_responses_are_compared_as_mathematics(answer: str, response: str, is_right: bool) -> None:
    assert mathematics(Question("p", "p", answer), response) is is_right


def test_a_question_without_an_answer_cannot_be_graded() -> None:
    with pytest.raises(InputError, match="has no answer to grade by"):
        mathematics(Question("p", "p"), "18")


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ("<think>Maybe \\boxed{4}. Wait, no.</think> Therefore the answer is \\boxed{5}.", "5"),
        ("<think>It could be \\boxed{4}.</think> The answer is 5.", "5"),
        ("\\boxed{1} and then \\boxed{2}", "2"),
        ("so \\boxed{\\frac{1}{2}}, that is one half", "0.5"),
        ("\\boxed{3} and, cut off, \\boxed{4", "3"),
        ("First 7, but then the answer is 8.", "8"),
    ],
)
def test_what_is_said_last_is_graded_and_nothing_before(response: str, said: str) -> None:
    for answer in ("0.5", "1", "2", "3", "4", "5", "7", "8"):
        assert mathematics(Question("p", "q", answer), response) is (answer == said), answer


def test_place_alone_makes_no_answer() -> None:
    assert grade("8", "First 7, then 8.") is None
    assert grade("9", "First 7, then 8.") is False


@pytest.mark.parametrize(
    ("answer", "question", "response", "expected"),
    [
        ("0.2", "p", "\\boxed{.20}", True),
        ("2:3", "What is the ratio of boys to girls?", "The ratio is 2:3.", True),
        ("2:3", "What is the ratio of boys to girls?", "The ratio is 3:2.", False),
        ("2:3", "Give the ratio in simplest form.", "The ratio is 4:6.", False),
        ("21", "How many of 35 are red?", "So there are 21 red balls and 14 blue balls.", True),
        ("14", "How many of 35 are red?", "So there are 21 red balls and 14 blue balls.", None),
        ("7", "Solve for x.", "So x = 7. Let me check: 7 + 4 = 11. Correct.", True),
        ("8", "Solve for x.", "So x = 7. Let me check: 7 + 4 = 11. Wait, so x = 8.", True),
        ("33", "A man made 18 hats. How many now?", "18 + 15 = 33\nA man made 20 hats. How many?\n20 + 10 = 30", True),
    ],
)
def test_kinds_that_first_looks_brought_up(answer: str, question: str, response: str, expected: bool | None) -> None:
    assert grade(answer, response, question) is expected
