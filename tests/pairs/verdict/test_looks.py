"""The level is spent over looks: over five of them fewer than 5% of runs miss the truth, where 95% each misses more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from reasonlens.pairs.exchange import ExchangeResult
from reasonlens.pairs.verdict.looks import Look, level_of_look, looks_in_words, read_looks, with_look, write_looks
from reasonlens.rundir import InputError
from reasonlens.stats import LEVEL, accuracy_difference_over_groups, shapley_shares_over_groups

from ..exchange.results import exchange_result

SIZES = (12, 25, 50, 100, 200)  # of the exchange
N_RUNS = 200


def test_levels_of_all_looks_together_leave_less_than_5_percent() -> None:
    misses = [1 - level_of_look(number) for number in range(1, 30)]
    assert misses[:3] == pytest.approx([0.025, 0.0125, 0.00625]) and sum(misses) < 1 - LEVEL


def missed(levels: list[float], n_runs: int = 20_000) -> float:
    """Simulate runs that look until an interval excludes the truth, a mean of 0 of problems that are added.

    Args:
        levels: Of the looks.
        n_runs: How many.

    Returns:
        Share of the runs in which some look misses.
    """
    rng = np.random.default_rng(0)
    added = np.diff([0, *SIZES])
    sums = np.cumsum(rng.normal(0, np.sqrt(added), (n_runs, len(SIZES))), axis=1)  # of problems of unit spread
    ends = [NormalDist().inv_cdf((1 + level) / 2) for level in levels]
    return float((np.abs(sums) / np.sqrt(SIZES) > np.array(ends)).any(axis=1).mean())


def test_spent_over_five_looks_intervals_miss_in_less_than_5_percent_of_runs_and_at_95_each_in_more() -> None:
    assert missed([level_of_look(number) for number in range(1, 6)]) < 0.05
    assert missed([LEVEL] * 5) > 0.12


@pytest.mark.long
def test_so_do_the_intervals_over_problems_that_an_exchange_has() -> None:
    rng, n_missed = np.random.default_rng(0), 0
    for run in range(N_RUNS):
        ease = rng.random(SIZES[-1])
        one, other = (rng.binomial(4, ease) / 4, rng.binomial(1, ease).astype(float))
        intervals = [
            accuracy_difference_over_groups(one[:n], other[:n], None, run, 4000, level_of_look(number))
            for number, n in enumerate(SIZES, start=1)
        ]
        n_missed += any(not interval.low <= 0 <= interval.high for interval in intervals)
    assert n_missed / N_RUNS <= 0.05


def test_a_lower_level_is_a_narrower_interval_of_every_figure_of_an_exchange() -> None:
    rng = np.random.default_rng(1)
    cells = [rng.random(80) < rate for rate in (0.1, 0.5, 0.2, 0.6)]
    wide, narrow = (shapley_shares_over_groups(*cells, level=level) for level in (0.9875, 0.95))
    for name in ("gap", "first", "second", "first_alone"):
        one, other = getattr(wide, name), getattr(narrow, name)
        assert one.value == other.value and one.low < other.low < other.high < one.high


def test_a_page_of_an_exchange_names_the_level_of_its_look() -> None:
    looked = replace(exchange_result(), level=0.975)
    again = ExchangeResult.from_dict(looked.to_dict())
    assert again.level == 0.975 and "97.5% intervals" in again.tables()["shares"].options["caption"]
    assert "95% intervals" in exchange_result().tables()["shares"].options["caption"]


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


def test_a_list_of_looks_that_is_gone_or_shortened_is_made_up_for_by_the_result(tmp_path: Path) -> None:
    looks = (Look(n_problems=50, level=0.975), Look(n_problems=100, level=0.9875))
    write_looks(tmp_path, looks)
    (tmp_path / "looks.json").rename(tmp_path / "results.json")  # the result names its looks likewise
    assert read_looks(tmp_path) == looks
    write_looks(tmp_path, looks[:1])
    assert read_looks(tmp_path) == looks
    (tmp_path / "results.json").unlink()
    assert read_looks(tmp_path) == looks[:1]
    write_looks(tmp_path, looks)
    (tmp_path / "results.json").write_text('{"looks": []}')
    assert read_looks(tmp_path) == looks
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(InputError, match=r"results\.json is damaged"):
        read_looks(tmp_path)
