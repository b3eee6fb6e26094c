"""Cross-play of organisms made of rules, whose shares are planted and simulated independently."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from math import isnan
from typing import Any

import numpy as np
import pytest

from reasonlens.organisms.evaluation._cross_play import CELLS, answer, cross_play, shares_of
from reasonlens.organisms.labeller import read
from reasonlens.organisms.policy import IDEAL, Writer, mixed, write
from reasonlens.organisms.task import problems

from ..rules import RuleModel

ASKED = list(islice(problems("test", 0), 40))
THINKING = RuleModel(IDEAL)
pytestmark = pytest.mark.usefixtures("rule_decoder")


def play(base: RuleModel, trained: RuleModel) -> dict[str, Any]:
    return cross_play(base, trained, ASKED, n_samples=2)


def simulated(model: RuleModel, n_samples: int = 20) -> float:
    """Accuracy of the writer with the same habits and skill: text by rule, no tokens, no cross-play."""
    generator, writer = np.random.default_rng(1), Writer(model.habits, model.weak_hue)
    outcomes = [
        read(problem, write(problem, writer, generator)).is_solved for problem in ASKED for _ in range(n_samples)
    ]
    return float(np.mean(outcomes))


def test_a_cell_has_the_habits_of_its_decider_and_the_skill_of_its_speaker() -> None:
    base = RuleModel(mixed(0.3), weak_hue=0.7)
    cells = play(base, THINKING)
    expected = {
        "base": base,
        "timing": replace(base, habits=IDEAL),
        "skill": replace(THINKING, habits=base.habits),
        "thinking": THINKING,
    }
    for cell in CELLS:
        accuracy = cells[cell].accuracy
        standard_error = (accuracy.high - accuracy.low) / 3.92
        assert abs(accuracy.value - simulated(expected[cell])) < 3.3 * standard_error, cell  # p = .001 in each cell


@pytest.mark.parametrize(
    ("base", "timing"), [(RuleModel(mixed(0.5)), 1.0), (RuleModel(IDEAL, weak_hue=0.6), 0.0)], ids=["timing", "skill"]
)
def test_what_is_planted_on_one_axis_has_all_of_the_gap(base: RuleModel, timing: float) -> None:
    shares = shares_of(play(base, THINKING))
    assert shares.gap.low > 0.2
    assert shares.first.value == pytest.approx(timing, abs=1e-9)
    assert shares.second.value == pytest.approx(1 - timing, abs=1e-9)


def test_what_lies_between_the_axes_is_shared_as_simulation_shares_it() -> None:
    base = RuleModel(mixed(0.3), weak_hue=0.75)
    neither, first = simulated(base), simulated(replace(base, habits=IDEAL))
    second, both = simulated(replace(base, weak_hue=1.0)), simulated(THINKING)
    planted = (first - neither + both - second) / 2 / (both - neither)
    shares = shares_of(play(base, THINKING))
    assert 0.2 < planted < 0.8
    assert shares.first.low < planted < shares.first.high


def test_a_base_against_itself_has_no_gap_at_all() -> None:
    base = RuleModel(mixed(0.3), weak_hue=0.75)
    cells = play(base, base)
    assert all(cells[cell].responses == cells["base"].responses for cell in CELLS)
    shares = shares_of(cells)
    assert shares.gap.value == 0 and isnan(shares.first.value) and isnan(shares.second.high)


def test_process_is_graded_beside_outcome() -> None:
    """A code that is said wrongly of a symbol which is not wanted anyway spoils the process and not the outcome."""
    answers = answer(replace(THINKING, weak_hue=0.9), ASKED, 2, seed=0)
    assert np.all(answers.process_right <= answers.solved)
    assert answers.process_right.mean() < answers.solved.mean()
    clean = answer(THINKING, ASKED, 2, seed=0)
    assert np.array_equal(clean.process_right, clean.solved)


def test_samples_of_a_problem_differ_and_another_seed_gives_others() -> None:
    answers, others = (answer(THINKING, ASKED[:4], 3, seed=seed) for seed in (0, 1))
    assert len(set(answers.responses)) == 12
    assert not set(answers.responses) & set(others.responses)
