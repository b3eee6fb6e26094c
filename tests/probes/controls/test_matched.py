from __future__ import annotations

from dataclasses import replace

import numpy as np

from reasonlens import Read
from reasonlens.activations import Example
from reasonlens.probes.controls.matched import matched_spans
from reasonlens.probes.metrics._concordance import auroc, concordance


def example(start: int, text: str, before: str = "", *, trace: str = "t", read_end: int | None = None) -> Example:
    return Example(trace, trace, "x", start, start + len(text), text, None, before, read_end)


def test_a_pair_has_the_same_first_word_and_the_nearest_place() -> None:
    examples = [
        example(100, "Wait, that is wrong."),  # positive
        example(400, "wait for the next bus."),  # the same word in another case, far away
        example(130, "Wait until it is done.", trace="u"),  # near, in another problem
        example(101, "So that is right."),  # another word
        example(500, "But no."),  # positive without a match
    ]
    pairs = matched_spans(examples, Read.mean(), np.array([True, False, False, False, True]), np.zeros(5, dtype=int))
    assert pairs.positives.tolist() == [0] and pairs.negatives.tolist() == [2]
    assert pairs.n == 1 and pairs.mask.tolist() == [True, False, True, False, False]


def test_a_pair_differs_by_three_words_or_a_quarter_at_most() -> None:
    short, long = "So " + "a " * 4, "So " + "a " * 39  # 5 and 40 words
    for text, other_words, matches in ((short, 8, True), (short, 9, False), (long, 50, True), (long, 51, False)):
        other = "So " + "b " * (other_words - 1)
        examples = [example(0, text), example(900, other)]
        assert matched_spans(examples, Read.mean(), np.array([True, False]), np.zeros(2, dtype=int)).n == matches


def test_a_negative_is_used_once_and_goes_to_the_nearest() -> None:
    examples = [example(0, "So it is."), example(50, "So it was."), example(60, "So be it.")]
    pairs = matched_spans(examples, Read.mean(), np.array([True, True, False]), np.zeros(3, dtype=int))
    assert pairs.positives.tolist() == [1] and pairs.negatives.tolist() == [2]


def test_before_a_span_only_the_last_word_before_it_counts() -> None:
    before = [
        example(100, "Wait, no.", "the total is 12. ", read_end=99),
        example(300, "So " + "on " * 60, "which makes 12, ", read_end=299),  # another beginning and length
        example(110, "Wait, no.", "the total is 13. ", read_end=109),
    ]
    pairs = matched_spans(before, Read.before(), np.array([True, False, False]), np.zeros(3, dtype=int))
    assert pairs.negatives.tolist() == [1]
    inside = [replace(one, read_end=None) for one in before]
    assert matched_spans(
        inside, Read.mean(), np.array([True, False, False]), np.zeros(3, dtype=int)
    ).negatives.tolist() == [2]


def test_pairs_inside_folds_are_in_one_fold() -> None:
    examples = [example(0, "So it is."), example(10, "So it was.", trace="u"), example(90, "So be it.", trace="v")]
    positive = np.array([True, False, False])
    assert matched_spans(examples, Read.mean(), positive, np.zeros(3, dtype=int)).negatives.tolist() == [1]
    assert matched_spans(examples, Read.mean(), positive, np.array([0, 1, 0])).negatives.tolist() == [2]


def test_what_tells_by_the_first_word_alone_is_at_chance_on_matched_spans() -> None:
    generator = np.random.default_rng(0)
    positive = generator.random(800) < 0.3
    is_wait = generator.random(800) < np.where(positive, 0.8, 0.2)
    examples = [
        example(int(start), "Wait, no." if wait else "So it is.", trace=f"t{number // 8}")
        for number, (start, wait) in enumerate(zip(generator.integers(0, 2000, 800), is_wait, strict=True))
    ]
    problems, folds = np.arange(800) // 8, np.arange(800) // 8 % 5
    scores = generator.random(5)[folds] + is_wait * generator.standard_normal(5)[folds]  # also the wrong way round
    assert auroc(concordance(is_wait * 1.0, positive, problems, folds)) > 0.75
    pairs = matched_spans(examples, Read.mean(), positive, folds)
    assert pairs.n > 100
    rows = pairs.mask
    assert auroc(concordance(scores[rows], positive[rows], problems[rows], folds[rows])) == 0.5
