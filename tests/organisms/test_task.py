from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from reasonlens import InputError
from reasonlens.organisms import (
    DOUBLES,
    FAMILIES,
    Problem,
    problems,
)
from reasonlens.organisms.task import SPLITS

# 12 + 7 is 19 and the colours differ; 20 - 1 would need a 1.
SUMS = Problem((3, 12, 7, 9, 20), ("red", "red", "blue", "blue", "blue"), 19)
# 20 - 12 and 9 - 1: the first clashes. No two make 8 as a sum.
DIFFERENCES = Problem((20, 12, 9, 1, 6), ("red", "red", "blue", "red", "blue"), 8)


def test_solutions_are_pairs_that_make_the_target_and_differ_in_colour() -> None:
    assert SUMS.solutions("sums") == {frozenset((12, 7))} and not SUMS.solutions("differences")
    assert DIFFERENCES.solutions("differences") == {frozenset((9, 1))} and not DIFFERENCES.solutions("sums")
    assert (SUMS.family, DIFFERENCES.family) == ("sums", "differences")
    # 2 * 7 + 5 and 2 * 5 + 9 make 19: the first clashes.
    doubled = Problem((3, 12, 7, 9, 5), ("red", "red", "blue", "red", "blue"), 19, is_doubled=True)
    assert doubled.solutions("doubles") == {frozenset((5, 9))} and doubled.family == "doubles"
    assert doubled.is_solved_by(9, 5) and not doubled.is_solved_by(12, 7)  # a plain sum is not what is asked for


@pytest.mark.parametrize(
    ("first", "second", "solves"),
    [(12, 7, True), (7, 12, True), (9, 10, False), (16, 3, False), (12, 12, False), (3, 20, False)],
)
def test_an_answer_must_be_two_of_the_numbers_that_make_the_target_in_two_colours(
    first: int, second: int, solves: bool
) -> None:
    assert SUMS.is_solved_by(first, second) is solves


def test_a_pair_of_one_colour_solves_nothing_and_misleads_where_it_comes_first() -> None:
    assert not DIFFERENCES.is_solved_by(20, 12)
    assert DIFFERENCES.misleads  # 12 needs 20 before 1 needs 9
    assert not SUMS.misleads


def test_the_splits_share_no_problem_and_no_reordering_or_recolouring_of_one() -> None:
    generator = np.random.default_rng(0)
    for split in SPLITS:
        for drawn in [*islice(problems(split, 0), 60), *islice(problems(split, 0, DOUBLES), 20)]:
            assert drawn.split == split
            order, colours = generator.permutation(5), tuple(generator.choice(["red", "blue"], 5).tolist())
            same = Problem(tuple(drawn.numbers[place] for place in order), colours, drawn.target, drawn.is_doubled)
            assert same.split == split  # so it is drawn for no other split


def test_the_splits_have_their_shares_and_hold_what_is_drawn_for_them() -> None:
    generator = np.random.default_rng(0)
    drawn = [
        Problem(tuple(generator.choice(np.arange(1, 21), 5, replace=False).tolist()), ("red",) * 5, target, is_doubled)
        for target in range(2, 40)
        for is_doubled in (False, True)
        for _ in range(100)
    ]
    shares = Counter(problem.split for problem in drawn)
    for split, share in (("train", 0.85), ("validation", 0.05), ("test", 0.10)):
        assert abs(shares[split] / len(drawn) - share) < 0.015
    for split in SPLITS:
        for families in (FAMILIES, DOUBLES):
            assert {problem.split for problem in islice(problems(split, 0, families), 50)} == {split}


def test_test_problems_are_distinct_whatever_their_order() -> None:
    drawn = list(islice(problems("test", seed=0), 500))
    coloured = [zip(problem.numbers, problem.colours, strict=True) for problem in drawn]
    assert len({(problem.target, frozenset(pairs)) for problem, pairs in zip(drawn, coloured, strict=True)}) == 500


def test_problems_come_in_the_families_asked_for_and_none_twice() -> None:
    drawn = list(islice(problems("train", seed=0), 2000))
    assert len(set(drawn)) == 2000
    shares = Counter(problem.family for problem in drawn)
    for family, share in FAMILIES.items():
        assert abs(shares[family] / 2000 - share) < 0.04
    assert abs(sum(problem.misleads for problem in drawn) / 2000 - 0.55) < 0.04
    assert {p.family for p in islice(problems("test", seed=0, families={"differences": 1.0}), 50)} == {"differences"}
    doubled = list(islice(problems("test", seed=0, families=DOUBLES), 300))
    assert {p.family for p in doubled} == {"doubles"} and all(p.is_doubled for p in doubled)
    with pytest.raises(InputError, match="unknown families .*products.*; there are sums, both, differences, doubles"):
        next(problems("test", seed=0, families={"products": 1.0}))
    with pytest.raises(InputError, match="one is needed"):
        next(problems("test", seed=0, families={}))
    with pytest.raises(InputError, match="there is no split 'dev'; there are train, validation, test"):
        next(problems("dev", seed=0))


def test_problems_depend_on_the_seed_alone() -> None:
    first, again, other = (list(islice(problems("train", seed=seed), 20)) for seed in (1, 1, 2))
    assert first == again != other
