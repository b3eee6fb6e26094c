from __future__ import annotations

from reasonlens import Span, parse_annotated


def sections(annotated: str, **options: object) -> list[tuple[str, str]]:
    text, spans = parse_annotated(annotated, **options)
    return [(span.label, text[span.start : span.end]) for span in spans]


def test_tags_become_spans_and_leave_the_text() -> None:
    text, spans = parse_annotated(
        '["initializing"] Two apples. ["end-section"] Aside. ["deduction"] So two.["end-section"]'
    )
    assert text == "Two apples. Aside. So two."
    assert spans == [Span(0, 11, "initializing"), Span(19, 26, "deduction")]


def test_a_sentence_that_occurs_twice_keeps_both_of_its_places() -> None:
    text, spans = parse_annotated(
        '["deduction"] It is 4. ["end-section"]["backtracking"] No. ["end-section"]'
        '["verification"] It is 4. ["end-section"]'
    )
    assert [(span.start, span.label) for span in spans] == [(0, "deduction"), (9, "backtracking"), (13, "verification")]
    assert text[spans[0].start : spans[0].end] == text[spans[2].start : spans[2].end] == "It is 4."


def test_a_forgotten_end_tag_ends_at_the_next_label_or_the_end() -> None:
    assert sections('["a"] One. ["a"] Two. ["b"] Three.') == [("a", "One."), ("a", "Two."), ("b", "Three.")]


def test_empty_sections_are_dropped_and_line_breaks_kept() -> None:
    text, _ = parse_annotated('["a"]["b"] One.\n\n["end-section"]["c"] Two.')
    assert text == "One.\n\nTwo."
    assert sections('["a"]["b"] One.\n\n["end-section"]["c"] Two.') == [("b", "One."), ("c", "Two.")]


def test_brackets_that_are_no_labels_can_be_kept_in_the_text() -> None:
    annotated = '["deduction"] The list is ["x"] then. ["end-section"]'
    assert sections(annotated, labels={"deduction"}) == [("deduction", 'The list is ["x"] then.')]


def test_tags_without_quotes_are_tags_where_they_are_known_labels() -> None:
    for annotated in (
        '[deduction] So two. ["end-section"] Aside. [backtracking] No. [end-section]',
        "['deduction'] So two. [ end-section ] Aside. [\"backtracking] No. [end-section\"]",
    ):
        text, spans = parse_annotated(annotated)
        assert text == "So two. Aside. No."
        assert spans == [Span(0, 7, "deduction"), Span(15, 18, "backtracking")]


def test_brackets_of_the_reasoning_itself_stay_in_the_text() -> None:
    annotated = '[deduction] The interval [a] and the list [x, y] hold. ["end-section"]'
    assert sections(annotated) == [("deduction", "The interval [a] and the list [x, y] hold.")]
    assert parse_annotated("Take [a] of [b].") == ("Take [a] of [b].", [])


def test_a_label_of_ones_own_is_known_without_quotes_if_it_stands_in_quotes_elsewhere_or_is_named() -> None:
    mixed = '["musing"] Well. ["end-section"][musing] Hmm. ["end-section"]'
    assert sections(mixed) == [("musing", "Well."), ("musing", "Hmm.")]
    bare = "[musing] Well. [end-section]"
    assert sections(bare) == [] and sections(bare, labels={"musing"}) == [("musing", "Well.")]
