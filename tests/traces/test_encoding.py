from __future__ import annotations

import numpy as np
import pytest

from reasonlens import InputError, Span, Trace, bundled_traces, encode
from reasonlens.traces import EncodedTrace

CHAT = "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}bot: "


def covered(model, encoded: EncodedTrace, number: int = 0) -> str:
    first, stop = encoded.spans[number]
    return model.tokenizer.decode(encoded.token_ids[first:stop]).strip()


def test_every_bundled_span_decodes_to_its_own_text(tiny) -> None:
    model = tiny()
    for encoded in encode(model, bundled_traces()):
        for number, span in enumerate(encoded.trace.spans):
            # A token may reach over the border (". So" has none here), never fall short of it.
            assert encoded.trace.text_of(span) in covered(model, encoded, number)


def test_repeated_sentences_get_their_own_tokens(tiny) -> None:
    text = "It is 4. Hmm. It is 4. It is 4."
    places = [0, 14, 23]
    trace = Trace("r", "Q", text, tuple(Span(place, place + 8, "deduction") for place in places))
    (encoded,) = encode(tiny(), [trace])
    assert len(set(encoded.spans)) == 3
    assert sorted(encoded.spans) == list(encoded.spans)
    assert all(covered(tiny(), encoded, number) == "It is 4." for number in range(3))


def test_a_character_of_several_tokens_brings_all_of_them(tiny) -> None:
    text = "A 数 and é, then 🙂 end"
    trace = Trace("m", "", text, tuple(Span(text.index(c), text.index(c) + 1, c) for c in "数é🙂"))
    model = tiny()
    (encoded,) = encode(model, [trace])
    for (first, stop), character in zip(encoded.spans, "数é🙂", strict=True):
        assert stop - first > 1
        assert model.tokenizer.decode(encoded.token_ids[first:stop]).strip() == character


def test_a_span_that_begins_inside_a_token_begins_with_that_token(tiny) -> None:
    model = tiny()
    text = "the therefore"
    offsets = model.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    token = next(number for number, (start, end) in enumerate(offsets) if end - start >= 3)
    inside = offsets[token][1] - 1
    (encoded,) = encode(model, [Trace("i", "", text, (Span(inside, len(text), "x"),))])
    assert encoded.spans[0] == (token, len(offsets))


def test_white_space_at_the_ends_of_a_span_brings_no_token(tiny) -> None:
    text = "One is here. \n\n Two is there."
    tight, loose = Span(16, 29, "a"), Span(12, 29, "b")
    (encoded,) = encode(tiny(), [Trace("w", "", text, (tight, loose))])
    assert encoded.spans[0] == encoded.spans[1]


def test_without_a_template_only_the_first_token_and_special_tokens_are_markup(tiny) -> None:
    (encoded,) = encode(tiny(), [Trace("p", "Why so?", "Because it is.", (Span(0, 14, "x"),))])
    assert encoded.is_markup.tolist() == [True] + [False] * (len(encoded) - 1)


def test_the_chat_template_is_applied_once_and_its_tokens_are_markup(tiny, tokenizer) -> None:
    model = tiny()
    tokenizer.chat_template = CHAT
    try:
        (encoded,) = encode(model, [Trace("c", "Why so?", "Because it is.", (Span(0, 14, "x"),))])
    finally:
        tokenizer.chat_template = None
    ids = encoded.token_ids
    assert (ids == tokenizer.bos_token_id).sum() == 1
    kept = tokenizer.decode(ids[~encoded.is_markup])
    assert "Because it is." in kept and "Why so?" in kept
    assert "user" not in kept and "bot" not in kept and "<s>" not in kept


def test_a_missing_template_is_refused(tiny) -> None:
    with pytest.raises(InputError, match="tiny-llama has no chat template"):
        encode(tiny(), [Trace("c", "Q", "Text.")], template="chat")


def test_a_text_longer_than_the_context_is_named_and_can_be_truncated(tiny) -> None:
    long = Trace("long", "", "word " * 1200 + "the end", (Span(0, 4, "x"), Span(6000, 6007, "x")))
    with pytest.raises(InputError, match=r"trace 'long' has \d+ tokens, more than the 1024.*--truncate"):
        encode(tiny(), [long])
    (encoded,) = encode(tiny(), [long], truncate=True)
    assert len(encoded) == 1024
    assert encoded.spans[0] is not None and encoded.spans[1] is None
    assert isinstance(encoded.token_ids, np.ndarray)
