"""The level is spent over looks: over five of them fewer than 5% of runs miss the truth, where 95% each misses more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reasonlens.pairs.verdict.looks import Look, level_of_look, looks_in_words, read_looks, with_look, write_looks
from reasonlens.rundir import InputError
from reasonlens.stats import LEVEL, accuracy_difference_over_groups, shapley_shares_over_groups

SIZES = (12, 25, 50, 100, 200)  # of the exchange
N_RUNS = 200


def test_levels_of_all_looks_together_leave_less_than_5_percent() -> None:
    misses = [1 - level_of_look(number) for number in range(1, 30)]
    assert misses[:3] == pytest.approx([0.025, 0.0125, 0.00625]) and sum(misses) < 1 - LEVEL


def _missed(levels: list[float]) -> float:
    """Share of runs that miss a difference of 0 at some look, where who looks on until something is shown stops."""
    rng, n_missed = np.random.default_rng(0), 0
    for run in range(N_RUNS):
        ease = rng.random(SIZES[-1])
        one, other = (rng.binomial(4, ease) / 4, rng.binomial(1, ease).astype(float))
        looks = zip(SIZES[1:], levels, strict=True)
        n_missed += any(
            not (interval := accuracy_difference_over_groups(one[:n], other[:n], None, run, 4000, level)).low
            <= 0
            <= interval.high
            for n, level in looks
        )
    return n_missed / N_RUNS


def test_spent_over_looks_intervals_miss_in_less_than_5_percent_of_runs_and_at_95_each_in_more() -> None:
    spent = _missed([level_of_look(number) for number in range(1, len(SIZES))])
    plain = _missed([LEVEL] * (len(SIZES) - 1))
    assert spent <= 0.05 < 0.09 < plain


def test_a_lower_level_is_a_narrower_interval_of_every_figure_of_an_exchange() -> None:
    rng = np.random.default_rng(1)
    cells = [rng.random(80) < rate for rate in (0.1, 0.5, 0.2, 0.6)]
    wide, narrow = (shapley_shares_over_groups(*cells, level=level) for level in (0.9875, 0.95))
    for name in ("gap", "first", "second", "first_alone"):
        one, other = getattr(wide, name), getattr(narrow, name)
        assert one.value == other.value and one.low < other.low < other.high < one.high


def test_a_call_with_no_more_problems_is_no_look() -> None:
    looks = with_look((), 0)
    assert looks == ()
    looks = with_look(with_look(looks, 50), 50)
    assert looks == (Look(n_problems=50, level=0.975),)
    looks = with_look(looks, 100)
    assert [(look.n_problems, look.level) for look in looks] == [(50, 0.975), (100, 0.9875)]
    assert looks_in_words(looks).startswith("Look 2 at this pair (problems exchanged: 50, 100): intervals of the")
    assert "98.75%" in looks_in_words(looks) and looks_in_words(()) == ""


def test_looks_are_kept_and_damaged_ones_refused(tmp_path: Path) -> None:
    looks = (Look(n_problems=50, level=0.975),)
    assert read_looks(tmp_path) == ()
    write_looks(tmp_path, looks)
    assert read_looks(tmp_path) == looks
    (tmp_path / "looks.json").write_text('{"looks": 3}')
    with pytest.raises(InputError, match=r"looks\.json is damaged"):
        read_looks(tmp_path)
