"""Policy, skill and divergence of a model made of rules, whose policy and faults are planted."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest

from reasonlens.organisms import (
    BASE,
    DRILL,
    habits,
    problems,
    write,
)
from reasonlens.organisms.evaluation import divergence, policy, skill

GENERATOR = np.random.default_rng(0)
ASKED = list(islice(problems("test", 0), 30))
HABITUAL = [(problem, write(problem, habits(GENERATOR), GENERATOR)) for problem in ASKED]
DRILLED = [(problem, write(problem, DRILL, GENERATOR)) for problem in ASKED]


def test_the_planted_policy_is_found_exactly_in_every_state(rule_model: Callable[..., Any]) -> None:
    table = policy(rule_model(BASE), HABITUAL)
    for state in ("way", "missed", "found", "fine", "clash"):
        for move, probability in BASE[state].items():
            assert table[state][move].value == pytest.approx(probability, abs=1e-5)
        assert table[state]["other"].value == pytest.approx(0.0, abs=1e-5)
    assert table["way"]["sums"].n == len(ASKED)
    assert table["clash"]["back"].n < table["found"]["check"].n < len(ASKED)


def test_skill_is_whole_where_no_fault_is_planted_and_nothing_where_one_is(rule_model: Callable[..., Any]) -> None:
    assert {figure.value for figure in skill(rule_model(BASE), DRILLED).values()} == {1.0}
    faulty = skill(rule_model(BASE, garbles="check"), DRILLED)
    assert faulty.pop("check").value == 0.0
    assert {figure.value for figure in faulty.values()} == {1.0}


def test_skill_does_not_hang_on_the_policy(rule_model: Callable[..., Any]) -> None:
    assert skill(rule_model(BASE, "check"), DRILLED) == skill(rule_model(DRILL, "check"), DRILLED)


def test_divergence_is_of_decisions_where_only_the_policy_differs(rule_model: Callable[..., Any]) -> None:
    base, other = rule_model(BASE), rule_model({**BASE, "way": {"sums": 0.9, "differences": 0.1}})
    texts = [(problem, "we want 1 . sums next .") for problem in ASKED]
    texts = [(problem, text.replace("1", str(problem.target))) for problem, text in texts]
    found = divergence(base, other, texts)
    assert found["content"].value == pytest.approx(0.0, abs=1e-6)
    # Two decisions a text, `we` and the way; only the second differs.
    expected = (0.6 * np.log(0.6 / 0.9) + 0.4 * np.log(0.4 / 0.1)) / 2
    assert found["decision"].value == pytest.approx(expected, abs=1e-4)
    assert divergence(base, base, texts)["decision"].value == 0.0
