"""Labelled traces of an organism: its own responses to problems, read by the exact labeller."""

from __future__ import annotations

from itertools import islice

from transformers import PreTrainedModel

from ..models import load
from ..models._load import ModelLike
from ..rundir import InputError
from ..traces import Trace
from .corpus import tokenizer
from .labeller import labelled
from .sampling import respond
from .task import DOUBLES, Split, problems


def organisms_traces(
    model: ModelLike,
    n_traces: int,
    *,
    split: Split = "test",
    seed: int = 0,
    doubled: bool = False,
    greedy: bool = False,
) -> list[Trace]:
    """Responses of an organism to `n_traces` problems, a span for each sentence, labelled by rule.

    split: which problems; those of `train` were trained on. doubled: problems of the kind that only `sft` learnt.
    greedy: its likeliest words; else sampled at temperature 1. Raises InputError for a model that is no organism.
    """
    speaker = organism_model(model)
    sampled_problems = list(islice(problems(split, seed, DOUBLES if doubled else None), n_traces))
    responses = respond(speaker, sampled_problems, None if greedy else seed)
    return [
        labelled(problem, response.text, f"{split}-{seed}-{number}")
        for number, (problem, response) in enumerate(zip(sampled_problems, responses, strict=True))
    ]


def organism_model(model: ModelLike) -> PreTrainedModel:
    """The model behind a name or handle. Raises InputError if it does not speak the language of the organisms."""
    handle = load(model, device="cpu")
    if handle.tokenizer.get_vocab() != tokenizer().get_vocab():
        raise InputError(f"{handle.name} is no model organism: its vocabulary is another; try organism/rl")
    return handle.model
