"""Wordings are the shortest beginnings that identify a behaviour, found in labelled rollouts and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from reasonlens.models import LanguageModel
from reasonlens.pairs.hybrid.wordings import Wording, first_tokens, wordings
from tests.pairs.hybrid.test_first_words import labelled

Tiny = Callable[..., LanguageModel]
FIRST, SECOND = ("So", "Wait", "No"), ("then", "now", "here")
SQUARE = {(one, two): "abc"[(FIRST.index(one) + SECOND.index(two)) % 3] for one, two in product(FIRST, SECOND)}


def tokens(model: LanguageModel, text: str) -> Wording:
    return tuple(model.tokenizer.encode(text, add_special_tokens=False))


def test_where_only_two_words_together_tell_the_wordings_are_these_two(tiny: Tiny) -> None:
    """A Latin square: every first word and every second word goes with every behaviour."""
    model = tiny("llama")
    sentences = [(label, f"{one} {two} it is five.") for (one, two), label in SQUARE.items()]
    of_behaviours = wordings(
        model, [labelled(sentences, number) for number in range(4)], ["a", "b", "c"], template="plain"
    )
    for label, some in zip("abc", of_behaviours, strict=True):
        pairs = [f"{one} {two}" for (one, two), which in SQUARE.items() if which == label]
        assert len(some) == len(pairs) == 3
        # A word may be several tokens: the beginning goes as far as needed to tell, and no further than both words.
        assert all(any(tokens(model, pair)[: len(wording)] == wording for pair in pairs) for wording in some)
        assert all(len(wording) > len(tokens(model, wording_first(model, wording))) for wording in some)


def wording_first(model: LanguageModel, wording: Wording) -> str:
    """The first word of a wording."""
    text = str(model.tokenizer.decode(list(wording)))
    return next(word for word in FIRST if text.startswith(word))


def test_one_word_is_enough_where_it_tells_and_what_is_shared_is_none(tiny: Tiny) -> None:
    model = tiny("llama")
    sentences = [("a", "Wait, that is wrong."), ("b", "So it is six."), ("b", "So it was six."), ("c", "No, it is.")]
    a, b, c = wordings(model, [labelled(sentences, number) for number in range(3)], ["a", "b", "c"], template="plain")
    assert a == (tokens(model, "Wait")[:1],) and b == (tokens(model, "So")[:1],) and c == (tokens(model, "No")[:1],)


def test_a_beginning_of_few_sentences_or_of_other_behaviours_too_is_no_wording(tiny: Tiny) -> None:
    model = tiny("llama")
    common = [labelled([("a", "So it is."), ("b", "Wait, it is.")], number) for number in range(60)]
    once = labelled([("a", "No, it is."), ("b", "Wait, it is.")], 60)
    a, b = wordings(model, [*common, once], ["a", "b"], template="plain")
    assert a == (tokens(model, "So")[:1],), "one sentence of 61 is less than 2%"
    mixed = [
        labelled([("a", "So it is."), ("b", "So it is." if number < 2 else "Wait.")], number) for number in range(9)
    ]
    a, b = wordings(model, mixed, ["a", "b"], template="plain")
    assert a == (tokens(model, "So")[:1],), "9 of 11 sentences are fewer than 9 in 10, yet nothing tells better"
    assert b == (tokens(model, "Wait")[:1],)


def test_labels_that_are_not_asked_for_count_as_others(tiny: Tiny) -> None:
    model = tiny("llama")
    traces = [labelled([("a", "So it is."), ("other", "So it was."), ("b", "No.")], number) for number in range(4)]
    a, _ = wordings(model, traces, ["a", "b"], template="plain")
    assert all(len(wording) > 1 for wording in a), "the first word begins another label's sentences as well"


def test_cut_after_its_first_tokens_a_wording_that_is_alike_counts_once() -> None:
    whole = (((1, 2), (1, 3), (4,)), ((5, 6, 7),))
    assert first_tokens(whole, 1) == (((1,), (4,)), ((5,),))
    assert first_tokens(whole, 2) == (((1, 2), (1, 3), (4,)), ((5, 6),))
