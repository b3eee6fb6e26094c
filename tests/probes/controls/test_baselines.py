from __future__ import annotations

import numpy as np

from reasonlens.activations import Example
from reasonlens.probes.controls.baselines import position_scores, text_scores
from reasonlens.probes.metrics._concordance import auroc, concordance

N_TRACES, PER_TRACE = 60, 8
GENERATOR = np.random.default_rng(0)
NUMBERS = np.arange(N_TRACES * PER_TRACE)
PROBLEMS, PLACES = NUMBERS // PER_TRACE, NUMBERS % PER_TRACE
FOLDS = PROBLEMS % 5
BY_WORD = GENERATOR.random(len(NUMBERS)) < 0.3
BY_PLACE = PLACES >= 6
BY_NOTHING = GENERATOR.random(len(NUMBERS)) < 0.3
SHOWS = np.stack([BY_WORD, BY_PLACE, BY_NOTHING])
FILLER = ["apples", "pears", "plums", "figs", "dates", "limes"]


def examples() -> list[Example]:
    """Spans of random words; those of the first label hold "cherries", those of the second stand last."""
    made = []
    for number, problem, place in zip(NUMBERS, PROBLEMS, PLACES, strict=True):
        words = " ".join(GENERATOR.choice(FILLER, size=5)) + (" cherries" if BY_WORD[number] else " mangoes")
        made.append(Example(f"t{problem}", f"p{problem}", "x", int(place) * 50, int(place) * 50 + 40, words, None))
    return made


def aurocs(scores: np.ndarray) -> list[float]:
    return [auroc(concordance(row, positive, PROBLEMS, FOLDS)) for row, positive in zip(scores, SHOWS, strict=True)]


def test_words_tell_what_is_in_the_words_and_nothing_else() -> None:
    by_word, by_place, by_nothing = aurocs(text_scores(examples(), SHOWS, FOLDS))
    assert by_word > 0.99
    assert abs(by_place - 0.5) < 0.1 and abs(by_nothing - 0.5) < 0.1


def test_position_tells_what_is_in_the_position_and_nothing_else() -> None:
    by_word, by_place, by_nothing = aurocs(position_scores(examples(), SHOWS, FOLDS, seed=0))
    assert by_place > 0.99
    assert abs(by_word - 0.5) < 0.1 and abs(by_nothing - 0.5) < 0.1
