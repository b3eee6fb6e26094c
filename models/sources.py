"""Find what a model's name means: a built-in model, a file or directory on disk, or a repository on the hub."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..rundir import InputError, expanded, is_there
from .adapter import adapter_digest
from .built_in import BUILT_IN, built_in_file
from .gguf import convert_gguf
from .hub import cached_directory, can_be_asked, file_of
from .organism import is_member_name, organism_files, organism_names

ADAPTER = "adapter_config.json"
# Files of a model directory that hold a JSON object; transformers fails on other content in many places.
OBJECTS = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
    ADAPTER,
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the files of a model are."""

    location: str  # a directory, or the id of a hub repository
    digest: str | None = None  # commit of the repository, or of the GGUF file that the directory was converted from
    is_on_hub: bool = False
    adapter: dict[str, Any] | None = None  # settings of the adapter that is there in place of a model
    has_tokenizer: bool = True


def find_source(model: str | Path, revision: str | None = None) -> Source:
    """Find the files of a model that is named; a GGUF file is converted.

    Args:
        model: A built-in name, a local directory, a .gguf file or a hub id.
        revision: Of a hub repository.

    Returns:
        Where the files are.

    Raises:
        InputError: Nothing has this name, or it is no model.
    """
    name = str(model)
    if name in BUILT_IN:
        directory, digest = convert_gguf(built_in_file(name))
        return Source(location=str(directory), digest=digest)
    if is_member_name(name):
        return Source(location=str(organism_files(name)[0]))
    path = expanded(model)
    if not is_there(path):
        return _on_hub(name, path, revision)
    if path.is_file() and path.suffix == ".gguf":
        directory, digest = convert_gguf(path.resolve())
        return Source(location=str(directory), digest=digest)
    if path.is_dir():
        return _in_directory(path)
    raise InputError(f"{model} is a file that is no GGUF model; give a model directory or a .gguf file")


def built_in_names() -> list[str]:
    """List the names of the models that come with reasonlens, without the checkpoints of their training."""
    return [*BUILT_IN, *(name for name in organism_names() if "@" not in name)]


def check_directory(path: Path) -> None:
    """Check that a directory holds a model or an adapter, and that its settings can be read.

    Raises:
        InputError: Weights or settings are missing, or a file of settings holds something else.
    """
    if not any(path.iterdir()):
        raise InputError(f"{path} is empty: give a directory with a model (config.json and *.safetensors)")
    is_model, is_adapter = (path / "config.json").is_file(), (path / ADAPTER).is_file()
    has_weights = any(
        not file.name.startswith(("adapter_model", "training_args"))
        for pattern in ("*.safetensors", "*.bin")
        for file in path.glob(pattern)
    )
    for name in OBJECTS:
        if (path / name).is_file():
            read_object(path / name)
    if is_adapter and is_model and has_weights:
        raise InputError(
            f"{path} holds both a model (config.json) and an adapter ({ADAPTER}), and it cannot be told which is "
            "meant: put them into a directory each"
        )
    if is_adapter:
        return
    if not is_model:
        raise InputError(
            f"{path} is not a model directory: it has no config.json (and no {ADAPTER}). "
            "Give the directory that save_pretrained wrote."
        )
    if not has_weights:
        raise InputError(
            f"{path} has a config.json and no weights (no *.safetensors and no *.bin): "
            "was the download complete? Save the model there with save_pretrained, or give another directory."
        )


def check_bases(directory: Path) -> None:
    """Check that an adapter is not its own base, at once or through other directories.

    Args:
        directory: Of a model or an adapter.

    Raises:
        InputError: It is.
    """
    passed: list[Path] = []
    while is_there(directory) and (directory / ADAPTER).is_file():
        passed.append(directory.resolve())
        base = read_object(directory / ADAPTER).get("base_model_name_or_path")
        if not isinstance(base, str) or not base:
            return
        directory = expanded(base)
        if directory.resolve() in passed:
            raise InputError(
                f"the adapter {passed[-1]} names {base!r} as its base, which is an adapter that needs "
                f"{'itself' if len(passed) == 1 else 'this one'}: set base_model_name_or_path in {ADAPTER} to a model"
            )


def read_object(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: The file holds something else.
    """
    remedy = "Save the model again with save_pretrained, or get the file anew."
    try:
        content = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is not valid JSON ({str(error) or 'too deep'}). {remedy}") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} holds a {type(content).__name__} and not an object of settings. {remedy}")
    return content


def _on_hub(name: str, path: Path, revision: str | None) -> Source:
    """Find a repository on the hub, by one attempt to reach it."""
    looks_local = name.endswith(("/", "\\")) or name.startswith((".", "~", "/"))
    if looks_local or path.suffix == ".gguf" or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise InputError(f"there is no model at {name:.200}: no such file or directory")
    cached = cached_directory(name, revision)
    if cached is not None:
        if can_be_asked(name, revision):
            return _of_repository(name, revision)
        return replace(_in_directory(cached), digest=cached.name)
    # A repository with an owner may be called like a built-in model; only organisms have a name of two parts.
    alike = organism_names() if "/" in name else [*BUILT_IN, *organism_names()]
    nearest = get_close_matches(name.lower(), alike, n=1, cutoff=0.7)
    if nearest:
        raise InputError(f"there is no model {name!r}; did you mean {nearest[0]}?")
    if not can_be_asked(name, revision):
        folder = "" if "/" not in name else ", no directory of this name"
        raise InputError(
            f"cannot load the model {name!r}: no built-in model{folder} and nothing in the cache of the Hugging Face "
            f"hub has this name, and the hub cannot be reached. Built-in are {', '.join(built_in_names())}."
        )
    return _of_repository(name, revision)


def _in_directory(path: Path) -> Source:
    check_directory(path)
    check_bases(path)
    if not (path / ADAPTER).is_file():
        return Source(location=str(path))
    return Source(
        location=str(path),
        digest=adapter_digest(path),
        adapter=read_object(path / ADAPTER),
        has_tokenizer=(path / "tokenizer_config.json").is_file(),
    )


def _of_repository(name: str, revision: str | None) -> Source:
    settings = file_of(name, ADAPTER, revision)
    if settings is None:
        return Source(location=name, is_on_hub=True)
    return Source(
        location=name,
        digest=settings.parent.name,
        is_on_hub=True,
        adapter=read_object(settings),
        has_tokenizer=file_of(name, "tokenizer_config.json", revision) is not None,
    )
