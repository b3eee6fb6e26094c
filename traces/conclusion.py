"""Find the number that the conclusion of a response gives as its answer, as a reader would.

1. Statements are read from the end: sentences, and what follows "so" within one. Suppositions ("If he had 4, he would
   have 16") and statements without a number are passed over.
2. Each number of a statement is weighed by what speaks for it: it is the result of the last equation, it has the noun,
   currency or unit that the question asks for, it follows "is" or "costs"; and against it: it
   follows a preposition ("for 6 days", "of the 27 players"), stands in a side clause ("because", "not", "than"), or
   is given in the question. Operands of equations do not count.
3. The first statement whose best number is spoken for is the conclusion. Its place alone never decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .numerals import NUMBER, WORDS, Numeral, numerals

N_STATEMENTS = 5  # from the end that are read
MAX_NUMERALS = 40  # of a statement, from its end
MAX_CHARACTERS = 4000  # of a text, from its end
WINDOW = 300  # characters around a number that tell what it is

_AUXILIARY = set(
    "do does did is are was were will would can could has have had must should may might be in on at of for to from "
    "per there they he she it we you each every if when after before that".split()
)
_MONEY = re.compile(
    r"\b(?:dollars?|cents?|euros?|pounds?|money|\$|cost|costs|price|pay|pays|paid|earn|earns|earnings|spend|spends|spent|profit|"
    r"salary|save|saves|charge[ds]?|owe[sd]?|rent|income|revenue|bill)\b|[$€£]",
    re.IGNORECASE,
)
_FILLERS = set("more additional total whole full new other different extra fewer less a an the single equal".split())
_PREPOSITIONS = set(
    "over of for at in from to with within by after before than all on every since as between until another only first "
    "last next under above below every around near through during without except per both these those other".split()
)
_DETERMINED = re.compile(
    rf"\b(?:{'|'.join(sorted(_PREPOSITIONS))}|each)\s+(?:the|his|her|their|its|these|those)\W*$", re.IGNORECASE
)
_RESULT_OF = re.compile(
    r"\b(?:total|profit|sum|speed|average|answer|result|cost|price|number|value|rate|age|difference|product|amount|"
    r"minimum|maximum|loss|savings?|revenue|salary|discount|tip|area|volume|perimeter|length|distance)\s+of\s*(?:about\s*)?$"
    r"|\b(?:comes?|equals?|amounts?|adds?\s+up|add\s+up|leads?|sums?)\s+(?:out\s+)?to\s*$",
    re.IGNORECASE,
)
_COPULA = re.compile(
    r"\b(?:is|are|was|were|be|costs?|cost|makes?|made|needs?|takes?|took|has|have|had|gets?|got|holds?|pays?|paid|equals?|"
    r"earns?|earned|leaves?|gives?|spends?|spent|sells?|sold|buys?|bought|means?|means that|eats?|ate|drinks?)\s*:?"
    r"(?:\s+(?:now|about|only|exactly|therefore|then|also|still|a|an|the|total|of|in|all|left|with))*\s*$",
    re.IGNORECASE,
)
_SIDE = re.compile(
    r"[,;(]?\s*\b(?:since|because|as (?!well)|than|not|instead of|rather than|so that|if|where|while|whereas|near|"
    r"unless|which would|and not|too|even though|although|but if|for (?:each|every) of)\b",
    re.IGNORECASE,
)
_MINOR = re.compile(r",\s*(?:which|up|down|with|and|above|below|more|at|out)\b|;", re.IGNORECASE)
_SO = re.compile(
    r"[,;.:]?\s+(?:and\s+)?(?:so|therefore|thus|hence|consequently)\b(?!\s+(?:that|far|on|many|much))[,:]?\s+", re.I
)
_STOP = re.compile(r"(?<=[.!?])(?<!\b[A-Z]\.)(?<!\bvs\.)\**[\"')]*\s+(?=\S)|\n+")
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


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question asks for."""

    nouns: frozenset[str]
    is_money: bool
    is_percent: bool
    is_comparison: bool
    is_hypothetical: bool
    values: tuple[Numeral, ...]  # that the question gives
    words: frozenset[str]

    @classmethod
    def of(cls, question: str) -> Asked:
        """Read the last question of a problem."""
        sentences = [part for part in _STOP.split(question) if part.strip()] or [""]
        last = next((part for part in reversed(sentences) if "?" in part), sentences[-1])
        lowered = last.lower()
        nouns: set[str] = set()
        for match in re.finditer(
            r"\b(?:how many|number of|what fraction of|how much)\s+((?:[a-z'-]+\s*){1,6})", lowered
        ):
            nouns |= _leading(match[1])
        for match in re.finditer(r"\bin ((?:[a-z]+ ?){1,3}?)(?= per\b|,|\?| does| do| is| did| will)", lowered):
            nouns |= _leading(match[1])
        if "how old" in lowered or re.search(r"\bage\b", lowered):
            nouns |= {"year"}
        if "how long" in lowered:
            nouns |= {
                "second",
                "minute",
                "hour",
                "day",
                "week",
                "month",
                "year",
                "metre",
                "meter",
                "cm",
                "inche",
                "foot",
            }
        if "how far" in lowered or "distance" in lowered:
            nouns |= {"mile", "meter", "metre", "km", "kilometer", "kilometre", "feet", "foot", "block"}
        is_money = not (nouns - {"dollar", "cent", "euro", "money", "profit"}) and bool(_MONEY.search(last))
        return cls(
            nouns=frozenset(nouns),
            is_money=is_money,
            is_percent=bool(re.search(r"percent|per cent|%", lowered)),
            is_comparison=bool(re.search(r"\b(?:more|less|fewer|[a-z]{2,}er)\b.*\bthan\b", lowered)),
            is_hypothetical=bool(re.search(r"\b(?:would|if|had)\b", lowered)),
            values=tuple(numerals(question)),
            words=frozenset(_stem(word) for word in re.findall(r"[a-z]+", lowered) if word not in _AUXILIARY),
        )


