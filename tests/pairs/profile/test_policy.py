"""Policies against counts by hand, a planted chain, and a control without a difference."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from reasonlens.pairs.profile.policy import END, START, Count, policy_of

CHAIN = {START: {"a": 1.0}, "a": {"a": 0.5, "b": 0.3, END: 0.2}, "b": {"a": 0.9, END: 0.1}}


def walks(seed: int, n_problems: int = 150, chain: dict[str, dict[str, float]] = CHAIN) -> dict[str, list[list[str]]]:
    random = np.random.default_rng(seed)

    def walk() -> list[str]:
        names = [START]
        while names[-1] != END:
            names.append(str(random.choice(list(chain[names[-1]]), p=list(chain[names[-1]].values()))))
        return names[1:-1]

    return {str(number): [walk() for _ in range(4)] for number in range(n_problems)}


def test_counts_are_those_by_hand() -> None:
    policy = policy_of({"p": [["a", "b", "a"], ["a"]], "q": [[]]}, ["a", "b"])
    assert policy.rate("a").interval.value == 0.75 and policy.rate("b").times.tolist() == [1, 0]
    shares = {pair: policy.transition(*pair).interval.value for pair in policy.transitions}
    assert shares == {
        (START, "a"): pytest.approx(2 / 3),
        (START, END): pytest.approx(1 / 3),
        ("a", "b"): pytest.approx(1 / 3),
        ("a", END): pytest.approx(2 / 3),
        ("b", "a"): 1.0,
    }
    assert policy.sentences.value == pytest.approx(4 / 3) and policy.n_responses.tolist() == [2, 1]


def test_a_planted_chain_is_found() -> None:
    policy = policy_of(walks(0), ["a", "b"])
    for before, after in [("a", "a"), ("a", "b"), ("a", END), ("b", "a")]:
        share = policy.transition(before, after).interval
        assert share.low <= CHAIN[before][after] <= share.high and share.n == 150


def test_a_planted_difference_is_found_and_none_where_there_is_none() -> None:
    other = CHAIN | {"a": {"a": 0.3, "b": 0.5, END: 0.2}}
    base, trained, again = (policy_of(some, ["a", "b"]) for some in (walks(0), walks(1, chain=other), walks(2)))
    difference = trained.transition("a", "b").less(base.transition("a", "b"))
    assert difference.low <= 0.2 <= difference.high and difference.low > 0
    nothing = [again.transition(*pair).less(base.transition(*pair)) for pair in base.transitions if pair[0] != START]
    assert sum(one.low > 0 or one.high < 0 for one in nothing) <= 1


def test_a_base_with_hardly_any_responses_differs_in_nothing() -> None:
    """Its few chances look sure, since resampling cannot vary them."""
    base = policy_of({name: some[:1] if int(name) < 3 else [] for name, some in walks(0, 50).items()}, ["a", "b"])
    other = policy_of(walks(1, 50), ["a", "b"])
    assert all(isnan(other.transition(*pair).less(base.transition(*pair)).low) for pair in other.transitions)


def test_what_could_never_have_been_has_no_share() -> None:
    policy = policy_of({"p": [["a"]], "q": [["a"]]}, ["a", "b"])
    assert policy.rate("b").interval.value == 0 and ("b", "a") not in policy.transitions
    never = Count(np.zeros(2), np.zeros(2))
    assert isnan(never.interval.value) and isnan(never.less(policy.rate("a")).value)
