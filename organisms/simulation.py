"""What writers reach by calculation: habits and skill put into the machine, without any model.

The plan of a family is made with it: a base is chosen by its accuracy and by the share of its gap to the ideal writer
that timing alone closes,

    share = [v(ideal habits, base skill) - v(base) + v(ideal) - v(base habits, ideal skill)] / 2 [v(ideal) - v(base)],

the Shapley value of timing in the game whose two players are habits and skill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .labeller import read
from .policy import IDEAL, Writer, write
from .task import Problem


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a writer reaches on some problems."""

    accuracy: float
    process_accuracy: float  # solved, and every sentence right
    n_words: float  # mean length of a response, cut at the limit


@dataclass(frozen=True, slots=True)
class Planned:
    """What a pair of a base and the ideal writer is planned to show."""

    base: Simulated
    ideal: Simulated
    timing_share: float

    @property
    def gap(self) -> float:
        """How much more problems the ideal writer solves."""
        return self.ideal.accuracy - self.base.accuracy


def simulate(problems: Sequence[Problem], writer: Writer, seed: int = 0) -> Simulated:
    """Let a writer answer problems.

    Args:
        problems: What is asked.
        writer: Who answers.
        seed: Of every choice; the same for all writers, which takes noise from their differences.

    Returns:
        What it reaches.
    """
    generator = np.random.default_rng(seed)
    responses = [write(problem, writer, generator) for problem in problems]
    readings = [read(problem, words) for problem, words in zip(problems, responses, strict=True)]
    return Simulated(
        accuracy=float(np.mean([reading.is_solved for reading in readings])),
        process_accuracy=float(np.mean([reading.is_process_right for reading in readings])),
        n_words=float(np.mean([len(words) for words in responses])),
    )


def plan(problems: Sequence[Problem], base: Writer, seed: int = 0) -> Planned:
    """Simulate a base against the ideal writer.

    Args:
        problems: What is asked.
        base: Habits and skill of the base.
        seed: Of every choice.

    Returns:
        Both accuracies and the planned share of timing.
    """
    ideal_habits, ideal_skill = Writer(IDEAL, base.weak_hue), Writer(base.habits)
    first, last = simulate(problems, base, seed), simulate(problems, Writer(IDEAL), seed)
    timing, skill = (simulate(problems, writer, seed).accuracy for writer in (ideal_habits, ideal_skill))
    gap = last.accuracy - first.accuracy
    return Planned(first, last, (timing - first.accuracy + last.accuracy - skill) / (2 * gap) if gap else float("nan"))
