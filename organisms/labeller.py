"""The exact labeller: what each sentence of a response does, in which state, and whether its words are right.

A sentence runs to its full stop. The machine is replayed beside the text and follows what was said. Words that are no
sentence of the language, and anything after the answer, are labelled `nonsense`; the replay then ends. A sentence cut
off at the end of a text is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..traces import Span, Trace
from .language import BEHAVIOUR, STOP, Move, parse
from .machine import Machine, State
from .task import MAX_RESPONSE_TOKENS, Problem
from .world import WAYS, WEAK, Way

NONSENSE = "nonsense"


@dataclass(frozen=True, slots=True)
class Step:
    """One sentence of a response."""

    first: int  # word of the response that it begins with
    n_words: int
    state: State  # that it was said in
    move: Move | None  # None: nonsense
    content: tuple[str, ...]
    right: tuple[str, ...]  # what its arguments should have been, the way taken as it was said
    way: Way  # by which the level is searched

    @property
    def is_right(self) -> bool:
        """Whether every word is right."""
        return self.move is not None and self.content == self.right

    @property
    def is_weak(self) -> bool:
        """Whether it is a try of a weak symbol by hue, the one step that skill is about."""
        return self.move == "try" and self.way == "hue" and self.content[0] in WEAK

    @property
    def behaviour(self) -> str:
        """The label of the sentence."""
        return NONSENSE if self.move is None else BEHAVIOUR[self.move]


@dataclass(frozen=True, slots=True)
class Reading:
    """A response read by the labeller."""

    steps: tuple[Step, ...]
    is_solved: bool
    is_ended: bool  # by an answer, within the token limit

    @property
    def is_grammatical(self) -> bool:
        """Whether no sentence is nonsense."""
        return all(step.move is not None for step in self.steps)

    @property
    def is_process_right(self) -> bool:
        """Whether the problem is solved and every sentence is right."""
        return self.is_solved and all(step.is_right for step in self.steps)


def read(problem: Problem, words: list[str]) -> Reading:
    """Read a response.

    Args:
        problem: What was asked.
        words: Of the response, without its end token.

    Returns:
        Its sentences, and whether it solves the problem within the token limit.
    """
    machine = Machine(problem)
    steps: list[Step] = []
    first = 0
    for last in (place for place, word in enumerate(words) if word == STOP):
        sentence = parse(words[first : last + 1])
        n_words = last + 1 - first
        if sentence is None or machine.is_done:
            steps.append(Step(first, n_words, machine.state, None, (), (), machine.way))
            return Reading(tuple(steps), is_solved=False, is_ended=False)
        move, content = sentence
        way: Way = WAYS[content[2] == WAYS[1]] if move == "plan" else "hue"
        steps.append(Step(first, n_words, machine.state, move, content, machine.content(move, way), machine.way))
        machine.advance(move, content)
        first = last + 1
    is_whole = first == len(words) <= MAX_RESPONSE_TOKENS
    return Reading(tuple(steps), is_solved=is_whole and machine.is_solved, is_ended=is_whole and machine.is_done)


def is_solved(problem: Problem, text: str) -> bool:
    """Grade a response by its outcome: every level accepted with its target, and an answer within the limit."""
    return read(problem, text.split()).is_solved


def labelled(problem: Problem, text: str, id: str) -> Trace:
    """Make a trace of a response whose spans are its sentences; reorderings of a problem are one problem of traces."""
    words = text.split()
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    spans = tuple(
        Span(starts[step.first], starts[step.first + step.n_words] - 1, step.behaviour)
        for step in read(problem, words).steps
    )
    return Trace(id, problem.prompt, " ".join(words), spans, problem=problem.group)


def steps(problem: Problem, text: str) -> Iterator[Step]:
    """Iterate over the sentences of a response."""
    return iter(read(problem, text.split()).steps)
