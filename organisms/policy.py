"""Habits and skill: the two axes on which a base may lack something; and the texts of a writer that has them.

Habits are the weight of each move in each state, and of each way in each context of a plan (*when*). Skill is how often
the hue of a weak symbol is said rightly (*how*); it is otherwise another code, uniformly. All other words that a writer
writes are right. Deficits of timing are mixtures of the ideal habits and poor ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .language import MOVES, NONE, STOP, WORDINGS, Move
from .machine import STATES, Machine, State, WayContext
from .task import MAX_RESPONSE_TOKENS, Problem
from .world import CODES, WAYS, WEAK, Way

MoveRates = Mapping[State, Mapping[Move, float]]


@dataclass(frozen=True)
class Habits:
    """When a writer does what."""

    moves: MoveRates  # weights; only their shares in a state count
    hue: Mapping[WayContext, float]  # probability of `hue` in the first plan, of the last way in others


@dataclass(frozen=True)
class Writer:
    """Habits and skill together: all that sets a base apart."""

    habits: Habits
    weak_hue: float = 1.0  # probability that the hue of a weak symbol is said rightly


IDEAL = Habits(
    moves={
        "start": {"restate": 1.0},
        "open": {"plan": 1.0},
        "ready": {"try": 1.0},
        "missed": {"back": 1.0},
        "found": {"check": 1.0},
        "fine": {"accept": 1.0},
        "bad": {"back": 1.0},
        "spent": {"plan": 1.0},
        "complete": {"answer": 1.0},
    },
    hue={"first": 1.0, "next": 1.0, "again": 0.0},
)
POOR = Habits(
    moves={
        "start": {"restate": 0.8, "plan": 0.15, "doubt": 0.05},
        "open": {"plan": 0.85, "restate": 0.05, "doubt": 0.08, "try": 0.02},
        "ready": {"try": 0.92, "doubt": 0.05, "restate": 0.02, "back": 0.01},
        "missed": {"back": 0.88, "accept": 0.04, "doubt": 0.04, "check": 0.04},
        "found": {"check": 0.40, "accept": 0.45, "back": 0.10, "doubt": 0.05},
        "fine": {"accept": 0.88, "back": 0.07, "doubt": 0.05},
        "bad": {"back": 0.65, "accept": 0.30, "doubt": 0.05},
        "spent": {"plan": 0.7, "accept": 0.2, "answer": 0.1},
        "complete": {"answer": 0.9, "doubt": 0.06, "restate": 0.04},
    },
    hue={"first": 0.8, "next": 0.9, "again": 0.3},
)

# Makes every move in every state now and then, and those that matter often: for drill of their content. Answers are
# rarer, since they end a response, but not rare: that it ends after these words and no others must be learnt.
_RARE, _ANSWER = 0.03, 0.02
_DRILL_MAIN: dict[State, dict[Move, float]] = {
    "start": {"restate": 0.4, "plan": 0.5},
    "open": {"plan": 0.75, "try": 0.15},
    "ready": {"try": 0.85, "back": 0.03},
    "missed": {"back": 0.75, "check": 0.10, "try": 0.04},
    "found": {"check": 0.50, "back": 0.20, "accept": 0.15},
    "fine": {"accept": 0.40, "back": 0.40},
    "bad": {"back": 0.80, "accept": 0.03},
    "spent": {"plan": 0.65, "try": 0.10, "accept": 0.07},
    "complete": {"answer": 0.40, "restate": 0.1, "plan": 0.1, "try": 0.1, "check": 0.1, "back": 0.1, "accept": 0.1},
}
DRILL = Habits(
    moves={
        state: {move: main.get(move, 0.0) + (_ANSWER if move == "answer" else _RARE) for move in MOVES}
        for state, main in _DRILL_MAIN.items()
    },
    hue={"first": 0.5, "next": 0.5, "again": 0.5},
)


def mixed(share: float, poor: Habits = POOR, ideal: Habits = IDEAL) -> Habits:
    """Mix ideal habits with poor ones.

    Args:
        share: Of the poor ones, 0 to 1.
        poor: What is mixed in.
        ideal: What it is mixed into.

    Returns:
        Habits whose every rate lies between the two in this proportion.
    """

    def mean(first: float, second: float) -> float:
        return (1 - share) * first + share * second

    moves = {
        state: {
            move: mean(ideal.moves[state].get(move, 0.0), poor.moves[state].get(move, 0.0))
            for move in {**ideal.moves[state], **poor.moves[state]}
        }
        for state in STATES
    }
    return Habits(moves, {context: mean(ideal.hue[context], poor.hue[context]) for context in ideal.hue})


def write(
    problem: Problem,
    writer: Writer,
    generator: np.random.Generator,
    max_words: int = MAX_RESPONSE_TOKENS,
    machine: Machine | None = None,
) -> list[str]:
    """Write a response.

    Args:
        problem: What is asked.
        writer: Whose habits and skill.
        generator: Of every random choice.
        max_words: Where the text is cut.
        machine: A response under way to go on from; None: a new one. It is advanced.

    Returns:
        The words of the response, cut at `max_words`; an answer ends it.
    """
    machine = machine or Machine(problem)
    words: list[str] = []
    while len(words) < max_words and not machine.is_done:
        move = choose_move(writer.habits, machine.state, generator)
        way = choose_way(writer.habits, machine, generator) if move == "plan" else "hue"
        content = machine.content(move, way)
        if move == "try" and machine.way == "hue" and content[0] in WEAK:
            content = machine.tried(content[0], said_code(content[1], writer.weak_hue, generator))
        wordings = WORDINGS[move]
        words += *wordings[int(generator.random() * len(wordings))], *content, STOP
        machine.advance(move, content)
    return words[:max_words]


def choose_move(habits: Habits, state: State, generator: np.random.Generator) -> Move:
    """Draw a move by the rates of a state."""
    rates = habits.moves[state]
    threshold = generator.random() * sum(rates.values())
    for move, rate in rates.items():
        threshold -= rate
        if threshold < 0:
            return move
    return next(move for move, rate in rates.items() if rate > 0)  # what rounding left over


def choose_way(habits: Habits, machine: Machine, generator: np.random.Generator) -> Way:
    """Draw the way of a plan."""
    is_first = generator.random() < habits.hue[machine.way_context]
    last = WAYS[0] if machine.last_way is None else machine.last_way
    return last if is_first else WAYS[1 - WAYS.index(last)]


def said_code(code: str, right: float, generator: np.random.Generator) -> str:
    """Say a code rightly with a probability, and else another one, uniformly."""
    if code == NONE or generator.random() < right:
        return code
    others = [other for other in CODES if other != code]
    return others[int(generator.random() * len(others))]
