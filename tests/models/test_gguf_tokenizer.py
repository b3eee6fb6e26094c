"""Texts become the tokens that they were when a GGUF file's model was trained."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import gguf
import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from reasonlens.models import load
from reasonlens.rundir import InputError

from .gguf_files import write_gguf

TEXT = "So:\n\n1. Take  12 of 345, that is 12345.\n\nIt's   done:\n\n 2 is left,  and 10  stay.\n\n"
SPLITTINGS: dict[str, pre_tokenizers.PreTokenizer] = {
    "gpt-2": pre_tokenizers.ByteLevel(add_prefix_space=False),
    "smollm": pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
}


def _tokenizer(splitting: str) -> PreTrainedTokenizerFast:
    raw = Tokenizer(BPE(unk_token=None))
    raw.pre_tokenizer = SPLITTINGS[splitting]
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=320, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False)
    raw.train_from_iterator([TEXT] * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")


def _file(path: Path, tokenizer: PreTrainedTokenizerFast, splitting: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a file with the tokenizer's own merges."""
    monkeypatch.setenv("REASONLENS_CACHE", str(path.parent / "cache"))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    merges = [" ".join(pair) for pair in _merges(tokenizer)]
    add = gguf.GGUFWriter.add_token_merges
    monkeypatch.setattr(gguf.GGUFWriter, "add_token_merges", lambda writer, _: add(writer, merges))
    return write_gguf(path, LlamaForCausalLM(config), tokenizer, splitting=splitting)


def _merges(tokenizer: PreTrainedTokenizerFast) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]]


@pytest.mark.parametrize("splitting", SPLITTINGS)
def test_text_is_split_as_the_file_says(splitting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = _tokenizer(splitting)
    loaded = load(_file(tmp_path / "m.gguf", tokenizer, splitting, monkeypatch), device="cpu").tokenizer
    assert loaded(TEXT, add_special_tokens=False)["input_ids"] == tokenizer(TEXT)["input_ids"]
    assert loaded.decode(tokenizer(TEXT)["input_ids"]) == TEXT


def test_the_splitting_of_gpt2_would_give_other_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the name in the file decides."""
    tokenizer = _tokenizer("smollm")
    loaded = load(_file(tmp_path / "m.gguf", tokenizer, "gpt-2", monkeypatch), device="cpu").tokenizer
    assert loaded(TEXT, add_special_tokens=False)["input_ids"] != tokenizer(TEXT)["input_ids"]


def test_an_unknown_splitting_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _file(tmp_path / "m.gguf", _tokenizer("gpt-2"), "a-new-way", monkeypatch)
    with pytest.raises(InputError, match=r"splits text in the way 'a-new-way' \(tokenizer.ggml.pre\), which is"):
        load(file, device="cpu")


def test_a_file_that_does_not_say_is_split_as_gpt2_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = _tokenizer("gpt-2")
    monkeypatch.setattr(gguf.GGUFWriter, "add_tokenizer_pre", lambda *_: None)
    with caplog.at_level(logging.WARNING, logger="reasonlens"):
        loaded = load(_file(tmp_path / "m.gguf", tokenizer, "none", monkeypatch), device="cpu").tokenizer
    assert "m.gguf does not say how its tokenizer splits text" in caplog.text
    assert loaded(TEXT, add_special_tokens=False)["input_ids"] == tokenizer(TEXT)["input_ids"]
