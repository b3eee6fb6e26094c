"""Read what a question asks for: its noun or unit, money, percent, and the numbers that it gives."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .numerals import NUMBER, WORDS, Numeral, numerals

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
PREPOSITIONS = set(
    "over of for at in from to with within by after before than all on every since as between until another only first "
    "last next under above below every around near through during without except per both these those other".split()
)
SENTENCE_END = re.compile(r"(?<=[.!?])(?<!\b[A-Z]\.)(?<!\bvs\.)\**[\"')]*\s+(?=\S)|\n+")


@dataclass(frozen=True, slots=True)
class Target:
    """What a question asks for."""

    nouns: frozenset[str]
    is_amount: bool  # "how much water": the answer may be in litres
    is_money: bool
    is_percent: bool
    is_comparison: bool
    is_hypothetical: bool
    is_negative: bool  # "are not"
    is_now: bool  # asks for the present, beside other times
    predicate: str  # "red" of "how many are red"
    values: tuple[Numeral, ...]  # that the question gives
    words: frozenset[str]

    @classmethod
    def of(cls, question: str) -> Target:
        """Read the last question of a problem."""
        sentences = [part for part in SENTENCE_END.split(question) if part.strip()] or [""]
        last = next((part for part in reversed(sentences) if "?" in part), sentences[-1])
        lowered = last.lower()
        nouns: set[str] = set()
        for match in re.finditer(
            r"\b(?:how many|number of|what fraction of|how much)\s+((?:[a-z'-]+\s*){1,6})", lowered
        ):
            nouns |= leading_nouns(match[1])
        for match in re.finditer(r"\bin ((?:[a-z]+ ?){1,3}?)(?= per\b|,|\?| does| do| is| did| will)", lowered):
            nouns |= leading_nouns(match[1])
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
        predicate = re.search(
            r"\bhow many(?: of [a-z ]+?)? (?:are|were|is) (?!not\b|there\b|left\b)([a-z]{3,})", lowered
        )
        is_money = not (nouns - {"dollar", "cent", "euro", "money", "profit"}) and (
            bool(_MONEY.search(last))
            or (not nouns and "how much" in lowered and any(value.is_money for value in numerals(question)))
        )
        return cls(
            nouns=frozenset(nouns),
            is_amount="how much" in lowered and not is_money,
            is_money=is_money,
            is_percent=bool(re.search(r"percent|per cent|%", lowered)),
            is_comparison=bool(re.search(r"\b(?:more|less|fewer|[a-z]{2,}er)\b.*\bthan\b", lowered)),
            is_hypothetical=bool(re.search(r"\b(?:would|if|had)\b", lowered)),
            is_negative=re.search(r"\bnot\b|n't\b", lowered) is not None,
            is_now=re.search(r"\b(?:now|currently|today|at present)\b", lowered) is not None,
            predicate=predicate[1] if predicate else "",
            values=tuple(numerals(question)),
            words=frozenset(_stem(word) for word in re.findall(r"[a-z]+", lowered) if word not in _AUXILIARY),
        )


def leading_nouns(words: str) -> set[str]:
    """Collect the stems of the noun that a phrase begins with, up to the first word that ends it."""
    stems: set[str] = set()
    for word in re.findall(r"[A-Za-z']+", words.lower()):
        if word in _AUXILIARY or word in PREPOSITIONS and word not in ("other",) or word == "and":
            break
        if word not in _FILLERS and word not in WORDS:
            stems.add(_stem(word))
        if len(stems) == 3:
            break
    return stems


def word_stems(text: str) -> frozenset[str]:
    """Collect the words of a text without their plural s; numbers are none."""
    return frozenset(_stem(word) for word in re.findall(r"[a-z]+", NUMBER.sub(" ", text).lower()))


def _stem(word: str) -> str:
    return word[:-1] if word.endswith("s") and len(word) > 2 else word
