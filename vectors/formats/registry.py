"""Every format by its name."""

from __future__ import annotations

from ...models import InputError
from . import easysteer, llama_cpp, repeng, steering_vectors, svec
from .entry import Format

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT for module in (repeng, llama_cpp, easysteer, steering_vectors, svec)
}


def format_named(name: str) -> Format:
    """Raises InputError for a name that none has."""
    if name not in FORMATS:
        raise InputError(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
    return FORMATS[name]
