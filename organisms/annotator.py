"""The exact labeller as an annotator: the problem is read back from its prompt."""

from __future__ import annotations

import re

from ..rundir import InputError
from ..traces import Span
from .labeller import labelled, prompt
from .task import COLOURS, Problem

PROMPT = re.compile(rf"numbers ((?:\d+ (?:{'|'.join(COLOURS)}) )+)\. (double )?target (\d+) \.")


def organism_annotator(prompt: str, text: str) -> list[Span]:
    """Every sentence of a response to a problem of the organisms, labelled by rule.

    What is no sentence of their language is `nonsense` and ends the labelling. Raises InputError for another prompt.
    """
    return list(labelled(problem_of(prompt), text, id="annotated").spans)


def problem_of(prompt_text: str) -> Problem:
    """The problem that a prompt puts: the inverse of `prompt`. Raises InputError when it puts none."""
    match = PROMPT.fullmatch(prompt_text)
    if match:
        words = match.group(1).split()
        numbers = tuple(int(number) for number in words[::2])
        problem = Problem(numbers, tuple(words[1::2]), int(match.group(3)), is_doubled=bool(match.group(2)))
        if len(set(numbers)) == len(numbers) and prompt(problem) == prompt_text:
            return problem
    raise InputError(
        f"the prompt {prompt_text!r:.100} puts no problem of the organisms, which are put like "
        "'numbers 3 red 12 blue 7 red 9 blue 20 blue . target 19 .'; use another annotator"
    )
