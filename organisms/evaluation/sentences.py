"""Responses as a table of sentences: what was decided in which state, which kind of step it was, whether it is right.

    group, response        the problem's group; number of the response
    state, move            where it was decided and what; move `nonsense`: the two opening words are missing, or come
                           after the answer; move `end`: the response ends there without an answer
    context, keeps_way     of plans: what the plan is of (`machine.WayContext`), whether its way is hue (the first), or
                           the last way (others)
    kind                   of content, see `KINDS`; empty for moves without content
    is_said                whether the words after the opening are a sentence of the language
    is_right               whether every one of them is right
    is_hit, says_hit       of tries: whether the candidate has the wanted code, whether it is said to be a hit
                           of checks: whether it is of the bad taste, whether the verdict says so
    takes_right            whether it names the right symbol (tries, accepts)

All figures of behaviour, of policy and of skill are shares of rows of this table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from ..corpus import decode
from ..labeller import Reading, Step
from ..language import HITS, MOVE_OF, NONE, Move
from ..machine import Machine
from ..task import MAX_RESPONSE_TOKENS, VERDICTS, Problem
from ..world import CODE_OF, TASTE, WAYS, WEAK, Way

# Every kind of content: what the weights must hold (codes, tastes), what is copied, and what is said where nothing is.
KINDS: tuple[str, ...] = (
    *("try-hue-known", "try-hue-weak", "try-form", "try-none"),
    *("check", "check-none", "accept", "accept-none", "plan", "plan-none", "restate"),
)


@dataclass(slots=True)
class Sentence:
    """One row of the table."""

    group: str
    response: int
    state: str
    move: str
    context: str = ""
    keeps_way: bool = False
    kind: str = ""
    is_said: bool = True
    is_right: bool = True
    is_hit: bool = False
    says_hit: bool = False
    takes_right: bool = True


def sentence_table(
    problems: Sequence[Problem], responses: Sequence[Sequence[int]], readings: Sequence[Reading]
) -> pd.DataFrame:
    """Tabulate the sentences of responses.

    Args:
        problems: What each response answers.
        responses: Their token ids.
        readings: What the labeller reads in them.

    Returns:
        One row for each sentence, columns as in `Sentence`.
    """
    rows = [
        asdict(sentence)
        for number, (problem, ids, reading) in enumerate(zip(problems, responses, readings, strict=True))
        for sentence in _sentences(number, problem, decode(ids), reading)
    ]
    return pd.DataFrame(rows, columns=list(Sentence.__dataclass_fields__))


def kind_of(machine: Machine, move: Move) -> str:
    """Name the kind of content that a move has in a state.

    Args:
        machine: Before the sentence.
        move: What is said.

    Returns:
        One of `KINDS`; empty for moves without content.
    """
    right = machine.content(move)
    if not right:
        return ""
    if NONE in right:
        return f"{move}-none"
    if move != "try":
        return move
    return "try-form" if machine.way == "form" else f"try-hue-{'weak' if right[0] in WEAK else 'known'}"


def _sentences(number: int, problem: Problem, words: list[str], reading: Reading) -> Iterator[Sentence]:
    machine = Machine(problem)
    n_read = 0
    for step in reading.steps:
        n_read = step.first + step.n_words
        opening = words[step.first : step.first + 2]
        move = step.move or (MOVE_OF.get((opening[0], opening[1])) if len(opening) == 2 else None)
        if move is None or machine.is_done:
            yield Sentence(problem.group, number, machine.state, "nonsense", is_said=False, is_right=False)
            return
        sentence = Sentence(problem.group, number, machine.state, move, kind=kind_of(machine, move))
        if step.move is None:
            sentence.is_said = sentence.is_right = sentence.takes_right = False
            yield sentence
            return
        _fill(sentence, machine, step)
        yield sentence
        machine.advance(step.move, step.content)
    if not machine.is_done and n_read == len(words) < MAX_RESPONSE_TOKENS:
        yield Sentence(problem.group, number, machine.state, "end")


def _fill(sentence: Sentence, machine: Machine, step: Step) -> None:
    """Compare what a sentence says with what is right."""
    sentence.is_right = step.is_right
    if step.move == "plan":
        sentence.context = machine.way_context
        first: Way = WAYS[0] if machine.last_way is None else machine.last_way
        sentence.keeps_way = step.content[2] == first
    if step.move in ("try", "accept"):
        symbol = 0 if step.move == "try" else -1
        sentence.takes_right = step.content[symbol] == step.right[symbol]
    if step.move == "try" and step.right[0] != NONE:
        wanted_code = machine.problem.goals[machine.level]
        code = CODE_OF[machine.way].get(step.content[0], NONE)
        sentence.is_hit, sentence.says_hit = code == wanted_code, step.content[2] == HITS[0]
    if step.move == "check" and machine.held is not None:
        sentence.is_hit = TASTE[machine.held] == machine.problem.bad
        sentence.says_hit = step.content[-1] == VERDICTS[1]
