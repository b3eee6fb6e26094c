"""Labelled traces of an organism: its own responses to problems, read by the exact labeller."""

from __future__ import annotations

import copy
from itertools import islice
from typing import Any

from transformers import LlamaForCausalLM

from ..models import LanguageModel, load
from ..models._load import ModelLike
from ..rundir import InputError
from ..traces import Trace
from .corpus import decode
from .labeller import labelled
from .language import tokenizer
from .sampling import respond
from .task import Split, problems
from .world import Way


def organisms_traces(
    model: ModelLike,
    n_traces: int,
    *,
    split: Split = "test",
    seed: int = 0,
    way: Way | None = None,
    greedy: bool = False,
) -> list[Trace]:
    """Let an organism answer problems and label what it writes.

    Args:
        model: The organism.
        n_traces: How many problems it is asked.
        split: Which problems; those of `train` were trained on.
        seed: Of the problems, and of the random numbers where it is sampled.
        way: Only problems of this way; None: of both, as they come.
        greedy: Its likeliest words; else sampled at temperature 1.

    Returns:
        One trace for each problem, a span for each sentence.

    Raises:
        InputError: The model is no organism.
    """
    organism = organism_model(model)
    sampled_problems = list(islice(problems(split, seed, way), n_traces))
    responses = respond(organism, sampled_problems, None if greedy else seed)
    return [
        labelled(problem, " ".join(decode(response)), f"{split}-{seed}-{number}")
        for number, (problem, response) in enumerate(zip(sampled_problems, responses, strict=True))
    ]


def is_organism(model: LanguageModel) -> bool:
    """Tell whether a model is an organism, by its vocabulary."""
    return bool(model.tokenizer.get_vocab() == tokenizer().get_vocab())


def organism_model(model: ModelLike) -> LlamaForCausalLM:
    """Load an organism onto the CPU, where its decoder computes.

    Args:
        model: A name, a directory or a handle, which stays where it is.

    Returns:
        The model, or a copy of one that is elsewhere.

    Raises:
        InputError: The model does not have the language of the organisms.
    """
    handle = load(model, device="cpu")
    if not isinstance(handle.model, LlamaForCausalLM) or not is_organism(handle):
        raise InputError(f"{handle.name} is no model organism: its vocabulary is another; try organism/rl-timing")
    return _on_cpu(handle.model)


def _on_cpu(model: LlamaForCausalLM) -> LlamaForCausalLM:
    if all(weight.device.type == "cpu" for weight in model.parameters()):
        return model
    copied: Any = copy.deepcopy(model)
    if any(hasattr(module, "_hf_hook") for module in copied.modules()):  # it is over several devices
        from accelerate.hooks import remove_hook_from_module

        remove_hook_from_module(copied, recurse=True)
    moved: LlamaForCausalLM = copied.to("cpu")
    return moved
