"""Policies: the weight of each move in each state where there is something to decide; and writing by a policy.

Of the weights only the open moves count (a way that is spent is closed), as shares of their sum.

Base corpora are written by many hands, each with habits of its own (`habits`): in the mean they check too seldom and go
back too seldom after a clash, though every sentence that they do write is right.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .search import Move, Search, State
from .task import Problem

Policy = Mapping[State, Mapping[Move, float]]

# The mean habits of the base corpus. Its most likely move is the wrong one in "found" (answer without a check) and in
# "clash" (answer all the same).
BASE: Policy = {
    "way": {"sums": 0.6, "differences": 0.4},
    "missed": {"back": 0.80, "answer": 0.10, "doubt": 0.10},
    "found": {"check": 0.30, "answer": 0.60, "doubt": 0.10},
    "fine": {"answer": 0.85, "doubt": 0.10, "back": 0.05},
    "clash": {"back": 0.30, "answer": 0.60, "doubt": 0.10},
    "spent": {"sums": 0.7, "differences": 0.7, "answer": 0.3},
}
# What solves every problem that can be solved in time: sums first, check what is found, go back from a clash.
IDEAL: Policy = {
    "way": {"sums": 1.0},
    "missed": {"back": 1.0},
    "found": {"check": 1.0},
    "fine": {"answer": 1.0},
    "clash": {"back": 1.0},
    "spent": {"sums": 1.0, "differences": 1.0},
}
IDEAL_DOUBLING: Policy = {**IDEAL, "way": {"doubles": 1.0}, "spent": {"answer": 1.0}}
# Goes through every step often, with checks of all it finds: for drill, and to see whether each step is done right.
DRILL: Policy = {
    "way": {"sums": 0.5, "differences": 0.5},
    "missed": {"back": 0.90, "doubt": 0.10},
    "found": {"check": 0.75, "doubt": 0.20, "answer": 0.05},  # a check after a doubt is the hardest: its pair is far
    "fine": {"back": 0.80, "answer": 0.15, "doubt": 0.05},
    "clash": {"back": 0.85, "doubt": 0.10, "answer": 0.05},
    "spent": {"sums": 0.5, "differences": 0.5, "answer": 0.1},
}
SECOND_WORDING = 0.3  # at one half, the two would halve each other and the most likely move would hang on noise


def habits(generator: np.random.Generator, mean: Policy = BASE, firmness: float = 4.0) -> Policy:
    """One hand's policy: Dirichlet about the mean; the greater the firmness, the nearer to it."""
    policy: dict[State, dict[Move, float]] = {}
    for state, moves in mean.items():
        shares = generator.dirichlet([firmness * share / sum(moves.values()) for share in moves.values()])
        policy[state] = dict(zip(moves, (float(share) for share in shares), strict=True))
    return policy


def write(problem: Problem, policy: Policy, generator: np.random.Generator, max_sentences: int = 60) -> str:
    """A response in which every sentence is right and every decision is the policy's."""
    search = Search(problem)
    sentences: list[str] = []
    while search.moves and len(sentences) < max_sentences:
        preferred = policy.get(search.state)
        weights = np.array([1.0 if preferred is None else preferred.get(move, 0.0) for move in search.moves])
        if not weights.any():
            raise ValueError(f"in state {search.state!r} the policy has no weight on any of {', '.join(search.moves)}")
        move = search.moves[int(generator.choice(len(weights), p=weights / weights.sum()))]
        wordings = search.sentences(move)
        second = len(wordings) > 1 and generator.random() < SECOND_WORDING
        sentences.append(wordings[second])
        search.advance(move)
    return " ".join(sentences)
