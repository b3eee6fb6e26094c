"""The bundled traces hold what their documentation promises."""

from __future__ import annotations

import re
from collections import Counter

from reasonlens import bundled_traces, segment
from reasonlens.traces import BEHAVIOURS, is_marked

TELL_TALE = re.compile(r"\b(wait|actually|hmm|no)\b", re.IGNORECASE)
SPANS = [(trace, span) for trace in bundled_traces() for span in trace.spans]


def test_there_are_enough_traces_of_enough_kinds_and_lengths() -> None:
    traces = bundled_traces()
    assert len(traces) >= 60
    assert len({trace.id.rsplit("-", 1)[0] for trace in traces}) >= 15
    assert all(8 <= len(trace.spans) <= 15 for trace in traces)
    assert len({trace.problem for trace in traces}) == len(traces)


def test_every_behaviour_has_at_least_sixty_spans_in_varied_words() -> None:
    counts = Counter(span.label for _, span in SPANS)
    assert set(counts) == set(BEHAVIOURS) and min(counts.values()) >= 60
    openings = Counter(" ".join(trace.text_of(span).lower().split()[:3]) for trace, span in SPANS)
    assert openings.most_common(1)[0][1] <= 5
    assert len({trace.text_of(span) for trace, span in SPANS}) == len(SPANS)


def test_half_of_the_backtracking_holds_no_tell_tale_word_and_others_do() -> None:
    marked = [is_marked(trace.text_of(span), "backtracking") for trace, span in SPANS if span.label == "backtracking"]
    others = [is_marked(trace.text_of(span), "backtracking") for trace, span in SPANS if span.label != "backtracking"]
    assert 0.45 <= sum(map(bool, marked)) / len(marked) <= 0.55
    assert sum(map(bool, others)) >= sum(map(bool, marked))
    backtracking = [trace.text_of(span) for trace, span in SPANS if span.label == "backtracking"]
    assert sum(bool(TELL_TALE.search(text)) for text in backtracking) <= len(backtracking) / 2


def test_every_span_says_truly_whether_it_is_marked() -> None:
    assert all(span.marked == is_marked(trace.text_of(span), span.label) for trace, span in SPANS)
    for behaviour in BEHAVIOURS:
        unmarked = [not span.marked for _, span in SPANS if span.label == behaviour]
        assert 0.3 <= sum(unmarked) / len(unmarked) <= 0.7


def test_every_span_begins_and_ends_where_a_sentence_does() -> None:
    for trace in bundled_traces():
        sentences = segment(trace.text, min_words=1)
        assert {span.start for span in trace.spans} <= {start for start, _ in sentences}
        assert {span.end for span in trace.spans} <= {end for _, end in sentences}
        covered = "".join(trace.text_of(span) for span in trace.spans)
        assert covered.replace(" ", "") == "".join(trace.text.split())
