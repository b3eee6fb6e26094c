"""Name the errors with which transformers refuses files that it cannot read, and shorten them to a line."""

from __future__ import annotations

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

# What a broken or unknown configuration, tokenizer or weights file raises; the depth of transformers decides which.
FAILURES = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,
    ImportError,
    SafetensorError,
    StrictDataclassError,
)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message without its full stop, or its type if it has no message."""
    message = str(error).strip()
    return message.splitlines()[0].rstrip(".:") if message else type(error).__name__
