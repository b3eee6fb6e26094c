"""Find the number that the conclusion of a response gives as its answer, as a reader would.

1. Statements are read from the end: sentences, and what follows "so" within one. Suppositions ("If he had 4, he would
   have 16") and statements without a number are passed over.
2. Each number of a statement is weighed by what speaks for it: it is the result of the last equation, it has the noun,
   currency or unit that the question asks for, it follows "is" or "costs"; and against it: it
   follows a preposition ("for 6 days", "of the 27 players"), stands in a side clause ("because", "not", "than"), or
   is given in the question. Operands of equations do not count.
3. The last statement whose best number is spoken for is the conclusion. Its place alone never decides: an earlier
   statement for which more speaks, with the question's words, is the conclusion instead, unless the last one concludes
   ("so"), agrees with the last equation or tells of a change ("now", "but").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .asides import without_asides
from .numerals import Numeral, numerals
from .target import PREPOSITIONS, SENTENCE_END, Target, leading_nouns, word_stems

N_STATEMENTS = 5  # from the end that are read
MAX_NUMERALS = 40  # of a statement, from its end
MAX_CHARACTERS = 4000  # of a text, from its end
WINDOW = 300  # characters around a number that tell what it is

_DETERMINED = re.compile(
    rf"\b(?:{'|'.join(sorted(PREPOSITIONS))}|each)\s+(?:the|his|her|their|its|these|those)\W*$", re.IGNORECASE
)
_RESULT_OF = re.compile(
    r"\b(?:total|profit|sum|speed|average|answer|result|cost|price|number|value|rate|age|difference|product|amount|"
    r"minimum|maximum|loss|savings?|revenue|salary|discount|tip|area|volume|perimeter|length|distance)\s+of\s*(?:about\s*)?$"
    r"|\b(?:comes?|equals?|amounts?|adds?\s+up|add\s+up|leads?|sums?)\s+(?:out\s+)?to\s*$",
    re.IGNORECASE,
)
_COPULA = re.compile(
    r"(?:\b(?:that|it|this)'s|\b(?:is|are|was|were|be|costs?|cost|makes?|made|needs?|takes?|took|has|have|had|gets?|got|holds?|pays?|paid|equals?|"
    r"earns?|earned|leaves?|gives?|spends?|spent|sells?|sold|buys?|bought|means?|means that|eats?|ate|drinks?))\s*:?"
    r"(?:\s+(?:now|about|only|exactly|therefore|then|also|still|a|an|the|total|of|in|all|left|with))*\s*$",
    re.IGNORECASE,
)
_WOULD_IF = re.compile(
    r"(?=.*\bwould\b).*\b(?:if|with|without|more|need|otherwise|had|instead|too|were)\b", re.IGNORECASE | re.DOTALL
)
_SIDE = re.compile(
    r"[,;(]?\s*\b(?:since|because|"
    r"as (?!well|an? (?:fraction|percent|percentage|decimal|ratio|result|total|whole))|than|not|instead of|rather than|"
    r"so that(?!\s+(?:makes|gives|leaves|is|means|comes)\b)|if|where|while|whereas|"
    r"near|"
    r"unless|which would|and not|too|even though|although|but if|for (?:each|every) of)\b",
    re.IGNORECASE,
)
_MINOR = re.compile(r",\s*(?:which|up|down|with|and|above|below|more|at|out)\b|;", re.IGNORECASE)
_SO = re.compile(
    r"[,;.:]?\s+(?=(?:and\s+)?(?:so|therefore|thus|hence|consequently)\b(?!\s+(?:that(?!\s+(?:makes|gives|leaves|is|means|comes)\b)|far|on|many|much))[,:]?\s)",
    re.IGNORECASE,
)
_OTHER_TIME = re.compile(
    r"\bin \w+ (?:years|months|weeks|days|hours)\b[^.]*\bwill\b|\bwill\b[^.]*\bin \w+ years\b|\bago\b", re.IGNORECASE
)
_CHANGE = re.compile(
    r"\W*(?:and\s+)?(?:now|but|then|finally|however|wait|no|actually|afterwards|later|in the end|at last)\b",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(r"\W*(?:and\s+)?(?:so|therefore|thus|hence|consequently|in total|altogether)\b", re.IGNORECASE)
_OPERATOR_AFTER = re.compile(
    r"\s*\)*\s*(?:[A-Za-z%]+\s+){0,3}\(?\s*(?:[+*×÷·=/]|-\s*[\d$(a-z]|x\s*[\d$(]|"
    r"(?:times|plus|minus|divided by|multiplied by)\b)",
    re.IGNORECASE,
)
_OPERATOR_BEFORE = re.compile(
    r"(?:[+*×÷·/^]|(?<=[\dA-Za-z)%])\s*-|\bx|\btimes|\bplus|\bminus|\bdivided by|\bmultiplied by)\s*\(?\s*[$€£]?\s*$",
    re.IGNORECASE,
)
_RESULT_BEFORE = re.compile(r"(?:=|≈|\bequals|\bgives)\s*[$€£(]?\s*\**\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A number of a statement, and how much speaks for it."""

    numeral: Numeral
    weight: int
    is_spoken_for: bool  # something beside its place does
    is_result: bool  # it is that of the last equation
    is_given: bool  # by the question
    is_change: bool  # its statement says what has become of an earlier number