def statements(text: str) -> list[str]:
    """Split a text into sentences, and at every "so" that begins a conclusion."""
    return [part for line in _STOP.split(text) for part in _SO.split(line) if part.strip()]


def concluded(text: str, asked: Asked, like: Numeral) -> list[Candidate]:
    """Weigh the numbers of the conclusion of a text.

    Args:
        text: A response or the part of it that answers, made plain.
        asked: What the question asks for.
        like: A number or a time: only these are weighed.

    Returns:
        The numbers of the conclusion, heaviest first; empty if there is none.
    """
    parts = statements(text)
    fallback: list[Candidate] = []
    read = 0
    for index in range(len(parts) - 1, -1, -1):
        statement = _without_supposition(parts[index], asked)
        candidates = _weighed(statement, _last_result(parts[: index + 1], like), asked, like)
        if not candidates:
            continue
        read += 1
        if candidates[0].is_spoken_for:
            return candidates
        if not fallback or candidates[0].weight > fallback[0].weight:
            fallback = candidates
        if read == N_STATEMENTS:
            break
    return fallback


def _without_supposition(statement: str, asked: Asked) -> str:
    """Leave out the clauses that say what would be."""
    if asked.is_hypothetical or not re.search(r"\bwould\b|\bif\b|\bhad\b|\bwere\b", statement, re.IGNORECASE):
        return statement
    if _is_supposition(re.split(r",\s", statement)[0]):
        return ""
    clauses = re.split(r"(?=,\s(?:and|but|or|while|though|whereas)\b)|(?=;)", statement)
    return "".join(clause for clause in clauses if not _is_supposition(clause))


def _is_supposition(statement: str) -> bool:
    begins = re.match(r"\W*(?:if|suppose|imagine|let)\b", statement, re.IGNORECASE) is not None
    return bool(re.search(r"\bwould\b", statement, re.IGNORECASE)) or (
        begins and bool(re.search(r"\b(?:had|were|let)\b", statement, re.IGNORECASE))
    )


def _last_result(parts: Sequence[str], like: Numeral) -> Numeral | None:
    """The result of the last equation."""
    for part in reversed(parts):
        for numeral in reversed(_of_kind(part, like)):
            if _RESULT_BEFORE.search(part[max(numeral.start - WINDOW, 0) : numeral.start]) and not _is_operand(
                part, numeral
            ):
                return numeral
    return None


def _is_operand(text: str, numeral: Numeral) -> bool:
    if _OPERATOR_AFTER.match(text, numeral.end):
        return True
    before = text[max(numeral.start - WINDOW, 0) : numeral.start]
    return bool(_OPERATOR_BEFORE.search(before)) and not _RESULT_BEFORE.search(before)


