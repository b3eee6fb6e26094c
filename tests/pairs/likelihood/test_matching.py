"""Distances against a textbook recursion, curves against planted matches, and controls at chance."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from reasonlens.pairs.likelihood import edit_distance, match_curves
from reasonlens.pairs.likelihood.matching import BASE, ITSELF, OTHER_PROBLEMS, SHUFFLED, Match

Responses = dict[str, list[list[str]]]


def by_recursion(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    @cache
    def edits(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        same = first[i - 1] == second[j - 1]
        return min(edits(i - 1, j) + 1, edits(i, j - 1) + 1, edits(i - 1, j - 1) + (not same))

    return edits(len(first), len(second))


def test_a_distance_is_the_least_number_of_edits_a_place() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        first, second = (tuple(random.choice(list("abc"), size=int(random.integers(0, 8)))) for _ in range(2))
        longest = max(len(first), len(second), 1)
        assert edit_distance(first, second) == pytest.approx(by_recursion(first, second) / longest)


def at(matches: list[Match], source: str, k: int) -> Match:
    return next(match for match in matches if (match.source, match.k) == (source, k))


def planted(n_problems: int, share: float, seed: int, n: int = 8) -> tuple[Responses, Responses]:
    """Of each problem one order of behaviours that the thinking model always writes, and the base now and then."""
    random = np.random.default_rng(seed)
    thinking: Responses = {}
    base: Responses = {}
    for number in range(n_problems):
        own = list(random.choice(list("abcdef"), size=10))
        thinking[str(number)] = [own] * n
        base[str(number)] = [own if random.random() < share else list(random.permutation(own)) for _ in range(n)]
    return thinking, base


def test_a_planted_share_of_matches_is_found_and_controls_are_at_chance() -> None:
    matches = match_curves(*planted(200, 0.25, seed=1))
    one = at(matches, BASE, 1).exact
    assert one.low <= 0.25 <= one.high and one.n == 200
    assert at(matches, BASE, 8).exact.value == pytest.approx(1 - 0.75**8, abs=0.05)
    for control in (OTHER_PROBLEMS, SHUFFLED):
        assert at(matches, control, 8).exact.value < 0.02
        assert at(matches, control, 8).distance.low > at(matches, BASE, 8).distance.high
    assert at(matches, ITSELF, 7).distance.value == 0 and at(matches, ITSELF, 7).exact.value == 1
    assert [match.k for match in matches if match.source == BASE] == [1, 2, 4, 8]
    assert [match.k for match in matches if match.source == ITSELF] == [1, 2, 4, 7]


def test_a_base_that_knows_the_rates_alone_is_no_nearer_than_its_shuffled_self() -> None:
    matches = match_curves(*planted(150, 0.0, seed=2))
    base, shuffled = at(matches, BASE, 8).distance, at(matches, SHUFFLED, 8).distance
    assert base.low <= shuffled.value <= base.high


def test_distances_fall_with_the_number_of_responses() -> None:
    matches = match_curves(*planted(40, 0.1, seed=3))
    for source in (BASE, OTHER_PROBLEMS, SHUFFLED):
        values = [match.distance.value for match in matches if match.source == source]
        assert values == sorted(values, reverse=True)


def test_one_problem_has_no_other_and_one_response_no_sibling() -> None:
    sources = {match.source for match in match_curves({"a": [["x"]]}, {"a": [["x"], ["y"]]})}
    assert sources == {BASE, SHUFFLED}
