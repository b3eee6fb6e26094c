"""Two byte-level tokenizers on one text of many scripts: the same characters, and the same as from the beginning."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from reasonlens.generation.alignment import (
    AlignedText,
    Spelling,
    agree,
    split_characters,
)
from reasonlens.rundir import InputError

TEXTS = [
    "So 3 + 4 = 7. Wait, that is wrong: let me check again, and again.",
    "Ça dépend: naïve façade, e\u0301te\u0301 and a\u0308 with combining accents, ﬁ ligatures.",
    "思考してから答える。你好，世界！再检查一遍。 한국어도 됩니다.",
    "Family 👩‍👩‍👧‍👦, flags 🇫🇷🇯🇵, skin 👍🏽, and 😀😀 again 🤔.",
    "مرحبا بالعالم, שלום, नमस्ते, สวัสดี",
    "tabs\tand\n\nnewlines  and   spaces \u00a0 and the sign \ufffd itself",
]


@cache
def spelling(vocabulary: int, what: int, normalized: bool = False) -> Spelling:
    """A byte-level BPE of its own, trained on some of the texts."""
    raw = Tokenizer(models.BPE(unk_token=None))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    if normalized:
        raw.normalizer = normalizers.NFC()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["</s>"], initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator((TEXTS[what:] + TEXTS[:what])[:3] * 2, trainer)
    return Spelling(PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>"))


def reader_of(tokens: list[int], prompt: tuple[int, ...]) -> tuple[list[list[int]], AlignedText]:
    """What stands in the reader's cache after each token, if it does what it is told."""
    follower = AlignedText(spelling(330, 0), spelling(400, 3), prompt)
    held, after = list(prompt), []
    for token in tokens:
        update = follower.append(token)
        assert update.n_common <= len(held)
        held = [*held[: update.n_common], *update.new] if update.new else held
        after.append(list(held))
    return after, follower


@pytest.mark.parametrize("text", TEXTS)
def test_the_reader_holds_the_same_characters_after_every_token_as_from_the_beginning(text: str) -> None:
    writer, reader, prompt = spelling(330, 0), spelling(400, 3), (5, 6, 7)
    tokens = writer.tokens_for(text.encode())
    after, follower = reader_of(tokens, prompt)
    for number, held in enumerate(after):
        so_far, _ = split_characters(b"".join(writer.bytes_of([token]) for token in tokens[: number + 1]))
        assert text.startswith(so_far)
        assert held == [*prompt, *reader.tokenizer(so_far)["input_ids"]]
        assert reader.tokenizer.decode(held[3:], clean_up_tokenization_spaces=False) == so_far
    assert reader.bytes_of(after[-1][3:]).decode() == text and not follower.waiting


def test_any_tokens_at_all_leave_the_reader_with_the_same_characters() -> None:
    """Bytes that are no character among them, as a model may write."""
    writer, reader, random = spelling(330, 0), spelling(400, 3), np.random.default_rng(0)
    n_waiting = 0
    for _ in range(60):
        tokens = random.integers(1, 330, 40).tolist()
        after, follower = reader_of(tokens, ())
        data = b"".join(writer.bytes_of([token]) for token in tokens)
        expected, waiting = split_characters(data)
        assert reader.bytes_of(after[-1]).decode() == expected and follower.waiting == waiting
        assert (expected.encode() + waiting).decode(errors="replace") == data.decode(errors="replace")
        n_waiting += bool(waiting)
    assert n_waiting  # some end amid a character


def test_a_character_over_several_tokens_waits_until_it_is_whole() -> None:
    writer = spelling(330, 0)
    tokens = [writer.tokens_for(bytes([byte]))[0] for byte in "a🤔b".encode()]
    follower = AlignedText(writer, spelling(400, 3), (9,))
    updates = [follower.append(token) for token in tokens]
    assert [bool(update.new) for update in updates] == [True, False, False, False, True, True]
    assert follower.reader.bytes_of(follower.read).decode() == "a🤔b"
    amid = AlignedText(writer, spelling(400, 3), (9,))
    for token in tokens[:3]:
        amid.append(token)
    assert amid.waiting == "🤔".encode()[:2]
    thought, smile = (amid.reader.tokens_for(each.encode())[0] for each in ("🤔", "b"))
    assert amid.agrees(tokens[3], thought) and not amid.agrees(tokens[3], smile)
    assert amid.in_writers(smile) is None  # cannot be said before the character is whole


def test_next_tokens_agree_if_one_is_the_beginning_of_the_other() -> None:
    assert agree(b" wait", b" wait, that") and agree(b" wait, that", b" wait") and agree(b"x", b"x")
    assert not agree(b" wait", b" want") and not agree(b"wait", b" wait") and not agree(b"", b"x")
    assert agree("é".encode()[:1], "é".encode())


def test_the_cache_keeps_what_did_not_change() -> None:
    text = TEXTS[0] * 3
    writer = spelling(330, 0)
    follower = AlignedText(writer, spelling(400, 3), tuple(range(10)))
    tokens = writer.tokens_for(text.encode())
    n_read = sum(len(follower.append(token).new) for token in tokens)
    assert n_read < 2.5 * len(tokens)  # and not the text anew for every token


def test_a_reader_that_composes_accents_reads_the_same_text_and_one_that_lowers_letters_is_refused() -> None:
    writer, composing = spelling(330, 0), spelling(400, 1, True)
    follower = AlignedText(writer, composing)
    for token in writer.tokens_for(TEXTS[1].encode()):
        follower.append(token)
    assert "été" in composing.bytes_of(follower.read).decode()
    raw = Tokenizer(models.BPE(unk_token=None))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    raw.normalizer = normalizers.Lowercase()
    raw.train_from_iterator(
        TEXTS, trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    )
    lowering = AlignedText(writer, Spelling(PreTrainedTokenizerFast(tokenizer_object=raw)))
    with pytest.raises(InputError, match="does not give text back as it was"):
        for token in writer.tokens_for(b"So"):
            lowering.append(token)


def test_bytes_of_tokens_are_those_that_the_tokenizer_decodes() -> None:
    for one in (spelling(330, 0), spelling(400, 3)):
        for text in TEXTS:
            tokens = one.tokenizer(text)["input_ids"]
            assert (
                one.bytes_of(tokens).decode()
                == text
                == one.tokenizer.decode(tokens, clean_up_tokenization_spaces=False)
            )
            assert one.tokens_for(text.encode()) == tokens
        assert one.bytes_of([0]) == b"</s>"
