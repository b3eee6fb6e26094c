"""Digest the content of a model, so that a run can check that it is resumed with the same one.

Files are compared by content: a copied or reinstalled model is the same, an overwritten one is not. Every byte of the
weights counts. Digests of large files are cached with size, times and inode of the file, which only avoids reading it
again: any write changes the time of its inode.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import torch

from ..rundir import InputError, content_digest, expanded, file_digest, is_there, write_json
from ._load import ModelLike, load
from .adapter import adapter_state
from .addition import additions_digest
from .built_in import BUILT_IN, built_in_file
from .gguf import cache_directory
from .handle import LanguageModel
from .organism import is_member_name, organism_files
from .sources import ADAPTER, check_bases, read_object
from .steered_name import split_name

MODEL_FILES = ("*.safetensors", "*.bin", "*.json", "*.txt", "*.model", "*.jinja", "*.py")  # in a model's directory
CACHE = "digests.json"
LARGE_BYTES = 1 << 26  # digests of files from this size on are cached
SETTLED_S = 2.0  # a file that was written less than this ago may be written again within one tick of its clock


def model_digest(model: ModelLike) -> str:
    """Digest what names or holds a model, without loading one that is named.

    Args:
        model: A built-in name, a directory or a .gguf file: the bytes of its files count, not where they are. A model
            object or handle: every weight, the vocabulary and the chat template. The id of a hub repository: its name
            alone, since its revision is known only once it is loaded.

    Returns:
        The digest, with a prefix that says what was digested.
    """
    if not isinstance(model, str | Path):
        return f"weights:{weights_digest(load(model))}"
    steered = split_name(model)
    if steered is not None:
        return f"steered:{content_digest([model_digest(steered[0]), file_digest(steered[1])])}"
    if is_member_name(str(model)):
        directory, checkpoint = organism_files(str(model))
        return _digest_files([*_model_files(directory), *([checkpoint] if checkpoint else [])])
    if model in BUILT_IN:
        is_here = BUILT_IN[str(model)].is_installed
        return _digest_files([built_in_file(str(model))]) if is_here else f"name:{model}"
    path = expanded(model)
    if not is_there(path):
        return f"name:{model}"
    if path.is_dir():
        check_bases(path)
        files = _digest_files(_model_files(path))
        base = read_object(path / ADAPTER).get("base_model_name_or_path") if (path / ADAPTER).is_file() else None
        return files if base is None else f"adapter:{content_digest([files, model_digest(str(base))])}"
    return _digest_files([path]) if path.is_file() else f"name:{model}"


def weights_digest(model: LanguageModel) -> str:
    """Digest every weight of a loaded model with its name, shape and type, its vocabulary, its chat template, vectors.

    Weights that accelerate has offloaded count by name, shape and type only.
    """
    tokenizer = model.tokenizer
    adapters = adapter_state(model.model)  # before the weights, which it may change
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing releases the interpreter's lock
        digests = list(pool.map(_digest_tensor, model.model.state_dict().values()))
    weights = dict(zip(model.model.state_dict(), digests, strict=True))
    rest = [tokenizer.get_vocab(), getattr(tokenizer, "chat_template", None)]
    acting = [part for part in (adapters, additions_digest(model.blocks)) if part is not None]
    return content_digest([weights, *rest, *acting])


def _digest_tensor(weight: torch.Tensor) -> str:
    digest = hashlib.sha256(f"{tuple(weight.shape)} {weight.dtype}".encode())
    if weight.device.type != "meta" and weight.numel():
        flat = weight.detach().cpu().contiguous().flatten()
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _model_files(directory: Path) -> list[Path]:
    return [file for pattern in MODEL_FILES for file in directory.glob(pattern) if file.is_file()]


def _digest_files(files: Iterable[Path]) -> str:
    known = _read_cache()
    new = dict(known)
    entries = sorted((file.name, _digest_file(file, new)) for file in files)
    if new != known:
        with suppress(InputError):  # without a cache, files are read again
            write_json(cache_directory() / CACHE, new)
    return f"files:{content_digest(entries)}"


def _digest_file(file: Path, known: dict[str, dict[str, str | list[int]]]) -> str:
    state = file.stat()
    if state.st_size < LARGE_BYTES:
        return file_digest(file)
    name = str(file.resolve())
    identity = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
    if name in known and known[name].get("state") == identity:
        return str(known[name]["sha256"])
    digest = file_digest(file)
    if time.time() - max(state.st_mtime, state.st_ctime) > SETTLED_S:
        known[name] = {"state": identity, "sha256": digest}
    return digest


def _read_cache() -> dict[str, dict[str, str | list[int]]]:
    try:
        content = json.loads((cache_directory() / CACHE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and all(isinstance(entry, dict) for entry in content.values()) else {}
