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
    *("we", "want", "try", "sums", "differences", "take", "need", "none", "look", "yes", "no"),
    *("check", "verify", "fine", "clash", "wait", "hmm", "that", "fails", "go", "back"),
    *("maybe", "not", "sure", "yet", "answer", "and"),
)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Words apart at spaces; `<s>` is put before a text. Numbers reach to twice the largest, which a sum may need."""
    words = [*SPECIAL, *WORDS, *(str(number) for number in range(1, 2 * LARGEST + 1))]
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
