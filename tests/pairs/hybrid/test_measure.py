"""The figures of an arm are those of the statistics, and a single problem has none."""

from __future__ import annotations

import numpy as np
import pytest

from reasonlens.pairs.hybrid.measure import measure_arm
from reasonlens.rundir import InputError


def test_a_single_problem_is_refused_with_the_number_there_are() -> None:
    solved = np.ones(4, dtype=bool)
    with pytest.raises(InputError, match="an interval needs at least two problems, and there is 1"):
        measure_arm("hybrid", ~solved, solved, solved[None], [], ["p"] * 4)
    with pytest.raises(InputError, match="an interval needs at least two problems, and there is 1"):
        measure_arm("hybrid", ~solved[:1], solved[:1], solved[None, :1], [])
