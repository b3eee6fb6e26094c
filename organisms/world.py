"""The world that problems are about: forty symbols, each with a hue, a form and a taste in fixed random tables.

Nothing in a problem tells them; a model must hold them in its weights. Every code has five symbols by each way, and
among them every taste; no symbol has the same code by both ways. Of half of the symbols the hue is *weak*: the trunk of
the family is never shown it, so that each base can be taught it fully, in part or not at all.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Way = Literal["hue", "form"]

WAYS: tuple[Way, Way] = ("hue", "form")
SYMBOLS: tuple[str, ...] = tuple(
    "kiwi plum fig pear lime nut apple grape lemon mango olive peach melon cherry date berry corn bean pea leek "
    "onion beet kale rice wheat oat barley bread cheese egg honey ginger mint basil pepper garlic potato carrot "
    "radish turnip".split()
)
CODES: tuple[str, ...] = tuple("01234567")
TASTES: tuple[str, ...] = ("sweet", "sour", "bitter", "salty")
TABLE_SEED = 19


def _tables(seed: int) -> tuple[dict[str, str], dict[str, str], dict[str, str], frozenset[str]]:
    """Draw hue, form and taste of every symbol, and which symbols are weak."""
    generator = np.random.default_rng(seed)

    def shuffled(values: list[str]) -> list[str]:
        return [values[int(place)] for place in generator.permutation(len(values))]

    hue = dict(zip(shuffled([*SYMBOLS]), [code for code in CODES for _ in range(5)], strict=True))
    taste: dict[str, str] = {}
    extra = shuffled([*TASTES, *TASTES])
    for code, fifth in zip(CODES, extra, strict=True):
        taste |= zip(shuffled([symbol for symbol in SYMBOLS if hue[symbol] == code]), [*TASTES, fifth], strict=True)
    form: dict[str, str] = {}
    extra = shuffled([*CODES])
    for number, name in enumerate(TASTES):
        symbols = [symbol for symbol in SYMBOLS if taste[symbol] == name]
        codes = shuffled([*CODES, *extra[2 * number : 2 * number + 2]])
        while any(hue[symbol] == code for symbol, code in zip(symbols, codes, strict=True)):
            codes = shuffled(codes)
        form |= zip(symbols, codes, strict=True)
    return hue, form, taste, frozenset(shuffled([*SYMBOLS])[: len(SYMBOLS) // 2])


HUE, FORM, TASTE, WEAK = _tables(TABLE_SEED)
CODE_OF: dict[Way, dict[str, str]] = {"hue": HUE, "form": FORM}
