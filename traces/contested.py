"""Check whether the ending of a response holds what speaks against its grade.

A rule that finds the answer of prose fails where a reader does not, and it fails to one side: it refuses right answers,
which base models give in prose and tuned ones in boxes. So a wrong grade stands only where the reference is not in the
ending at all, except as the question gives it or within an equation; and a right one only where the response does not
leave it open which of its answers it means.
"""

from __future__ import annotations

import re

from .conclusion import is_operand, is_result, statements
from .numerals import numerals, sole_numeral
from .target import Target

N_STATEMENTS = 5  # from the end of a response: its ending

_HEDGE = re.compile(
    r"\b(?:either of|either way|both (?:readings|answers|are possible)|(?:could|might) be .*\bor\b|not sure|"
    r"options? [AB1]\b|which (?:one )?you (?:meant|mean|want))",
    re.IGNORECASE | re.DOTALL,
)
_NONE = re.compile(r"\b(?:no|none|nothing|zero|not (?:any|a single)|without)\b", re.IGNORECASE)


def is_contested(prompt: str, reference: str, text: str, grade: bool) -> bool:
    """Check whether a grade of a response without a box may be wrong.

    Args:
        prompt: The question, made plain.
        reference: Its answer.
        text: What follows "the answer is"; without that the response after its thoughts, made plain.
        grade: What the rule found.

    Returns:
        Of a wrong answer, whether its ending holds the reference; of a right one, whether it hedges.
    """
    ending = statements(text)[-N_STATEMENTS:]
    if grade:
        return _HEDGE.search(" ".join(ending)) is not None
    number = sole_numeral(reference)
    if number is None:
        name = re.escape(reference.strip(" .()").lower())
        return any(re.search(rf"(?<!\w){name}(?!\w)", statement.lower()) for statement in ending)
    if number.value == 0 and any(map(_NONE.search, ending)):
        return True
    is_given = any(number.equals(value) for value in Target.of(prompt).values)
    return any(
        number.equals(numeral) and (is_result(statement, numeral) if is_given else not is_operand(statement, numeral))
        for statement in ending
        for numeral in numerals(statement)
    )
