"""List the engines by name."""

from __future__ import annotations

from ...rundir import entry_of
from .endpoint import OPENAI
from .engine import Engine
from .transformers_ import TRANSFORMERS
from .vllm_ import VLLM

ENGINES: dict[str, Engine] = {"transformers": TRANSFORMERS, "openai": OPENAI, "vllm": VLLM}


def engine_of(name: str) -> Engine:
    """Look up an engine.

    Args:
        name: One of `ENGINES`.

    Returns:
        The engine.

    Raises:
        InputError: There is none of this name.
    """
    return entry_of(ENGINES, name, "there is no engine {}")
