"""Load a checkpoint with transformers, and check that every weight of the model came from it.

transformers fills weights that a checkpoint lacks with random numbers and passes over those that it does not know. Here
both are errors, as far as they matter: a missing weight always (tied ones are not missing), an unknown one if it
belongs to the decoder blocks, which then compute something else than what was saved.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from ..rundir import InputError
from .blocks import find_blocks
from .failures import FAILURES, reason

logger = logging.getLogger(__name__)

NAMED = 4  # how many weights a message names
# Buffers that older versions of transformers saved and that are computed now, and scales of a quantised KV cache.
WITHOUT_EFFECT = re.compile(r"(^|\.)(inv_freq|masked_bias|attn\.bias|attention\.bias|kv?_scale|v_scale)$")


def load_checkpoint(name: str, location: str, dtype: torch.dtype | str, options: dict[str, Any]) -> PreTrainedModel:
    """Load the weights of a causal language model.

    Args:
        name: What the user called the model.
        location: The directory, or the id of a hub repository.
        dtype: Of the weights.
        options: Of `from_pretrained`.

    Returns:
        The model.

    Raises:
        InputError: The checkpoint cannot be read, or its weights are not those of its configuration.
    """
    options = options | {"output_loading_info": True, "ignore_mismatched_sizes": True}
    try:
        with quiet():
            loaded: Any = AutoModelForCausalLM.from_pretrained(location, dtype=dtype, **options)
    except FAILURES as error:
        raise InputError(
            f"cannot load the model {name!r}: {reason(error)}. Give a built-in name, a local directory, a .gguf "
            "file, or the id of a causal language model on the Hugging Face hub."
        ) from error
    model, report = loaded
    _check(name, model, report)
    checked: PreTrainedModel = model
    return checked


def load_tokenizer(name: str, location: str | Path, **options: Any) -> PreTrainedTokenizerBase:
    """Load a tokenizer; code that comes with it is run only with `trust_remote_code=True`.

    Args:
        name: What the user called the model.
        location: The directory, or the id of a hub repository.
        **options: Of `from_pretrained`.

    Returns:
        The tokenizer.

    Raises:
        InputError: It cannot be read.
    """
    try:
        with quiet():
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                location, **({"trust_remote_code": False} | options)
            )
    except Exception as error:  # tokenizers raises it as it is for a file that it cannot read
        _check_configuration(name, location, options)
        raise InputError(
            f"cannot load the tokenizer of {name!r}: {reason(error)}. Save it beside the model with "
            "tokenizer.save_pretrained, or pass one: reasonlens.load(model, tokenizer)."
        ) from error
    return tokenizer


def _check_configuration(name: str, location: str | Path, options: dict[str, Any]) -> None:
    """Raise InputError if it is config.json that cannot be read, which a tokenizer is chosen by too."""
    try:
        with quiet():
            AutoConfig.from_pretrained(location, **({"trust_remote_code": False} | options))
    except FAILURES as error:
        if "trust_remote_code" not in str(error):
            raise InputError(
                f"cannot read config.json of {name!r}: {reason(error)}. Save the model again with save_pretrained."
            ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Hide progress bars and reports of transformers inside the block; what they say is raised as an error here."""
    bar_was_on, level = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity(max(level, logging.ERROR))
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bar_was_on:
            transformers_logging.enable_progress_bar()


def some(names: Sequence[str]) -> str:
    """List the first few names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names of weights, block 10 after block 9."""
    return sorted(names, key=lambda name: [(int(part) if part.isdigit() else -1, part) for part in name.split(".")])


def _check(name: str, model: PreTrainedModel, report: dict[str, Any]) -> None:
    """Raise InputError unless the model has the weights that were saved."""
    if report["mismatched_keys"]:
        shapes = {
            key: f"{key} {tuple(saved)} for {tuple(configured)}" for key, saved, configured in report["mismatched_keys"]
        }
        raise InputError(
            f"the weights of {name!r} do not fit its configuration: {len(shapes)} have another shape "
            f"({some([shapes[key] for key in in_order(shapes)])}). Are config.json and the weights of the same model?"
        )
    if missing := in_order(report["missing_keys"]):
        raise InputError(
            f"{name!r} lacks {len(missing)} weights that its configuration asks for, which would be random numbers: "
            f"{some(missing)}. Was it saved and downloaded completely, by the class that config.json names?"
        )
    unknown = [key for key in in_order(report["unexpected_keys"]) if not WITHOUT_EFFECT.search(key)]
    blocks = find_blocks(model)
    place = next(path for path, module in model.named_modules() if module is blocks)
    in_blocks = [key for key in unknown if _is_in(key, place)]
    if in_blocks:
        raise InputError(
            f"{name!r} has {len(in_blocks)} weights in its blocks that its configuration ({len(blocks)} blocks) has no "
            f"place for: {some(in_blocks)}. Are config.json and the weights of the same model?"
        )
    modules = {name for name, _ in model.named_modules()}
    in_decoder = [
        key for key in unknown if _owner(key) in modules or f"{model.base_model_prefix}.{_owner(key)}" in modules
    ]
    if in_decoder:
        raise InputError(
            f"{name!r} has {len(in_decoder)} weights that its configuration has no place for: {some(in_decoder)}. Are "
            "config.json and the weights of the same model?"
        )
    if unknown:
        logger.warning(f"{len(unknown)} weights of {name} outside its decoder are not used: {some(unknown)}")


def _owner(key: str) -> str:
    """Return the path of the module that a weight belongs to."""
    return key.rpartition(".")[0]


def _is_in(key: str, place: str) -> bool:
    """Check whether a weight belongs to the blocks at `place`, also if either path begins further in."""
    path = re.match(r"(.+?)\.\d+\.", key)  # up to the number of the block
    return path is not None and (f".{path[1]}".endswith(f".{place}") or f".{place}".endswith(f".{path[1]}"))