def _of_kind(text: str, like: Numeral) -> list[Numeral]:
    return [numeral for numeral in numerals(text) if numeral.is_time == like.is_time][-MAX_NUMERALS:]


def _weighed(statement: str, result: Numeral | None, asked: Asked, like: Numeral) -> list[Candidate]:
    best: dict[object, Candidate] = {}
    for numeral in _of_kind(statement, like):
        candidate = _weigh(statement, numeral, result, asked)
        if candidate is not None:
            key = (numeral.value, numeral.is_percent)
            if key not in best or best[key].weight < candidate.weight:
                best[key] = candidate
    return sorted(best.values(), key=lambda candidate: -candidate.weight)


def _weigh(statement: str, numeral: Numeral, result: Numeral | None, asked: Asked) -> Candidate | None:
    before = statement[max(numeral.start - WINDOW, 0) : numeral.start]
    after = statement[numeral.end : numeral.end + WINDOW]
    if _is_operand(statement, numeral):
        return None
    last_word = (re.findall(r"[A-Za-z]+", before[-25:].lower()) or [""])[-1]
    is_adjacent = re.search(r"[A-Za-z]\W{0,4}$", before) is not None and not re.search(r"[.:=]\W*$", before)
    has_unit = _has_unit(numeral, after, asked)
    if numeral.is_word and not has_unit and after.strip(" .*!"):
        return None  # "one of them"
    is_result = bool(_RESULT_BEFORE.search(before))
    is_agreed = result is not None and numeral.equals(result)
    follows_copula = (
        numeral.is_time
        and re.search(r"\b(?:ends?|at|is)\s*$", before) is not None
        or bool(_COPULA.search(before.rstrip("*_$ ") + " "))
    )
    weight = 2 * is_result + 2 * is_agreed + 2 * has_unit + follows_copula
    is_at_time = numeral.is_time and last_word == "at"
    weight -= 2 * (last_word in _PREPOSITIONS and is_adjacent and not is_at_time and not _RESULT_OF.search(before))
    weight -= 3 * (numeral.is_time and re.search(r"\b(?:before|after|until|from|since)\b[^.;]*$", before) is not None)
    if _DETERMINED.search(before):
        weight -= 2
    weight -= 2 * any(numeral.equals(value) for value in asked.values)
    weight -= bool(asked.is_money and not numeral.is_money and re.match(r"\s*[a-z]{3,}", after) and not has_unit)
    clause = re.split(r"[;(]|,\s", before)[-1]
    if _SIDE.search(before) and not (is_result and "(" in before and not re.search(r"\bnot\b|\bthan\b", clause)):
        weight -= 4
    elif _MINOR.search(before):
        weight -= 1
    is_comparison = re.match(r"[^.,;\d]{0,30}?\b(?:more|less|fewer|[a-z]{2,}er)\s+than\b", after, re.IGNORECASE)
    weight -= 3 * bool(is_comparison and not asked.is_comparison)
    is_spoken_for = weight > 0 and (is_result or is_agreed or has_unit or follows_copula)
    weight += min(2, len(_words(clause + " " + re.split(r"[,;.(]\s|,$", after)[0]) & asked.words) // 2)
    return Candidate(numeral, weight, is_spoken_for)


def _has_unit(numeral: Numeral, after: str, asked: Asked) -> bool:
    if numeral.is_money:
        return asked.is_money
    if numeral.is_percent:
        return asked.is_percent
    if asked.is_money and re.match(r"\s*(?:dollars|cents|euros|pounds|bucks)\b", after, re.IGNORECASE):
        return True
    match = re.match(r"[\s*$_-]*((?:[A-Za-z'-]+[\s*]*){1,4})", after)
    return match is not None and bool(_leading(match[1]) & asked.nouns)


def _leading(words: str) -> set[str]:
    """Stems of the noun that a phrase begins with: up to the first word that ends it."""
    stems: set[str] = set()
    for word in re.findall(r"[A-Za-z']+", words.lower()):
        if word in _AUXILIARY or word in _PREPOSITIONS and word not in ("other",) or word == "and":
            break
        if word not in _FILLERS and word not in WORDS:
            stems.add(_stem(word))
        if len(stems) == 3:
            break
    return stems


def _words(text: str) -> frozenset[str]:
    return frozenset(_stem(word) for word in re.findall(r"[a-z]+", NUMBER.sub(" ", text).lower()))


def _stem(word: str) -> str:
    return word[:-1] if word.endswith("s") and len(word) > 2 else word
