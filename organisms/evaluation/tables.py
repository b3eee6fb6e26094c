"""The truth of a pair once more, by simulation: the measured policy of one model with the measured steps of the other.

Tables are counts along a model's own responses: what it decides in each state, and how its steps come out (a code said
to be the wanted one, a verdict, a symbol, a sentence that is none). A response is drawn from the tables of a decider
and of a speaker through the state machine, no network takes part. Tables know only the state: shares that agree with
those of cross-play show that nothing outside of the states matters much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Float

from ...stats import ShapleyShares, shapley_shares_over_groups
from ..language import ARGUMENTS, HITS, NONE, Move
from ..machine import Machine
from ..task import MAX_RESPONSE_TOKENS, VERDICTS, Problem
from ..world import CODE_OF, TASTE, WAYS
from .sentences import kind_of

Outcome = tuple[str, bool]  # kind of content, and whether it is a hit


@dataclass(frozen=True)
class Tables:
    """Rates of one model."""

    moves: Mapping[str, Mapping[str, float]]  # state -> move -> rate, `end` and `nonsense` among them
    keeps_way: Mapping[str, float]  # context of a plan -> rate of hue, or of the last way
    is_said: Mapping[str, float]  # move -> rate of sentences of the language
    takes_right: Mapping[str, float]  # kind -> rate at which it names the right symbol
    says_hit: Mapping[Outcome, float]  # rate at which a hit is said: a hit, or bad


def tables_of(sentences: pd.DataFrame) -> Tables:
    """Count the tables of a model.

    Args:
        sentences: Table of `sentence_table`, of its own responses.

    Returns:
        Its rates.
    """
    grammatical = sentences[sentences["is_said"]]
    plans = grammatical[grammatical["context"] != ""]
    return Tables(
        moves={
            str(state): {str(move): float(n) for move, n in visits["move"].value_counts(sort=False).items()}
            for state, visits in sentences.groupby("state")
        },
        keeps_way=_rates(plans.groupby("context")["keeps_way"]),
        is_said=_rates(sentences.groupby("move")["is_said"]),
        takes_right=_rates(grammatical.groupby("kind")["takes_right"]),
        says_hit=_rates(grammatical.groupby(["kind", "is_hit"])["says_hit"]),
    )


def is_solved(problem: Problem, decider: Tables, speaker: Tables, generator: np.random.Generator) -> bool:
    """Draw a response from tables and grade it.

    Args:
        problem: What is asked.
        decider: Whose policy.
        speaker: Whose steps. Where it never came to a step, that step is right.
        generator: Of every random choice.

    Returns:
        Whether the response solves the problem within the limit.
    """
    machine = Machine(problem)
    n_words = 0
    while not machine.is_done:
        # A state that the decider never came to is one where it cannot be known what it would do.
        rates = decider.moves.get(machine.state, {"nonsense": 1.0})
        decided = _choice(rates, generator)
        if decided in ("end", "nonsense"):
            return False
        move = cast(Move, decided)
        n_words += 3 + len(ARGUMENTS[move])
        if n_words > MAX_RESPONSE_TOKENS or generator.random() >= speaker.is_said.get(move, 1.0):
            return False
        machine.advance(move, _content(machine, move, decider, speaker, generator))
    return machine.is_solved


def table_shares(
    base: Tables, trained: Tables, problems: Sequence[Problem], n_samples: int = 4, seed: int = 0
) -> ShapleyShares:
    """Estimate the shares of a pair from its tables; see `shares_of`.

    Args:
        base: Tables of the base.
        trained: Those of what it became.
        problems: What is asked.
        n_samples: Responses to each problem in each cell.
        seed: Of the draws.

    Returns:
        Gap, gains and shares; timing is the first cause. Their intervals are over problems, with the tables as they
        are.
    """

    def solved(decider: Tables, speaker: Tables) -> Float[np.ndarray, " problems"]:
        generator = np.random.default_rng(seed)
        return np.array(
            [
                np.mean([is_solved(problem, decider, speaker, generator) for _ in range(n_samples)])
                for problem in problems
            ]
        )

    return shapley_shares_over_groups(
        neither=solved(base, base),
        first=solved(trained, base),
        second=solved(base, trained),
        both=solved(trained, trained),
        groups=[problem.group for problem in problems],
    )


def _content(
    machine: Machine, move: Move, decider: Tables, speaker: Tables, generator: np.random.Generator
) -> tuple[str, ...]:
    """Draw what is said: by the speaker, but for the way of a plan."""
    if move == "plan":
        last = machine.last_way or WAYS[0]
        keeps = generator.random() < decider.keeps_way.get(machine.way_context, 1.0)
        return machine.content(move, last if keeps else WAYS[1 - WAYS.index(last)])
    right, kind = machine.content(move), kind_of(machine, move)
    if not right or NONE in right or move == "restate":
        return right
    if move == "check":
        is_bad = TASTE[str(machine.held)] == machine.problem.bad
        says_bad = generator.random() < speaker.says_hit.get((kind, is_bad), float(is_bad))
        return right[0], VERDICTS[says_bad]
    symbol = right[0] if move == "try" else right[-1]
    if generator.random() >= speaker.takes_right.get(kind, 1.0):
        symbol = _other(machine.problem.candidates[machine.level], symbol, generator)
    if move == "accept":
        return right[0], symbol
    code = CODE_OF[machine.way][symbol]
    is_hit = code == machine.problem.goals[machine.level]
    says_hit = generator.random() < speaker.says_hit.get((kind, is_hit), float(is_hit))
    return symbol, code, HITS[not says_hit]


def _other(words: Sequence[str], word: str, generator: np.random.Generator) -> str:
    others = [other for other in words if other != word]
    return others[int(generator.random() * len(others))]


def _choice(weights: Mapping[str, float], generator: np.random.Generator) -> str:
    threshold = generator.random() * sum(weights.values())
    for name, weight in weights.items():
        threshold -= weight
        if threshold < 0:
            return name
    return next(iter(weights))


def _rates(grouped: Any) -> dict[Any, float]:
    return {key: float(rate) for key, rate in grouped.mean().items()}
