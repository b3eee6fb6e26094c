"""Split text before byte-pair encoding as the tokenizer of a GGUF file does.

Merges are learned within the pieces that a regular expression makes of a text. A GGUF file holds only the name of the
expression (`tokenizer.ggml.pre`), and transformers takes GPT-2's for any name that it does not know. With another
expression the same text becomes other tokens: SmolLM's, for one, makes a piece of each digit before anything else, so
that two line breaks before a number are one token.
"""

from __future__ import annotations

import logging

from tokenizers import pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from ..rundir import InputError
from .gguf_settings import GgufFile

logger = logging.getLogger(__name__)

LIKE_GPT2 = {"gpt-2", "gpt2", "phi-2", "mpt", "olmo", "jais", "gigachat", "trillion"}
# For which transformers has the expression.
KNOWN_TO_TRANSFORMERS = set(
    "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano dbrx smaug-bpe tekken qwen2 "
    "deepseek-r1-qwen kormo f2llmv2 megrez qwen35 gpt-4o llama4 kanana2 talkie minimax-m2".split()
)
# A piece for each digit, then GPT-2's expression.
DIGITS_FIRST = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}


def split_as_in(file: GgufFile, tokenizer: PreTrainedTokenizerBase) -> None:
    """Make a tokenizer that transformers read from a file split text as the file says, in place.

    Raises:
        InputError: The file names a way of splitting that is not known here.
    """
    if file.tokenizer != "gpt2" or not isinstance(tokenizer, PreTrainedTokenizerFast):
        return  # others have no expression
    if file.splitting is None or file.splitting == "default":
        logger.warning(f"{file.path.name} does not say how its tokenizer splits text; it is split as GPT-2 does")
    elif file.splitting in DIGITS_FIRST:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    elif file.splitting not in LIKE_GPT2 | KNOWN_TO_TRANSFORMERS:
        raise InputError(
            f"cannot convert {file.path}: its tokenizer splits text in the way {file.splitting!r} "
            "(tokenizer.ggml.pre), which is not known here, so that texts would become other tokens. Load the original "
            "Hugging Face checkpoint instead."
        )
