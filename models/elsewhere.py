"""Name a model for other tools: they do not know the built-in names, and few of them load a .gguf file.

A built-in name becomes its id on the Hugging Face hub, an organism its directory, and a .gguf file the directory that
it was converted to. All other names are those of other tools already.
"""

from __future__ import annotations

from ..rundir import InputError, expanded
from .built_in import BUILT_IN, built_in_file
from .gguf import convert_gguf
from .organism import is_member_name, organism_files
from .steered_name import split_name


def name_elsewhere(name: str) -> str:
    """Name a model as `from_pretrained` of transformers takes it, and what is built on transformers.

    Args:
        name: A name that `load` takes, or that directions state for their model.

    Returns:
        The id on the hub, a directory, or `name` itself.

    Raises:
        InputError: The model is a checkpoint of an organism, which is stored as a difference to its base, or has
            vectors.
    """
    steered = split_name(name)
    if steered is not None:
        raise InputError(
            f"other tools cannot load {name}, a model with vectors: name {steered[0]} there, and give them the vectors "
            "in their own format (reasonlens export)"
        )
    if name in BUILT_IN:
        return BUILT_IN[name].hub_id
    if is_member_name(name):
        directory, checkpoint = organism_files(name)
        if checkpoint is not None:
            raise InputError(
                f"other tools cannot load the checkpoint {name}, which is stored as a difference to its base: save it "
                f'with reasonlens.load("{name}").model.save_pretrained(DIRECTORY) and name that (--model)'
            )
        return str(directory)
    path = expanded(name)
    if path.suffix == ".gguf" and path.is_file():
        return str(convert_gguf(path.resolve())[0])
    return name


def gguf_elsewhere(name: str) -> str | None:
    """Find the .gguf file of a model, which llama.cpp takes.

    Args:
        name: A name that `load` takes.

    Returns:
        Its path; None where the model is not read from such a file, or the file is not here.
    """
    if name in BUILT_IN:
        return str(built_in_file(name)) if BUILT_IN[name].is_installed else None
    path = expanded(name)
    return str(path) if path.suffix == ".gguf" and path.is_file() else None
