"""The closed vocabulary of the model organisms as an ordinary Hugging Face tokenizer: a word is a token."""

from __future__ import annotations

from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from .task import COLOURS, LARGEST

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
WORDS = (
    *(".", "numbers", "target", *COLOURS),
    *("we", "want", "sums", "differences", "doubles", "next", "take", "double", "need", "none", "look", "yes", "no"),
    *("check", "verify", "fine", "clash", "wait", "hmm", "go", "back", "maybe", "not", "sure", "answer", "and"),
)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Words apart at spaces; `<s>` is put before a text. Numbers reach to the largest target."""
    words = [*SPECIAL, *WORDS, *(str(number) for number in range(1, 3 * LARGEST))]
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
