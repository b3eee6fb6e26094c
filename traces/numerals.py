"""Read the numbers and times of day in a text as a reader does, whatever digits, signs and separators they are of.

Text is first made plain (`plain_text`): thin spaces, the minus of typesetting, digits of other scripts, superscripts
and the LaTeX around numbers become ASCII. A number may have a currency, separators, a fraction (also mixed, `2 1/2`),
a power of ten or a percent sign, or be a word. A time of day (`7:45`) is no number.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

MAX_DIGITS = 400  # longer ones are no numbers that anyone means, and cost much
MAX_EXPONENT = 400

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_MINUS = re.compile("[\u2212\u2010\u2011\ufe63\uff0d]")
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff]")
_VULGAR = re.compile(r"(\d?)([\u00bc-\u00be\u2150-\u215e])")
_BOLD = re.compile(r"(?<!\d)\*\*|\*\*(?!\s?\d)|__")
_GROUPS = re.compile(r"(?<![\d.,/] )(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d,/]| ?/)")
_LATEX = (
    (re.compile(r"\\(?:left|right|displaystyle|quad|qquad)\b"), ""),
    (re.compile(r"(?<=\d)(?:\\[,!:; ]|\{,\}|,\\!)(?=\d{3}(?!\d))"), ","),
    (re.compile(r"\\[,!:; ]|\\\(|\\\)|\\\[|\\\]|~"), " "),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z])"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])"), "/"),
    (re.compile(r"\\(?:d|t|c)?frac\s*\{\s*(-?\d+)\s*\}\s*\{\s*(\d+)\s*\}"), r" \1/\2 "),
    (re.compile(r"\\(?:d|t|c)?frac\s*(\d)\s*(\d)"), r" \1/\2 "),
    (re.compile(r"\^\s*\{\s*\\circ\s*\}|\^\s*\\circ|\\degree|°"), " degrees "),
    (re.compile(r"\^\s*\{\s*([-+]?\d+)\s*\}"), r"^\1"),
    (re.compile(r"\\([$%#&])"), r"\1"),
)

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
_UNITS += "seventeen eighteen nineteen".split()
_TENS = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True))
WORDS = {word: number for number, word in enumerate(_UNITS)} | _TENS
_WORD = "|".join(sorted(WORDS, key=len, reverse=True))

_BELOW_100 = rf"(?:{_WORD})(?:[- ](?:{'|'.join(_UNITS[1:10])}))?(?!-?\w)"

_PLAIN = r"(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
NUMBER = re.compile(
    rf"""(?<![\w.\\])
    (?P<sign>(?<![\d)\w%]\s)(?<![\d)\w%])[-+]\s?)?
    (?P<currency>[$€£¥₹])?\s?(?P<late_sign>-)?
    (?:(?P<whole>\d+)[ ]+(?P<top>\d+)\s?/\s?(?P<bottom>\d+)(?!\d|\.\d)
     |(?P<numerator>{_PLAIN})\s?/\s?(?P<denominator>{_PLAIN})
     |(?P<mantissa>{_PLAIN})(?:\s?(?:x|×|\*|·)\s?10\s?(?:\^|\*\*)\s?(?P<power>[-+]?\d+)|[eE](?P<e_power>[-+]?\d+)(?!\w))
     |(?P<plain>{_PLAIN})
     |(?P<word>{_BELOW_100}(?:\ (?:hundred|thousand|million)(?:(?:\ and)?\ {_BELOW_100})?)*(?!-?\w)))
    (?P<scale>\s(?:hundred|thousand|million|billion)\b)?
    (?P<after>\s?%|\s?(?:percent|per\ cent)\b|\s?[€£¥]|(?:st|nd|rd|th)\b)?""",
    re.VERBOSE | re.IGNORECASE,
)
TIME = re.compile(r"(?<![\d:])(\d{1,2}):([0-5]\d)(?![\d:])\s*([ap])?(?:\.?\s?m\b\.?)?", re.IGNORECASE)
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeral:
    """A number or a time of day, and where it stands in its (plain) text."""

    value: Fraction  # of a time: minutes since midnight
    start: int
    end: int
    is_money: bool = False
    is_percent: bool = False
    is_time: bool = False
    has_half: bool = False  # of the day: am or pm
    is_word: bool = False

    def equals(self, other: Numeral) -> bool:
        """Check whether two numerals mean the same; 25% is 25 as well as 0.25, as answers to a question of percent."""
        if self.is_time != other.is_time:
            return False
        if self.is_time:
            difference = abs(self.value - other.value)
            return difference == 0 or (difference == 720 and not (self.has_half and other.has_half))
        if _close(self.value, other.value):
            return True
        if self.is_percent != other.is_percent:
            percent, plain = (self, other) if self.is_percent else (other, self)
            return _close(percent.value / 100, plain.value)
        return False


def plain_text(text: str) -> str:
    """Write a text with the spaces, signs, digits and LaTeX of its numbers in one plain form."""
    text = _INVISIBLE.sub("", _MINUS.sub("-", _SPACES.sub(" ", text)))
    text = re.sub(r"(?<=\d)[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda match: f"^{match[0].translate(_SUPERSCRIPTS)}", text)
    text = _VULGAR.sub(lambda match: f"{match[1]} " + unicodedata.normalize("NFKC", match[2]), text).replace("⁄", "/")
    text = "".join(str(unicodedata.decimal(c)) if c > "\x7f" and c.isdecimal() else c for c in text)
    text = _BOLD.sub("", text)
    for pattern, plain in _LATEX:
        text = pattern.sub(plain, text)
    return _GROUPS.sub(lambda match: match[0].replace(" ", ""), text)


def numerals(text: str) -> list[Numeral]:
    """List the numbers and times of a plain text in their order; ordinals (`2nd`) are none."""
    times = [_time(match) for match in TIME.finditer(text) if int(match[1]) < 25]
    time_spans = [(time.start, time.end) for time in times]
    values = list(times)
    for match in NUMBER.finditer(text):
        value = _value(match)
        if value is not None and not any(start < match.end() and match.start() < end for start, end in time_spans):
            values.append(value)
    return sorted(values, key=lambda numeral: numeral.start)


def sole_numeral(text: str) -> Numeral | None:
    """Read a text that is one number and no more than its unit, as a reference answer is; None for anything else."""
    plain = re.sub(r"^[\s$*.]*(?<!\.)(?=\.?\d)|[\s$*.]+$", "", plain_text(text).strip())
    plain = re.sub(r"^[a-zA-Z]\s*=\s*", "", plain)
    values = numerals(plain)
    if len(values) != 1:
        return None
    around = (plain[: values[0].start] + " " + plain[values[0].end :]).replace("$", " ")
    around = re.sub(r"\^[23]?|/", " ", around) if values[0].end < len(plain) else around
    is_unit = re.fullmatch(r"\s*(?:[A-Za-z.]{1,15}[\s.]*){0,4}", around) is not None
    return values[0] if is_unit and re.search(r"(?<![A-Za-z])[a-z](?![A-Za-z])", _no_unit(around)) is None else None


def _no_unit(around: str) -> str:
    return re.sub(r"(?<![A-Za-z])[mgslhLA](?![A-Za-z])", " ", around)


def _time(match: re.Match[str]) -> Numeral:
    half = (match[3] or "").lower()
    hour = int(match[1]) % 12 if half else int(match[1])
    minutes = (hour + (12 if half == "p" else 0)) * 60 + int(match[2])
    return Numeral(
        value=Fraction(minutes), start=match.start(), end=match.end(), is_time=True, has_half=bool(half) or hour > 12
    )


def _value(match: re.Match[str]) -> Numeral | None:
    after = (match["after"] or "").strip().lower()
    if after in ("st", "nd", "rd", "th") or len(match[0]) > MAX_DIGITS:
        return None
    if match["whole"] is not None:
        bottom = int(match["bottom"])
        value = Fraction(int(match["whole"])) + Fraction(int(match["top"]), bottom) if bottom else None
    elif match["numerator"] is not None:
        denominator = _fraction(match["denominator"])
        value = _fraction(match["numerator"]) / denominator if denominator else None
    elif match["mantissa"] is not None:
        power = int(match["power"] or match["e_power"])
        value = _fraction(match["mantissa"]) * Fraction(10) ** power if abs(power) <= MAX_EXPONENT else None
    elif match["plain"] is not None:
        value = _fraction(match["plain"])
    else:
        value = _of_words(match["word"])
    if value is None:
        return None
    value *= SCALES[match["scale"].strip().lower()] if match["scale"] else 1
    is_negative = "-" in (match["sign"] or "") or match["late_sign"] is not None
    return Numeral(
        value=-value if is_negative else value,
        start=match.start(),
        end=match.end(),
        is_money=match["currency"] is not None or after in ("€", "£", "¥"),
        is_percent=after in ("%", "percent", "per cent"),
        is_word=match["word"] is not None,
    )


def _of_words(text: str) -> Fraction:
    total = group = 0  # "two thousand three hundred and five": a group ends at "thousand" and above
    for word in re.split(r"[-\s]+", text.lower()):
        if word == "hundred":
            group *= 100
        elif word in SCALES:
            total, group = total + group * SCALES[word], 0
        elif word != "and":
            group += WORDS[word]
    return Fraction(total + group)


def _fraction(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))


def _close(a: Fraction, b: Fraction) -> bool:
    if a.denominator == b.denominator == 1:
        return a == b
    return abs(a - b) <= Fraction(1, 10**6) * max(abs(a), abs(b))
