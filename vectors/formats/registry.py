"""List every format by its name."""

from __future__ import annotations

from ...rundir import entry_of
from . import (
    baked,
    easysteer,
    hotwire,
    llama_cpp,
    neuronpedia,
    persona_vectors,
    published_means,
    refusal_direction,
    repeng,
    safetensors,
    steering_vectors,
    svec,
    vllm_lens,
)
from .entry import Format

_MODULES = (
    safetensors,
    repeng,
    llama_cpp,
    easysteer,
    vllm_lens,
    hotwire,
    steering_vectors,
    svec,
    refusal_direction,
    persona_vectors,
    published_means,
    neuronpedia,
    baked,
)
FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in _MODULES}


def format_named(name: str) -> Format:
    """Look up a format by its name.

    Args:
        name: A key of `FORMATS`.

    Returns:
        The format.

    Raises:
        InputError: There is no format of this name.
    """
    return entry_of(FORMATS, name, "there is no format {}")
