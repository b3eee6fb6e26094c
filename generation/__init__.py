"""What models write: sampling settings, decoding over a key-value cache, and reading by another tokenizer."""

from .continuation import Sampling, chosen, continuations, ends
from .writing import Written, encode_prompts, write

__all__ = ["Sampling", "Written", "chosen", "continuations", "encode_prompts", "ends", "write"]
