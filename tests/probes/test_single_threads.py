"""Work side by side: results in order, whatever the number of threads, and the libraries' threads as before."""

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
    done: list[str] = []

    def other() -> str:
        time.sleep(0.05)
        done.append("other")
        return "result"

    def fit(layer: int) -> int:
        done.append("layer")
        return 2 * layer

    assert map_layers_beside(other, fit, range(3), CPU, False) == ("result", [0, 2, 4])
    assert sorted(done) == ["layer"] * 3 + ["other"]


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
