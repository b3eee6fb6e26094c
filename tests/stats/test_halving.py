"""Halving against planted optima: found under noise, within the limit, at a fraction of the grid's cost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reasonlens.stats import CellMeasure, Halving, successive_halving
from reasonlens.stats.halving import BEHIND, OVER, rungs

CELLS = [(layer, strength) for layer in range(4) for strength in (0.25, 0.5, 1.0, 2.0)]
BEST = (2, 1.0)
N = 160


def planted(seed: int, over: Callable[[tuple[int, float]], bool] = lambda cell: False) -> Halving[tuple[int, float]]:
    """Search where BEST solves 0.75 of the problems and the others up to 0.5: each problem a coin."""
    rng = np.random.default_rng(seed)
    shares = {cell: 0.75 if cell == BEST else 0.5 * rng.random() for cell in CELLS}
    coins = {cell: rng.random(N) < share for cell, share in shares.items()}

    def measure(cell: tuple[int, float], n: int) -> CellMeasure:
        return CellMeasure(
            objective=float(coins[cell][:n].mean()), kl_nats=3.0 if over(cell) else 0.5, gentleness=(cell[1],)
        )

    return successive_halving(CELLS, measure, n_problems=N, kl_limit_nats=1.0)


def test_a_planted_optimum_is_found_under_noise_at_a_fraction_of_the_cost_of_the_grid() -> None:
    searches = [planted(seed) for seed in range(200)]
    is_best = [search.choice is not None and search.choice.cell == BEST for search in searches]
    assert np.mean(is_best) > 0.95
    assert {search.n_grid for search in searches} == {16 * 160}
    # 16 cells on 20 problems, 8 on the next 20, 4 on the next 40, 2 on the last 80
    assert {search.n_decoded for search in searches} == {16 * 20 + 8 * 20 + 4 * 40 + 2 * 80}


def test_without_an_optimum_any_cell_may_be_chosen() -> None:
    def measure_with(rng: np.random.Generator) -> Callable[[tuple[int, float], int], CellMeasure]:
        coins = {cell: rng.random(N) < 0.5 for cell in CELLS}
        return lambda cell, n: CellMeasure(objective=float(coins[cell][:n].mean()), kl_nats=0.0)

    choices = []
    for seed in range(200):
        search = successive_halving(CELLS, measure_with(np.random.default_rng(seed)), n_problems=N, kl_limit_nats=1.0)
        assert search.choice is not None
        choices.append(search.choice.cell)
    assert max(choices.count(cell) for cell in CELLS) < 40, "200 / 16 is 12.5"


def test_the_choice_never_exceeds_the_limit_even_where_the_best_does() -> None:
    for seed in range(50):
        search = planted(seed, over=lambda cell: cell[1] >= 1.0)
        assert search.choice is not None and search.choice.cell[1] < 1.0
        assert search.choice.measured.kl_nats <= 1.0 and search.choice.n == N
        assert all((trial.dropped == OVER) == (trial.cell[1] >= 1.0) for trial in search.trials)


def test_a_divergence_that_shows_on_more_problems_only_drops_the_cell_and_one_that_was_behind_comes_back() -> None:
    """Every cell that is better than (0, 0.25) exceeds the limit once it is measured on all problems."""

    def measure(cell: tuple[int, float], n: int) -> CellMeasure:
        is_worst = cell == (0, 0.25)
        return CellMeasure(objective=0.0 if is_worst else 0.5, kl_nats=2.0 if n == N and not is_worst else 0.1)

    search = successive_halving(CELLS, measure, n_problems=N, kl_limit_nats=1.0)
    assert search.choice is not None and search.choice.cell == (0, 0.25)
    first = next(trial for trial in search.trials if trial.cell == (0, 0.25))
    assert first.dropped == BEHIND and first.rung == 0 and search.choice.n == N


@pytest.mark.parametrize("nats", [1.01, float("nan"), float("inf")])
def test_where_no_cell_keeps_to_the_limit_there_is_no_choice(nats: float) -> None:
    search = successive_halving(
        CELLS, lambda cell, n: CellMeasure(objective=1.0, kl_nats=nats), n_problems=N, kl_limit_nats=1.0
    )
    assert search.choice is None
    assert [trial.dropped for trial in search.trials] == [OVER] * 16, "nothing more is measured"


def test_of_equals_the_gentler_is_chosen_whatever_the_order() -> None:
    def measure(cell: tuple[int, float], n: int) -> CellMeasure:
        return CellMeasure(objective=0.5, kl_nats=0.1, gentleness=(0.2 if cell[0] == 3 else 0.3, cell[1]))

    for cells in (CELLS, CELLS[::-1]):
        search = successive_halving(cells, measure, n_problems=N, kl_limit_nats=1.0)
        assert search.choice is not None and search.choice.cell == (3, 0.25)


def test_the_same_seed_gives_the_same_search() -> None:
    assert planted(7).trials == planted(7).trials != planted(8).trials


def test_few_that_keep_to_the_limit_go_to_the_last_rung_at_once() -> None:
    search = planted(0, over=lambda cell: cell not in (BEST, (0, 0.25)))
    assert [(trial.rung, trial.n) for trial in search.trials if not trial.dropped or trial.rung] == [
        *[(0, 20)] * 2,
        *[(3, 160)] * 2,
    ]


@pytest.mark.parametrize(
    ("n_cells", "n_problems", "plan"),
    [
        (16, 160, [(16, 20), (8, 40), (4, 80), (2, 160)]),
        (9, 150, [(9, 38), (4, 75), (2, 150)]),
        (3, 150, [(3, 150)]),
        (1, 10, [(1, 10)]),
        (9, 2, [(9, 1), (2, 2)]),
        (9, 1, [(9, 1)]),
    ],
)
def test_rungs_end_with_all_problems(n_cells: int, n_problems: int, plan: list[tuple[int, int]]) -> None:
    assert rungs(n_cells, n_problems) == plan


def test_no_search_is_refused() -> None:
    with pytest.raises(ValueError, match="0 cells on 5 problems"):
        successive_halving([], lambda cell, n: CellMeasure(objective=0, kl_nats=0), n_problems=5, kl_limit_nats=1)
    with pytest.raises(ValueError, match="within nan nats"):
        successive_halving(
            [1], lambda cell, n: CellMeasure(objective=0, kl_nats=0), n_problems=5, kl_limit_nats=float("nan")
        )
