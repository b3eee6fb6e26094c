from __future__ import annotations

import torch
from torch.nn.functional import cosine_similarity

from reasonlens import collect, mean_difference_directions
from reasonlens.analysis.geometry import cosine_matrix


def test_the_matrix_holds_the_cosine_of_every_pair(tiny, traces) -> None:
    directions = mean_difference_directions(collect(tiny(), traces, progress=False))
    matrix = cosine_matrix(directions, layer=1)
    for row, first in enumerate(directions.behaviours):
        for column, second in enumerate(directions.behaviours):
            expected = cosine_similarity(directions.at(first, 1), directions.at(second, 1), dim=0)
            torch.testing.assert_close(matrix[row, column], expected, rtol=1e-5, atol=1e-6)
