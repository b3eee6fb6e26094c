"""The suite itself: what it needs to run on all cores."""

from __future__ import annotations

import os

import pytest
import torch
from threadpoolctl import threadpool_info


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="runs beside other workers only (-n 2)")
def test_a_worker_beside_others_computes_with_one_thread() -> None:
    import numpy

    numpy.ones((8, 8)) @ numpy.ones((8, 8))
    assert torch.get_num_threads() == 1
    assert {pool["num_threads"] for pool in threadpool_info()} == {1}
