"""Voices: tokens that end sentences and responses, and the same text in the tokens of another model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from reasonlens.generation import Sampling
from reasonlens.models import LanguageModel, wrap
from reasonlens.pairs.exchange.sentences import exchange_sentences
from reasonlens.pairs.exchange.settings import ExchangeSettings
from reasonlens.pairs.exchange.voice import Voice
from reasonlens.traces import keyword_annotator

TEXT = "Wait, 7 is wrong. So it is 8.\nAnd 8.5 – début!"


@pytest.fixture(scope="module")
def one(tiny: Callable[..., LanguageModel]) -> LanguageModel:
    """A model whose texts end with its tokenizer's end alone, and not with what its architecture has by default."""
    model = tiny()
    model.model.generation_config.eos_token_id = None
    return model


@pytest.fixture(scope="module")
def other(tiny: Callable[..., LanguageModel]) -> LanguageModel:
    """A model whose tokens are single bytes."""
    raw = Tokenizer(BPE(unk_token=None))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        [], BpeTrainer(special_tokens=["<end>"], initial_alphabet=alphabet, vocab_size=257, show_progress=False)
    )
    model = tiny("qwen").model
    model.generation_config.eos_token_id = None
    return wrap(model, PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>"), name="bytes")


def test_sentences_end_at_their_marks_and_at_ends_of_either_model(
    one: LanguageModel, tiny: Callable[..., LanguageModel]
) -> None:
    sibling = tiny("qwen")
    sibling.model.generation_config.eos_token_id = 399
    voice = Voice.of(one, "plain", sibling)
    assert 399 in voice.stops and not Voice.of(one, "plain", one).ends[399]
    tokens = voice.model.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    sentences: list[list[int]] = [[]]
    for token in tokens:
        sentences[-1].append(token)
        if voice.ends[token]:
            sentences.append([])
    texts = [voice.text(sentence).strip() for sentence in sentences if voice.text(sentence).strip()]
    assert texts[:2] == ["Wait, 7 is wrong.", "So it is 8."]
    end = voice.model.tokenizer.eos_token_id
    assert end in voice.stops and bool(voice.ends[end]) and voice.has_ended([*tokens, end])
    assert not voice.has_ended(tokens) and not voice.has_other_tokens


def test_a_text_stays_the_same_in_the_tokens_of_another_model(one: LanguageModel, other: LanguageModel) -> None:
    first, second = Voice.of(one, "plain", other), Voice.of(other, "plain", one)
    assert first.has_other_tokens and second.has_other_tokens
    tokens = first.model.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    translated = second.tokens_of(first, tokens)
    assert second.text(translated) == TEXT and len(translated) == len(TEXT.encode())
    assert not second.has_ended(translated)
    ended = second.tokens_of(first, [*tokens, first.model.tokenizer.eos_token_id])
    assert ended[:-1] == translated and second.has_ended(ended)
    assert first.tokens_of(second, translated) == tokens


@pytest.mark.parametrize("is_swapped", [False, True])
def test_models_of_other_tokens_write_together(one: LanguageModel, other: LanguageModel, is_swapped: bool) -> None:
    """Of random models no sentence has a behaviour, so that the first sentence of the speaker is accepted."""
    voices = [Voice.of(one, "plain", other), Voice.of(other, "plain", one)]
    decider, speaker = voices[::-1] if is_swapped else voices
    settings = ExchangeSettings(
        sentence_tokens=6, sampling=Sampling(temperature=1.0, top_p=1.0, max_new_tokens=24), n_rows=2
    )
    questions = ["What is 3 + 4?", "Is 8 even?"]
    responses = exchange_sentences(decider, speaker, questions, keyword_annotator, settings, numbers=[0, 1])
    for response in responses:
        assert 1 <= response.n_tokens <= 24 and response.n_sentences >= 1
    assert responses == exchange_sentences(decider, speaker, questions, keyword_annotator, settings, numbers=[0, 1])
