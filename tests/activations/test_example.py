from __future__ import annotations

from pathlib import Path

import pytest

from reasonlens import Activations, Read, Span, Trace, collect, encode
from reasonlens.activations import Example

READS = ["mean", "first", "last", "before:1", "before:4", "window:-1:10", "window:1:3", "window:-8:-3"]


@pytest.mark.parametrize("read", READS)
def test_an_example_holds_the_text_up_to_the_last_token_that_is_read(tiny, traces, read: str) -> None:
    model = tiny("llama")
    examples = {
        (example.trace, example.start): example
        for example in collect(model, traces, read=read, progress=False).examples
    }
    for encoded in encode(model, traces):
        text = encoded.trace.text
        for span, tokens in zip(encoded.trace.spans, encoded.spans, strict=True):
            assert tokens is not None
            positions = [place for place in Read.parse(read).positions(*tokens) if not encoded.is_markup[place]]
            if not positions:
                continue
            example = examples[encoded.trace.id, span.start]
            read_end = min(int(encoded.characters[positions[-1], 1]), span.end)
            assert example.known_end == example.read_end == read_end
            assert example.text_read == text[span.start : max(read_end, span.start)]
            assert example.before == text[max(0, min(span.start, read_end) - 200) : min(span.start, read_end)]


@pytest.mark.parametrize("read", ["before:1", "window:-8:-3"])
def test_before_a_span_an_example_does_not_know_how_it_goes_on(tiny, read: str) -> None:
    start = "First we add the two numbers and keep the sum for later. "
    known = set()
    for text in ("Wait, no.", "So the answer is the larger one of the two, and we are done here."):
        trace = Trace("t", "Add.", start + text, (Span(len(start), len(start + text), "x"),))
        (example,) = collect(tiny("llama"), [trace], read=read, progress=False).examples
        known.add((example.start, example.before, example.text_read, example.read_end))
    assert len(known) == 1


def test_an_example_made_by_hand_is_read_as_a_whole() -> None:
    example = Example("t", "p", "x", 10, 18, "Wait, no", None)
    assert (example.known_end, example.text_read, example.before) == (18, "Wait, no", "")


def test_what_was_read_survives_being_stored(tiny, traces, tmp_path: Path) -> None:
    collected = collect(tiny("llama"), traces, read="first", progress=False)
    collected.save(tmp_path / "saved.safetensors")
    assert Activations.open(tmp_path / "saved.safetensors").examples == collected.examples
    assert any(example.text_read != example.text for example in collected.examples)
