"""Labels by tell-tale words: cases written by hand, multi-byte text, and the bundled traces."""

from __future__ import annotations

import pytest

from reasonlens.traces import (
    BEHAVIOURS,
    MARKERS,
    Span,
    Trace,
    bundled_traces,
    is_marked,
    keyword_annotator,
)

BEHAVIOUR_OF = keyword_annotator.behaviour_of


def labelled(text: str) -> list[tuple[str, str]]:
    return [(text[span.start : span.end], span.label) for span in keyword_annotator("", text)]


def test_each_sentence_takes_the_behaviour_of_its_tell_tale_word_and_others_get_no_span() -> None:
    text = "Okay, two numbers are asked for. Both are odd! Wait, that is wrong.\n7 and 9; hence the total is 16."
    assert labelled(text) == [
        ("Okay, two numbers are asked for.", "initializing"),
        ("Wait, that is wrong.", "backtracking"),
        ("hence the total is 16.", "deduction"),
    ]
    assert keyword_annotator("", "Both are odd.") == keyword_annotator("", "") == []


@pytest.mark.parametrize(
    ("sentence", "behaviour"),
    [
        ("So wait, is it 4?", "deduction"),
        ("Wait, so is it 4?", "backtracking"),
        ("I must double-check this.", "verification"),
        ("HOLD \n ON, that was 3", None),  # a newline ends a sentence
        ("HOLD  ON, that was 3", "backtracking"),
        ("Wait.", "backtracking"),
    ],
)
def test_the_word_that_begins_first_decides(sentence: str, behaviour: str | None) -> None:
    assert [label for _, label in labelled(sentence)] == ([behaviour] if behaviour else [])


def test_parts_of_longer_words_do_not_count() -> None:
    assert labelled("The waiter also sold a checkered notebook.") == []


def test_spans_lie_in_characters_of_multi_byte_text() -> None:
    text = "Die Größe ist 5 €. Hmm, schöne Prüfung – 🙂 naïve! 因此, so 7 更大。"
    spans = keyword_annotator("¿?", text)
    assert [(text[span.start : span.end], span.label) for span in spans] == [
        ("Hmm, schöne Prüfung – 🙂 naïve!", "backtracking"),
        ("因此, so 7 更大。", "deduction"),
    ]
    assert Trace("a", "¿?", text, tuple(spans)).spans == tuple(spans)


def test_a_response_that_breaks_off_keeps_the_labels_of_what_is_there() -> None:
    text = "First we need the area. Wait, the radius is 3. So the answer is 9."
    whole = keyword_annotator("", text)
    for n_characters in range(len(text)):
        part = keyword_annotator("", text[:n_characters])
        closed = [span for span in part if span.end < len(text[:n_characters].rstrip())]
        assert closed == whole[: len(closed)]


def test_every_word_has_one_behaviour_and_every_span_is_marked_for_its_own() -> None:
    assert set(BEHAVIOUR_OF) == {word for words in MARKERS.values() for word in words}
    assert sum(map(len, MARKERS.values())) == len(BEHAVIOUR_OF) and set(BEHAVIOUR_OF.values()) == set(BEHAVIOURS)
    for trace in bundled_traces():
        for span in keyword_annotator(trace.prompt, trace.text):
            assert span == Span(span.start, span.end, span.label, marked=True)
            assert is_marked(trace.text_of(span), span.label)


def test_it_agrees_with_the_bundled_labels_of_marked_spans_far_more_often_than_of_the_others() -> None:
    agreed: dict[bool, list[bool]] = {True: [], False: []}
    for trace in bundled_traces():
        given = {(span.start, span.end): span.label for span in keyword_annotator(trace.prompt, trace.text)}
        for span in trace.spans:
            assert span.marked is not None
            agreed[span.marked].append(given.get((span.start, span.end)) == span.label)
    shares = {marked: sum(each) / len(each) for marked, each in agreed.items()}
    assert shares[True] > 0.6 and shares[False] == 0
