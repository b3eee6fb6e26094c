"""A model whose tokenizer does not know the words of a text is not asked to read it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from reasonlens.models import LanguageModel
from reasonlens.organisms.language import tokenizer
from reasonlens.rundir import InputError
from reasonlens.traces import Span, Trace, encode
from reasonlens.traces.known import check_known

ENGLISH = "Wait, the corner was counted twice, which spoils the total. Adding again gives nine."
OWN = "now look sour . right we one 6 hue . then say corn 2 miss . okay here ."


def trace(text: str) -> Trace:
    return Trace("t", "", text, (Span(0, len(text), "all"),))


@pytest.fixture
def organism(tiny: Callable[..., LanguageModel]) -> LanguageModel:
    model = tiny("llama")
    return LanguageModel(
        model=model.model, tokenizer=tokenizer(), body=model.body, blocks=model.blocks, name="organism/base-timing"
    )


def test_english_is_refused_by_a_model_of_a_closed_vocabulary_with_the_share(organism: LanguageModel) -> None:
    with pytest.raises(
        InputError, match=r"organism/base-timing does not know the words .*: \d\d% of \d+ tokens are '<unk>'"
    ):
        encode(organism, [trace(ENGLISH)])


def test_its_own_words_are_read_and_a_few_unknown_ones_too(organism: LanguageModel) -> None:
    (text,) = encode(organism, [trace(OWN)])
    assert organism.tokenizer.unk_token_id not in text.token_ids.tolist()
    encode(organism, [trace(f"{OWN} {OWN} zebra")])


def test_a_token_for_unknown_words_that_ends_texts_is_none(
    tiny: Callable[..., LanguageModel], tokenizer: PreTrainedTokenizerFast
) -> None:
    own = copy.deepcopy(tokenizer)
    model = replace(tiny("llama"), tokenizer=own)
    ids = [np.array([own.eos_token_id] * 5)]
    check_known(model, ids)
    own.unk_token = own.eos_token
    check_known(model, ids)
