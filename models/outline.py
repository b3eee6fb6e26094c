"""Hold a model without its weights, for what needs its tokenizer and shape only: another engine runs the model."""

from __future__ import annotations

from contextlib import suppress

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from ..rundir import InputError
from .blocks import find_blocks, find_body
from .checkpoint import load_tokenizer, quiet
from .failures import FAILURES, reason
from .handle import LanguageModel
from .sources import Source


def outline_of(name: str, source: Source) -> LanguageModel:
    """Make the handle of a model whose weights are left where they are.

    Args:
        name: What to call it.
        source: Where its files are.

    Returns:
        The handle; its weights are on the meta device and cannot be run.

    Raises:
        InputError: Its configuration or tokenizer cannot be read.
    """
    try:
        with quiet(), torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(source.location))
    except FAILURES as error:
        raise InputError(f"cannot read the configuration of {name}: {reason(error)}") from error
    with suppress(OSError):  # a model need not have one
        model.generation_config = GenerationConfig.from_pretrained(source.location)
    return LanguageModel(
        model=model,
        tokenizer=load_tokenizer(name, source.location),
        body=find_body(model),
        blocks=find_blocks(model),
        name=name,
        revision=source.digest,
    )