def statements(text: str) -> list[str]:
    """Split a text into sentences, and at every "so" that begins a conclusion."""
    return [part for line in SENTENCE_END.split(text) for part in _SO.split(line) if part.strip()]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The numbers of the concluding statement, heaviest first."""

    candidates: tuple[Candidate, ...] = ()


def concluded(text: str, target: Target, like: Numeral) -> Conclusion:
    """Find the conclusion of a text and weigh its numbers.

    Args:
        text: A response or the part of it that answers, made plain.
        target: What the question asks for.
        like: A number or a time: only these are weighed.

    Returns:
        The numbers of the conclusion; none if no statement holds one.
    """
    shorter = without_asides(text)
    if shorter != text:
        conclusion = concluded(shorter, target, like)
        if conclusion.candidates and conclusion.candidates[0].is_spoken_for:
            return conclusion
    parts = statements(text)
    spoken: list[tuple[int, list[Candidate]]] = []  # statements with a number that is spoken for, from the last
    fallback: list[Candidate] = []
    n_read = 0
    for index in range(len(parts) - 1, -1, -1):
        statement = _without_supposition(parts[index], target)
        candidates = _weighed(statement, _last_result(parts[: index + 1], like), target, like)
        if not candidates:
            continue
        n_read += 1
        if candidates[0].is_spoken_for:
            spoken.append((candidates[0].weight + min(3, len(word_stems(statement) & target.words)), candidates))
            if len(spoken) == 1 and (_CONCLUDES.match(statement) or candidates[0].is_result):
                return Conclusion(tuple(candidates))
        elif not fallback or candidates[0].weight > fallback[0].weight:
            fallback = candidates
        if n_read == N_STATEMENTS:
            break
    if not spoken:
        return Conclusion(tuple(fallback))
    last_weight, last = spoken[0]
    rivals = [candidates for weight, candidates in spoken[1:] if weight > last_weight]
    is_change = last[0].is_change or not rivals or rivals[0][0].numeral.equals(last[0].numeral)
    return Conclusion(tuple(last if is_change else rivals[0]))


def _without_supposition(statement: str, target: Target) -> str:
    """Leave out the clauses that say what would be, and what is at another time than the question's."""
    if target.is_now and _OTHER_TIME.search(statement):
        return ""
    if target.is_hypothetical or not re.search(r"\bwould\b|\bif\b|\bhad\b|\bwere\b", statement, re.IGNORECASE):
        return statement
    if _is_supposition(re.split(r",\s", statement)[0]):
        return ""
    clauses = re.split(r"(?=,\s(?:and|but|or|while|though|whereas)\b)|(?=;)", statement)
    return "".join(clause for clause in clauses if not _is_supposition(clause))


def _is_supposition(statement: str) -> bool:
    begins = re.match(r"\W*(?:if|suppose|imagine|let)\b", statement, re.IGNORECASE) is not None
    return bool(_WOULD_IF.search(statement)) or (
        begins and bool(re.search(r"\b(?:had|were|let)\b", statement, re.IGNORECASE))
    )


def _last_result(parts: Sequence[str], like: Numeral) -> Numeral | None:
    """Find the result of the last equation."""
    for part in reversed(parts):
        for numeral in reversed(_of_kind(part, like)):
            if is_result(part, numeral):
                return numeral
    return None


def is_operand(text: str, numeral: Numeral) -> bool:
    """Check whether a number of a text is within an equation, not its result."""
    if _OPERATOR_AFTER.match(text, numeral.end):
        return True
    before = text[max(numeral.start - WINDOW, 0) : numeral.start]
    return bool(_OPERATOR_BEFORE.search(before)) and not _RESULT_BEFORE.search(before)


def is_result(text: str, numeral: Numeral) -> bool:
    """Check whether a number of a text is what an equation comes to."""
    before = text[max(numeral.start - WINDOW, 0) : numeral.start]
    return bool(_RESULT_BEFORE.search(before)) and not is_operand(text, numeral)


def _of_kind(text: str, like: Numeral) -> list[Numeral]:
    return [numeral for numeral in numerals(text) if numeral.is_time == like.is_time][-MAX_NUMERALS:]


