"""The tell-tale first words of a behaviour are the tokens that begin its sentences, and those of others seldom."""

from __future__ import annotations

from collections.abc import Callable

from reasonlens.models import LanguageModel
from reasonlens.pairs.hybrid.first_words import first_words
from reasonlens.traces import Span, Trace

Tiny = Callable[..., LanguageModel]


def labelled(sentences: list[tuple[str, str]], number: int) -> Trace:
    """Write sentences one after the other, each with its label."""
    text, spans = "", []
    for label, sentence in sentences:
        text += " " if text else ""
        spans.append(Span(len(text), len(text) + len(sentence), label))
        text += sentence
    return Trace(f"t{number}", "What is it?", text, tuple(spans))


def test_words_that_tell_are_found_and_shared_ones_are_not(tiny: Tiny) -> None:
    model = tiny("llama")
    traces = [
        labelled(
            [
                ("other", "Begin here."),
                ("deduction", "The sum is five."),
                ("backtracking", "Wait, that is wrong." if number % 2 else "No, that is wrong."),
                ("deduction", "So it is six."),
                ("backtracking", "The sum was wrong."),
            ],
            number,
        )
        for number in range(6)
    ]
    deduction, backtracking = first_words(model, traces, ["deduction", "backtracking"], template="plain")
    begin = {word: model.tokenizer.encode(word, add_special_tokens=False)[0] for word in ("So", "Wait", "No")}
    assert deduction == (begin["So"],)
    assert backtracking == tuple(sorted([begin["Wait"], begin["No"]]))


def test_where_no_word_tells_the_one_that_differs_most_is_taken(tiny: Tiny) -> None:
    model = tiny("llama")
    traces = [labelled([("a", "So it is."), ("b", "So it was."), ("a", "So be it.")], number) for number in range(3)]
    words = first_words(model, traces, ["a", "b"], template="plain")
    assert all(len(tokens) == 1 for tokens in words)
