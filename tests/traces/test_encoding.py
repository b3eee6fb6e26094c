from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
from tokenizers.processors import TemplateProcessing

from reasonlens import (
    InputError,
    LanguageModel,
    Span,
    Trace,
    bundled_traces,
    encode,
)
from reasonlens.traces import EncodedTrace

CHAT = "{% for m in messages %}<s>{{ m['role'] }}:\n{{ m['content'] | trim }}</s>{% endfor %}bot:\n"


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


def test_the_characters_of_tokens_lie_in_the_text_and_cover_it(tiny) -> None:
    model = tiny()
    for encoded in encode(model, [*bundled_traces()[:3], Trace("m", "What?", "A 数 and é,\n\n then 🙂")]):
        text = encoded.trace.text
        inside = encoded.characters[encoded.characters[:, 1] > encoded.characters[:, 0]]
        assert inside.min() == 0 and inside.max() == len(text)
        assert set(range(len(text))) == {place for start, end in inside.tolist() for place in range(start, end)}
        n_prompt = len(encoded) - len(inside)
        assert model.tokenizer.decode(encoded.token_ids[n_prompt:]) == text
        assert not encoded.characters[:n_prompt].any()


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


@pytest.fixture
def chatting(tiny) -> LanguageModel:
    """A model whose tokenizer prepends BOS by itself and whose chat template writes it too, as Llama 3's does."""
    model = tiny()
    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.chat_template = CHAT
    return replace(model, tokenizer=tokenizer)


@pytest.mark.parametrize("prompt", ["Why so?", "user", "  padded  "])
def test_the_chat_template_is_applied_once_and_its_tokens_are_markup(chatting: LanguageModel, prompt: str) -> None:
    (encoded,) = encode(chatting, [Trace("c", prompt, "Because it is.", (Span(0, 14, "x"),))])
    ids, tokenizer = encoded.token_ids, chatting.tokenizer
    assert (ids == tokenizer.bos_token_id).sum() == 1
    assert tokenizer.decode(ids[~encoded.is_markup]).strip() == prompt.strip() + "Because it is."


def test_without_a_template_bos_is_added_once_and_is_markup(chatting: LanguageModel) -> None:
    (encoded,) = encode(chatting, [Trace("c", "Why so?", "Because.", (Span(0, 8, "x"),))], template="plain")
    assert (encoded.token_ids == chatting.tokenizer.bos_token_id).tolist() == [True] + [False] * (len(encoded) - 1)
    assert encoded.is_markup.tolist() == [True] + [False] * (len(encoded) - 1)


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
