"""Work side by side: results in order, whatever the number of threads, and the libraries' threads as before."""

import threading
import time

import pytest
import torch
from threadpoolctl import threadpool_info

from reasonlens.probes.single_threads import map_layers, map_layers_beside

CPU = torch.device("cpu")


def threads() -> tuple[list[tuple[str, int]], int]:
    return [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()], torch.get_num_threads()


def test_results_come_in_order_and_threads_are_as_before() -> None:
    before = threads()

    def slow_first(number: int) -> tuple[int, int]:
        time.sleep(0.05 * (number == 0))
        return number, max(pool["num_threads"] for pool in threadpool_info())

    assert map_layers(slow_first, range(5), CPU, False) == [(number, 1) for number in range(5)]
    assert threads() == before


def test_other_work_is_done_beside_the_layers() -> None:
    layer_begun = threading.Event()

    def fit(layer: int) -> int:
        layer_begun.set()
        return 2 * layer

    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        results = map_layers_beside(lambda: layer_begun.wait(timeout=20), fit, range(3), CPU, False)
    finally:
        torch.set_num_threads(n_threads)
    assert results == (True, [0, 2, 4]), "the other work waited for a layer, which began while it was under way"


@pytest.mark.parametrize("failing", ["a layer", "the other"])
def test_an_error_in_one_piece_of_work_is_raised_and_threads_are_as_before(failing: str) -> None:
    before = threads()
    with pytest.raises(ZeroDivisionError):
        map_layers_beside(
            lambda: 1 // (failing != "the other"),
            lambda number: 1 // number,
            [1, 0, *range(1, 50)] if failing == "a layer" else [1],
            CPU,
            False,
        )
    assert threads() == before
