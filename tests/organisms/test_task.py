"""Problems of organisms: their tables, targets, traps and splits."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from reasonlens.organisms.task import N_CANDIDATES, SPLITS, Problem, problems
from reasonlens.organisms.world import CODE_OF, CODES, FORM, HUE, SYMBOLS, TASTE, TASTES, WAYS, WEAK
from reasonlens.rundir import InputError


def test_every_code_is_borne_by_five_symbols_of_all_tastes_by_either_way() -> None:
    assert len(set(SYMBOLS)) == 40
    for way in WAYS:
        for code in CODES:
            bearers = [symbol for symbol in SYMBOLS if CODE_OF[way][symbol] == code]
            assert len(bearers) == 5
            assert {TASTE[symbol] for symbol in bearers} == set(TASTES)
    assert all(HUE[symbol] != FORM[symbol] for symbol in SYMBOLS)
    assert len(WEAK) == 20


def test_by_its_way_a_problem_has_one_target_a_level_and_by_the_other_none() -> None:
    for problem in islice(problems("train", 3), 200):
        other = WAYS[1 - WAYS.index(problem.way)]
        assert len({symbol for level in problem.candidates for symbol in level}) == 30
        for code, level, target in zip(problem.goals, problem.candidates, problem.targets, strict=True):
            bearers = [symbol for symbol in level if CODE_OF[problem.way][symbol] == code]
            assert [symbol for symbol in bearers if TASTE[symbol] != problem.bad] == [target]
            assert len(bearers) <= 2
            assert not [symbol for symbol in level if CODE_OF[other][symbol] == code]


def test_targets_stand_at_every_place_alike() -> None:
    drawn = list(islice(problems("train", 0), 600))
    places = Counter(
        level.index(target)
        for problem in drawn
        for level, target in zip(problem.candidates, problem.targets, strict=True)
    )
    assert len(places) == N_CANDIDATES
    assert all(abs(count - 500) < 100 for count in places.values())  # 4.9 standard deviations
    assert abs(sum(problem.way == "hue" for problem in drawn) / 600 - 0.8) < 0.07


def test_no_reordering_or_other_bad_taste_of_a_problem_is_in_another_split() -> None:
    for problem in islice(problems("test", 0), 50):
        reordered = Problem("sweet", problem.goals[::-1], tuple(level[::-1] for level in problem.candidates[::-1]))
        assert reordered.split == problem.split == "test"


def test_splits_share_no_group_and_a_split_has_none_twice() -> None:
    groups = [problem.group for split in SPLITS for problem in islice(problems(split, 0), 300)]
    assert len(set(groups)) == 900


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(InputError, match="no split 'tests'; there are train, validation, test"):
        problems("tests", 0)