def _weighed(statement: str, result: Numeral | None, target: Target, like: Numeral) -> list[Candidate]:
    best: dict[object, Candidate] = {}
    for numeral in _of_kind(statement, like):
        candidate = _weigh(statement, numeral, result, target)
        if candidate is not None:
            key = (numeral.value, numeral.is_percent)
            if key not in best or best[key].weight < candidate.weight:
                best[key] = candidate
    return sorted(best.values(), key=lambda candidate: -candidate.weight)


def _weigh(statement: str, numeral: Numeral, result: Numeral | None, target: Target) -> Candidate | None:
    before = statement[max(numeral.start - WINDOW, 0) : numeral.start]
    after = statement[numeral.end : numeral.end + WINDOW]
    if is_operand(statement, numeral):
        return None
    last_word = (re.findall(r"[A-Za-z]+", before[-25:].lower()) or [""])[-1]
    is_adjacent = re.search(r"[A-Za-z]\W{0,4}$", before) is not None and not re.search(r"[.:=]\W*$", before)
    has_unit = _has_unit(numeral, after, target)
    if numeral.is_word and not has_unit and after.strip(" .*!"):
        return None  # "one of them"
    is_result = bool(_RESULT_BEFORE.search(before))
    is_agreed = result is not None and numeral.equals(result)
    follows_copula = bool(_COPULA.search(before.rstrip("*_$ ") + " "))
    follows_copula |= numeral.is_time and re.search(r"\b(?:ends?|at)\s*$", before) is not None
    weight = 2 * is_result + 2 * is_agreed + 2 * has_unit + follows_copula
    is_at_time = numeral.is_time and last_word == "at"
    weight -= 2 * (last_word in PREPOSITIONS and is_adjacent and not is_at_time and not _RESULT_OF.search(before))
    weight -= 3 * (numeral.is_time and re.search(r"\b(?:before|after|until|from|since)\b[^.;]*$", before) is not None)
    if _DETERMINED.search(before):
        weight -= 2
    is_given = any(numeral.equals(value) for value in target.values)
    weight -= 2 * is_given
    weight -= 4 * (
        not target.is_negative
        and re.match(r"[^.,;]*?\b(?:are|is|were|was|do|does|did)(?:n't| not)\b", after) is not None
    )
    weight -= 2 * (not has_unit and _has_other_unit(numeral, after, target))
    clause = re.split(r"[;(]|,\s|\band\b", before)[-1]
    if _SIDE.search(before) and not (is_result and "(" in before and not re.search(r"\bnot\b|\bthan\b", clause)):
        weight -= 4
    elif _MINOR.search(before):
        weight -= 1
    is_comparison = re.match(
        r"[^.,;\d]{0,30}?\b(?:(?:more|less|fewer)\b[^.,;\d]{0,25}?|[a-z]{2,}er)\s+than\b", after, re.IGNORECASE
    )
    is_side_comparison = is_comparison is not None and not target.is_comparison
    weight -= 3 * is_side_comparison
    is_total = re.match(r"\s*(?:[A-Za-z]+\s)?(?:in total|in all|altogether)\b", after) is not None
    weight += is_total
    is_spoken_for = (
        weight > 0 and not is_side_comparison and (is_total or is_result or is_agreed or has_unit or follows_copula)
    )
    weight += min(2, len(word_stems(clause + " " + re.split(r"[,;.(]\s|,$|\band\b", after)[0]) & target.words) // 2)
    condition = re.search(r"\b(?:after|in|for)\s+[^,;.]*$", re.split(r"[;(]|,\s", before)[-1], re.IGNORECASE)
    if condition is not None and any(
        number.equals(value) for number in numerals(condition[0]) for value in target.values
    ):
        weight += 1
    return Candidate(
        numeral, weight, is_spoken_for, is_result or is_agreed, is_given, _CHANGE.match(statement) is not None
    )


def _has_other_unit(numeral: Numeral, after: str, target: Target) -> bool:
    """Check whether a number counts something else than the question asks for."""
    if target.is_amount or not (target.nouns or target.is_money or target.is_percent):
        return False
    if numeral.is_money:
        return True
    match = re.match(r"\s*([A-Za-z]{3,})", after)
    return match is not None and bool(leading_nouns(match[1]))


def _has_unit(numeral: Numeral, after: str, target: Target) -> bool:
    if target.predicate and re.match(rf"\s+(?:[A-Za-z]+\s+){{0,4}}{target.predicate}\b", after, re.IGNORECASE):
        return True
    if numeral.is_money:
        return target.is_money
    if numeral.is_percent:
        return target.is_percent
    if target.is_money and re.match(r"\s*(?:dollars|cents|euros|pounds|bucks)\b", after, re.IGNORECASE):
        return True
    match = re.match(r"[\s*$_-]*((?:[A-Za-z'-]+[\s*]*){1,4})", after)
    return match is not None and bool(leading_nouns(match[1]) & target.nouns)
