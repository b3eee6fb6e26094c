"""Of a text far beyond the context only the beginning is tokenised, and what is read of it is what it was."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, normalizers
from transformers import PreTrainedTokenizerFast

from reasonlens import InputError, Span, Trace, encode, segment
from reasonlens.traces.tokenising import CHARACTERS_PER_TOKEN, tokenise

SENTENCE = "So 7 plus 5 makes 12. Wait, that was wrong – début again. "
LONG = SENTENCE * 40_000  # 2.3 MB; the context is 1,024 tokens


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The length of every text that is tokenised."""
    lengths: list[int] = []
    call = PreTrainedTokenizerFast.__call__

    def recorded(self: PreTrainedTokenizerFast, text: str, **options: object) -> object:
        lengths.append(len(text))
        return call(self, text, **options)

    monkeypatch.setattr(PreTrainedTokenizerFast, "__call__", recorded)
    return lengths


def test_a_text_far_beyond_the_context_is_refused_after_its_beginning(tiny, lengths: list[int]) -> None:
    with pytest.raises(InputError, match=r"'big' has 2\d+ characters and over 1024 tokens, more than the 1024 of tiny"):
        encode(tiny(), [Trace("big", "Q", LONG)])
    assert max(lengths) <= CHARACTERS_PER_TOKEN * 1024


def test_a_truncated_text_is_that_of_all_its_tokens(tiny, lengths: list[int]) -> None:
    model, spans = tiny(), (Span(0, 21, "deduction"), Span(22, 57, "backtracking"), Span(len(LONG) - 9, len(LONG), "x"))
    (found,) = encode(model, [Trace("big", "Q", LONG, spans)], truncate=True)
    assert max(lengths) <= CHARACTERS_PER_TOKEN * 1024
    whole = model.tokenizer(f"Q\n\n{LONG[:300_000]}", return_offsets_mapping=True)
    assert np.array_equal(found.token_ids, whole["input_ids"][:1024])
    assert found.spans[2] is None and None not in found.spans[:2]
    first, last = found.spans[1]
    assert model.tokenizer.decode(found.token_ids[first:last]).strip() == LONG[22:57]


def test_texts_a_little_too_long_are_counted_exactly_as_before(tiny, lengths: list[int]) -> None:
    text = SENTENCE * 100
    n_tokens = len(tiny().tokenizer(f"Q\n\n{text}")["input_ids"])
    with pytest.raises(InputError, match=f"has {n_tokens} tokens, more than the 1024"):
        encode(tiny(), [Trace("a", "Q", text)])


def test_a_tokenizer_that_swallows_characters_is_given_all_that_its_tokens_need(tiny, lengths: list[int]) -> None:
    model = tiny()
    raw = Tokenizer.from_str(model.tokenizer.backend_tokenizer.to_str())
    raw.normalizer = normalizers.Replace(Regex(" +"), " ")
    swallowing = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    text = "So it is." + " " * 500_000 + "Wait, no."
    tokens = tokenise(replace(model, tokenizer=swallowing), text, add_special_tokens=False)
    assert tokens.is_whole and len(tokens.ids) < 20 and max(lengths) == len(text)


def test_sentences_of_a_long_line_are_found_in_time_that_grows_with_its_length() -> None:
    start = time.perf_counter()
    assert len(segment(LONG)) == 80_000
    assert time.perf_counter() - start < 20  # about 1 s; a search from the line's start for each took minutes
