"""Name the errors with which transformers refuses files that it cannot read, and shorten them to a line."""

from __future__ import annotations

import re
from pickle import UnpicklingError

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

# What a broken or unknown configuration, tokenizer or weights file raises; the depth of transformers decides which.
FAILURES = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    ImportError,
    SafetensorError,
    StrictDataclassError,
    UnpicklingError,
    re.error,
)


def reason(error: BaseException) -> str:
    """Say in a line why transformers cannot load something: its first line, or that code would have to be run."""
    if "trust_remote_code" in str(error):
        return (
            "it has code of its own, which is run only when asked for. Read the code, then load it with "
            "reasonlens.load(..., trust_remote_code=True)"
        )
    return first_line(error)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message without its full stop, or its type if it has no message."""
    message = str(error).strip()
    return message.splitlines()[0].rstrip(".:") if message else type(error).__name__
