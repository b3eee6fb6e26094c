"""How nearly a model writes the behaviours of another one's response, if it may try several times.

    distance(a, b) = edits that turn the sequence of behaviours a into b / length of the longer one        0: the same

For each response of the thinking model the least distance among k responses of the base to the same problem, averaged
over all sets of k of those sampled (`stats.expected_least`); exact: the distance is 0. Beside it stand what the same
number of draws reaches by chance and at best:

    other problems      the base's responses to another problem: what such responses have in common
    shuffled            the base's responses to the same problem, their behaviours in random order: rates alone
    thinking model      its own other responses: as near as it comes to itself
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ...rundir import brief
from ...stats import Interval, expected_least, mean_over_groups

BASE, OTHER_PROBLEMS, SHUFFLED, ITSELF = "base", "other problems", "shuffled", "thinking model"

Behaviours = Sequence[str]  # of one response, in order


@dataclass(frozen=True, slots=True)
class Match:
    """How nearly k responses come to a response of the thinking model, over problems.

    Attributes:
        source: Whose responses they are.
        k: How many.
        distance: Expected least distance, 0 to 1.
        exact: Probability that one of them has the same behaviours in the same order.
    """

    source: str
    k: int
    distance: Interval
    exact: Interval

    __repr__ = brief


def match_curves(
    thinking: Mapping[str, Sequence[Behaviours]],
    base: Mapping[str, Sequence[Behaviours]],
    seed: int = 0,
) -> list[Match]:
    """Match the base's responses, and those of the controls, with the thinking model's.

    Args:
        thinking: Problem -> behaviours of each response of the thinking model, as many for each problem.
        base: Problem -> the same of the base, as many for each problem; the same problems.
        seed: Of the order in which behaviours are shuffled, and which other problem is taken.

    Returns:
        A row for each source and number of responses: 1, 2, 4, ... and all.
    """
    problems = list(thinking)
    random = np.random.default_rng(seed)
    shift = int(random.integers(1, len(problems))) if len(problems) > 1 else 0
    others = {problem: problems[(place + shift) % len(problems)] for place, problem in enumerate(problems)}
    shuffled = {
        problem: [list(random.permutation(np.array(response, dtype=object))) for response in base[problem]]
        for problem in problems
    }
    sources = {
        BASE: base,
        OTHER_PROBLEMS: {problem: base[others[problem]] for problem in problems},
        SHUFFLED: shuffled,
    }
    if shift == 0:
        del sources[OTHER_PROBLEMS]
    distances = {
        name: [_distances(thinking[problem], [responses[problem]] * len(thinking[problem])) for problem in problems]
        for name, responses in sources.items()
    }
    if min(map(len, thinking.values())) > 1:
        distances[ITSELF] = [
            _distances(own, [[*own[:place], *own[place + 1 :]] for place in range(len(own))])
            for own in (thinking[problem] for problem in problems)
        ]
    return [match for name, matrices in distances.items() for match in _curve(name, matrices)]


def edit_distance(first: Behaviours, second: Behaviours) -> float:
    """Count the insertions, deletions and replacements that turn one sequence into another (Levenshtein 1966).

    Args:
        first: A sequence.
        second: Another one.

    Returns:
        The number, divided by the length of the longer sequence; 0 where both are empty.
    """
    if not first or not second:
        return float(len(first) != len(second))
    symbols = {name: number for number, name in enumerate(dict.fromkeys([*first, *second]))}
    one, other = (np.array([symbols[name] for name in sequence]) for sequence in (first, second))
    steps = np.arange(len(other) + 1)
    row = steps.copy()
    for count, symbol in enumerate(one, start=1):
        least = np.minimum(row[1:] + 1, row[:-1] + (other != symbol))
        # An insertion comes from the left in the same row: the least of (value - place) so far, plus the place.
        row = np.minimum.accumulate(np.concatenate([[count], least]) - steps) + steps
    return float(row[-1] / max(len(first), len(second)))


def _distances(
    targets: Sequence[Behaviours], responses: Sequence[Sequence[Behaviours]]
) -> Float[np.ndarray, "n_targets n_responses"]:
    return np.array(
        [
            [edit_distance(target, response) for response in some]
            for target, some in zip(targets, responses, strict=True)
        ]
    )


def _curve(source: str, matrices: Sequence[Float[np.ndarray, "n_targets n_responses"]]) -> list[Match]:
    n = matrices[0].shape[1]
    ks = [*(2**power for power in range(n.bit_length()) if 2**power < n), n]
    return [
        Match(
            source,
            k,
            mean_over_groups(np.array([expected_least(matrix, k).mean() for matrix in matrices])),
            mean_over_groups(
                np.array([1 - expected_least((matrix > 0).astype(float), k).mean() for matrix in matrices])
            ),
        )
        for k in ks
    ]
