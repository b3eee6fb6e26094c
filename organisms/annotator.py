"""The exact labeller as an annotator: the problem is read back from its prompt."""

from __future__ import annotations

from ..rundir import InputError
from ..traces import Span
from .labeller import labelled
from .language import STOP
from .task import N_CANDIDATES, N_LEVELS, VERDICTS, Problem
from .world import CODES, SYMBOLS, TASTES

N_TASTE_WORDS = 2 * len(TASTES) + 1
N_LEVEL_WORDS = N_CANDIDATES + 3


def organism_annotator(prompt: str, text: str) -> list[Span]:
    """Label every sentence of a response to a problem of the organisms by rule.

    Args:
        prompt: The problem as it is put.
        text: The response.

    Returns:
        A span for each sentence; what is no sentence of the language is `nonsense` and ends the labelling.

    Raises:
        InputError: The prompt puts no problem of the organisms.
    """
    return list(labelled(problem_of(prompt), text, id="annotated").spans)


def problem_of(prompt: str) -> Problem:
    """Read a problem back from its prompt: the inverse of `Problem.prompt`.

    Args:
        prompt: The problem as it is put.

    Returns:
        The problem.

    Raises:
        InputError: The prompt puts no problem of the organisms.
    """
    words = prompt.split()
    starts = range(N_TASTE_WORDS, N_TASTE_WORDS + N_LEVELS * N_LEVEL_WORDS, N_LEVEL_WORDS)
    if len(words) == starts.stop and words.count(VERDICTS[1]) == 1:
        problem = Problem(
            bad=words[words.index(VERDICTS[1]) - 1],
            goals=tuple(words[start] for start in starts),
            candidates=tuple(tuple(words[start + 2 : start + 2 + N_CANDIDATES]) for start in starts),
        )
        symbols = [symbol for level in problem.candidates for symbol in level]
        is_of_language = set(problem.goals) <= set(CODES) and set(symbols) <= set(SYMBOLS)
        if is_of_language and len(set(symbols)) == len(symbols) and problem.prompt == " ".join(words):
            return problem
    raise InputError(
        f"the prompt {prompt!r:.100} puts no problem of the organisms, which are put like 'sweet fine sour wrong "
        f"bitter fine salty fine {STOP} 3 one kiwi plum fig pear lime nut {STOP} 5 two ...'; use another annotator"
    )
