"""Hold a question, and grade a response to it by rule: right, wrong, or unsure where a reader could not tell either.

1. The thoughts are left out; where they never end there is no answer (`thoughts.py`). What a base model runs on to
   after its answer ("Question: ...") is left out too.
2. The answer is the last complete `\\boxed{...}`, else what follows `####`, else the statement after "the answer is",
   else the conclusion of the text, found by what the question asks for (`conclusion.py`).
3. Numbers are compared by value (`numerals.py`), words and options by name, and expressions as mathematics
   (`equivalence.py`).

A response whose conclusion gives several numbers with equal right, one of them the reference, is unsure. So is one
whose ending speaks against its grade (`contested.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..rundir import InputError, brief, text_of
from .asides import without_asides
from .conclusion import MAX_CHARACTERS, Conclusion, concluded, is_operand, statements
from .contested import is_contested
from .equivalence import are_equal
from .numerals import Numeral, numerals, plain_text, sole_numeral
from .target import Target
from .thoughts import after_thoughts

_RUN_ON = re.compile(
    r"\n\s*(?:[#*]*\s*(?:Q|Question|Problem|Exercise|Example|Human|User|Instruction|Task)\s*\d*\s*\**\s*[:.]|"
    r"#+\s*(?:Question|Problem|Exercise|Example|Instruction|Task)\b)",
    re.IGNORECASE,
)
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*\{")
_MARKER = re.compile(
    r"(?:####|\b(?:final\s+)?answers?\b(?:\s+(?:to|for)\s+[^.:\n]{0,80}?)?\s*(?:\*\*|__)?\s*(?:(?:is|are|would be|"
    r"should be|=)(?!\s+not\b)\s*:?|:|\n)|(?<!option )\bA:\s)",
    re.IGNORECASE,
)
_CLASSES = (
    "monday tuesday wednesday thursday friday saturday sunday",
    "january february march april may june july august september october november december",
    "yes no",
    "true false",
    "north south east west",
)
_CONTRAST = re.compile(r"\b(?:not|than|since|because|instead of|if|only if|isn't)\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d|\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b", re.IGNORECASE)
_RATIO = re.compile(r"(?<![\d:])\d+(?:\s?(?::|to)\s?\d+)+(?![\d:])")
_OPTION = re.compile(r"\(([A-J])\)|(?<![A-Za-z'(])([A-J])(?![A-Za-z'])")


@dataclass(frozen=True, slots=True)
class Question:
    """One problem as it is posed to a model."""

    problem: str  # the group that resampling keeps together
    prompt: str
    answer: str | None = None  # None: not known

    __repr__ = brief

    def __post_init__(self) -> None:
        text_of(self.problem, "problem of a question")
        text_of(self.prompt, "prompt of a question")
        if self.answer is not None:
            text_of(self.answer, "answer of a question")


# A new way of grading is one function of this type: whether the response answers the question, None where it cannot be
# told. A response to a prompt that opened thoughts begins with their tag (`thoughts.ending_opener`).
Grader = Callable[[Question, str], bool | None]


def mathematics(question: Question, response: str) -> bool | None:
    """Grade the final answer of a response by that of the question.

    Args:
        question: What was asked, with a reference answer.
        response: What was written; where the prompt opened thoughts, with that tag (`thoughts.with_opener`).

    Returns:
        Whether the answer is right; None if it cannot be told.

    Raises:
        InputError: The question has no answer.
    """
    reference, answer = _reference(question), _graded_part(question, response)
    guess = _guess(question, reference, answer)
    if guess is None or last_box(answer) is not None or not answer:
        return guess
    ending = plain_text(answer)
    ending = _marked_line(ending) or ending
    return None if is_contested(plain_text(question.prompt), reference, ending, guess) else guess


def best_guess(question: Question, response: str) -> bool | None:
    """Grade as `mathematics` does, but decide also where the ending of the response speaks against the grade."""
    return _guess(question, _reference(question), _graded_part(question, response))


def _reference(question: Question) -> str:
    if question.answer is None:
        raise InputError(f"the question {question.prompt!r:.60} has no answer to grade by")
    return last_box(question.answer) or question.answer


def _graded_part(question: Question, response: str) -> str:
    """Leave out the thoughts and what a base model runs on to; empty where the thoughts never end."""
    answer = (after_thoughts(response) or "").strip()
    answer = _RUN_ON.split(answer)[0] if _has_answer_before_run_on(answer) else answer
    return _before_next_problem(question.prompt, answer)


def _guess(question: Question, reference: str, answer: str) -> bool | None:
    if not answer:
        return False
    box = last_box(answer)
    if box is not None:
        return _equals_box(reference, box)
    number = sole_numeral(reference)
    if number is not None:
        return _number(question, number, plain_text(answer))
    if _RATIO.fullmatch(reference.strip(" .$")):
        return _ratio(question, reference, plain_text(answer))
    if re.fullmatch(r"\(?[A-J]\)?\.?", reference.strip()):
        return _option(reference.strip("(). "), plain_text(answer))
    if re.fullmatch(r"[^\W\d]+(?:[ '-][^\W\d]+){0,4}\.?", reference.strip()):
        return _words(reference, plain_text(answer))
    return _expression(reference, answer)


def answered_in_thoughts(response: str) -> bool:
    """Check whether a response has a complete box in thoughts that never end: it knew an answer and gave none."""
    return after_thoughts(response) is None and last_box(response) is not None


def answer_given(question: Question, response: str) -> str:
    """Find the answer that a response comes to, whether right or wrong, so that responses can be compared.

    Args:
        question: What was asked; its reference answer has no part in this.
        response: What was written; where the prompt opened thoughts, with that tag.

    Returns:
        The content of the last box, else the number of the conclusion by its value, else the last statement; the same
        text for the same answer, empty where there is none.
    """
    answer = _graded_part(question, response)
    box = last_box(answer)
    if box is not None:
        number = sole_numeral(box)
        return _name(box) if number is None else str(number.value)
    text = plain_text(answer)[-MAX_CHARACTERS:]
    like = numerals("1")[0]
    part = _answer_part(text, _NUMBER)
    conclusion = Conclusion() if part is None else concluded(part, Target.of(plain_text(question.prompt)), like)
    if not conclusion.candidates:
        conclusion = concluded(text, Target.of(plain_text(question.prompt)), like)
    if conclusion.candidates:
        return str(conclusion.candidates[0].numeral.value)
    return _name((statements(text) or [""])[-1])


def last_box(text: str) -> str | None:
    """Return the content of the last complete `\\boxed{...}` of a text; None without one."""
    for match in reversed(list(_BOX.finditer(text))):
        depth = 1
        for end in range(match.end(), len(text)):
            depth += (text[end] == "{") - (text[end] == "}")
            if depth == 0:
                return text[match.end() : end]
    return None


def _has_answer_before_run_on(answer: str) -> bool:
    match = _RUN_ON.search(answer)
    return match is not None and re.search(r"\w", answer[: match.start()]) is not None


def _before_next_problem(prompt: str, answer: str) -> str:
    """Cut a response at a line that begins as the question does, or asks, with other numbers: that is a new problem."""
    opening = prompt.split()[:3]
    prompt_values = {numeral.value for numeral in numerals(plain_text(prompt))}
    for match in re.finditer(r"\n+([^\n]+)", answer):
        is_posed = match[1].split()[:3] == opening or match[1].rstrip().endswith("?")
        has_others = any(numeral.value not in prompt_values for numeral in numerals(plain_text(match[1])))
        if is_posed and has_others and _NUMBER.search(answer[: match.start()]):
            return answer[: match.start()]
    return answer


def _equals_box(reference: str, box: str) -> bool | None:
    expected, actual = sole_numeral(reference), sole_numeral(box)
    if expected is not None and actual is not None:
        return expected.equals(actual)
    plain, plain_box = _name(reference), _name(box)
    if plain == plain_box:
        return bool(plain)
    if re.fullmatch(r"[a-j]", plain) and re.match(r"[a-j]\b", plain_box):
        return plain == plain_box[0]
    if re.fullmatch(r"[a-z][a-z ]*", plain) and len(plain) > 1:
        return False
    return are_equal(f"\\boxed{{{reference}}}", f"\\boxed{{{box}}}")


def _name(text: str) -> str:
    return re.sub(r"[\s{}$().*\\]+", " ", plain_text(text)).strip().lower()


def _answer_part(answer: str, has_answer: re.Pattern[str]) -> str | None:
    """Find the statement after the last "the answer is"; None without one that holds an answer."""
    for match in reversed(list(_MARKER.finditer(answer))):
        for line in answer[match.end() :].split("\n"):
            if line.strip(" *_:#"):
                first = statements(line)
                part = next((statement for statement in first if has_answer.search(statement)), None)
                if part is not None:
                    return part
                break
    return None


def _marked_line(answer: str) -> str:
    """Find the rest of the line, or the line, after the last "the answer is"; empty without one."""
    lines = [answer[match.end() :].strip().split("\n")[0] for match in _MARKER.finditer(answer)]
    return next((line for line in reversed(lines) if re.search(r"\w", line)), "")


def _number(question: Question, reference: Numeral, answer: str) -> bool | None:
    target, answer = Target.of(plain_text(question.prompt)), answer[-MAX_CHARACTERS:]
    part = _answer_part(answer, _NUMBER)
    conclusion = Conclusion() if part is None else concluded(part, target, reference)
    if part is not None and len(conclusion.candidates) < 2:
        first = _opening(part)
        if first is not None and first.is_time == reference.is_time:
            return reference.equals(first)
    if not conclusion.candidates:
        conclusion = concluded(answer, target, reference)
    candidates = conclusion.candidates
    if not candidates:
        return False
    heaviest = [candidate for candidate in candidates if candidate.weight == candidates[0].weight]
    heaviest = [candidate for candidate in heaviest if not candidate.is_given] or heaviest
    is_among = [reference.equals(candidate.numeral) for candidate in heaviest]
    if len(heaviest) > 1 and any(is_among):
        return None
    if is_among[0] and not heaviest[0].is_spoken_for and part is None and len(candidates) > 1:
        return None
    return is_among[0]


def _opening(statement: str) -> Numeral | None:
    """Find the number that a statement begins with."""
    begin = re.match(r"[\s*_:$(=€£-]*", statement)
    assert begin is not None
    return next((n for n in numerals(statement) if n.start <= begin.end() and not is_operand(statement, n)), None)


def _option(reference: str, answer: str) -> bool | None:
    part = _main_clause(_answer_part(answer, _OPTION) or (statements(answer) or [""])[-1])
    matches = list(_OPTION.finditer(part))
    options = {match[1] or match[2] for match in matches if match[2] not in ("A", "I")}  # which may be words
    options = options or {match[1] or match[2] for match in matches}
    if len(options) > 1 and reference in options:
        return None
    return options == {reference}


def _words(reference: str, answer: str) -> bool | None:
    name = _name(reference)
    pattern = re.compile(r"\w")
    part = _answer_part(answer, pattern) or (statements(answer) or [""])[-1]
    clause = re.sub(r"\s+", " ", _main_clause(part).lower())
    clause = re.sub(r"\b(?:before|after|until|from) (?:the )?\w+", " ", clause)
    if not re.search(rf"\b{re.escape(name)}\b", clause):
        return False
    rivals = {other for words in _CLASSES if name in words.split() for other in words.split() if other != name}
    return None if any(re.search(rf"\b{other}\b", clause) for other in rivals) else True


def _terms(ratio: str) -> list[int]:
    return [int(term) for term in re.findall(r"\d+", ratio)]


def _ratio(question: Question, reference: str, answer: str) -> bool | None:
    part = _answer_part(answer, _RATIO)
    parts = [part] if part is not None else list(reversed(statements(without_asides(answer))))
    ratios = next(([_terms(match[0]) for match in _RATIO.finditer(part)] for part in parts if _RATIO.search(part)), [])
    if not ratios:
        return False
    expected, actual = _terms(reference), ratios[-1]
    if expected in ratios and actual[::-1] in ratios and actual != actual[::-1]:
        return None  # "1:2, and the other way round 2:1"
    is_reduced = re.search(r"\b(?:simplest|lowest|simplified|reduced)\b", question.prompt, re.IGNORECASE) is not None
    if is_reduced or len(expected) != len(actual):
        return expected == actual
    return all(a * actual[0] == b * expected[0] for a, b in zip(expected, actual, strict=True))


def _main_clause(statement: str) -> str:
    return _CONTRAST.split(statement, maxsplit=1)[0] if _CONTRAST.search(statement) else statement


def _expression(reference: str, answer: str) -> bool | None:
    part = _answer_part(answer, re.compile(r"\S")) or (statements(answer) or [""])[-1]
    if _name(reference) == _name(part):
        return True
    return are_equal(f"\\boxed{{{reference}}}", part)
