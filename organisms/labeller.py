"""The exact labeller: what each sentence of a response does, in which state, and whether its words are right.

A sentence runs to its full stop; its first word says the move. The search is replayed beside it, so
a sentence is judged against everything that was said before. Words that are no sentence of the language, and moves that
may not come where they stand, are labelled `nonsense`; the replay then ends, since what follows has no state.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..traces import Span, Trace
from .search import (
    BEHAVIOUR,
    Move,
    Search,
    State,
)
from .task import Problem

SENTENCE = re.compile(r"(?:[^.\s][^.]*)?\.")
ANSWER = re.compile(r"answer (\d+) and (\d+) \.")
FIRST_WORD: dict[str, Move] = {
    "we": "want",
    "sums": "sums",
    "differences": "differences",
    "doubles": "doubles",
    "take": "take",
    "double": "double",
    "need": "need",
    "look": "look",
    "check": "check",
    "verify": "check",
    "wait": "back",
    "hmm": "back",
    "maybe": "doubt",
    "not": "doubt",
    "answer": "answer",
}
NONSENSE = "nonsense"


@dataclass(frozen=True, slots=True)
class Step:
    """One sentence of a response: characters [start, end), the state it was said in, its move, and if it is right."""

    start: int
    end: int
    state: State
    move: Move | None  # None: nonsense
    is_right: bool

    @property
    def behaviour(self) -> str:
        return NONSENSE if self.move is None else BEHAVIOUR[self.move]


def steps(problem: Problem, text: str) -> Iterator[Step]:
    """The sentences of a response, replayed; after a wrong word it goes on as if the right one had been said."""
    search = Search(problem)
    for match in SENTENCE.finditer(text):
        words = match.group().split()
        move = FIRST_WORD.get(words[0])
        if move is None or move not in search.moves:
            yield Step(match.start(), match.end(), search.state, None, is_right=False)
            return
        yield Step(match.start(), match.end(), search.state, move, is_right=" ".join(words) in search.sentences(move))
        search.advance(move)


def labelled(problem: Problem, text: str, id: str) -> Trace:
    """A response as a trace whose spans are its sentences; reorderings of one problem are one problem of the trace."""
    spans = tuple(Span(step.start, step.end, step.behaviour) for step in steps(problem, text))
    return Trace(id, prompt(problem), text, spans, problem=problem.group)


def prompt(problem: Problem) -> str:
    """How a problem is put."""
    numbers = " ".join(f"{number} {colour}" for number, colour in zip(problem.numbers, problem.colours, strict=True))
    return f"numbers {numbers} . {'double ' * problem.is_doubled}target {problem.target} ."


def is_solved(problem: Problem, text: str) -> bool:
    """Whether the first answer in a response is right; a response without one is not."""
    answer = ANSWER.search(text)
    return answer is not None and problem.is_solved_by(int(answer.group(1)), int(answer.group(2)))
