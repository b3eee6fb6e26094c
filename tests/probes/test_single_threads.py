"""Work side by side: results in order, whatever the number of threads, and the libraries' threads as before."""

import time

import pytest
import torch
from threadpoolctl import threadpool_info

from reasonlens.probes.single_threads import map_items


def test_results_come_in_order_and_threads_are_as_before() -> None:
    before = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()], torch.get_num_threads()

    def slow_first(number: int) -> tuple[int, int]:
        time.sleep(0.05 * (number == 0))
        return number, max(pool["num_threads"] for pool in threadpool_info())

    assert map_items(slow_first, range(5)) == [(number, 1) for number in range(5)]
    assert ([(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()], torch.get_num_threads()) == before


def test_an_error_in_one_piece_of_work_is_raised_and_threads_are_as_before() -> None:
    before = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()], torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        map_items(lambda number: 1 // number, [1, 0, *range(1, 50)])
    assert ([(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()], torch.get_num_threads()) == before
