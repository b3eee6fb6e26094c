from __future__ import annotations

import numpy as np
import pytest
import torch

from reasonlens import InputError
from reasonlens.activations.moments import Summary


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_summaries_of_parts_add_up_to_that_of_the_whole(offset: float) -> None:
    random = np.random.default_rng(0)
    acts = torch.from_numpy(random.normal(offset, 1, (3, 500, 6))).float()
    cuts = [0, 1, 2, 40, 41, 300, 500]
    parts = [Summary.of(acts[:, a:b], covariance=True) for a, b in zip(cuts, cuts[1:], strict=False)]
    for order in (parts, parts[::-1], [parts[3], parts[0], parts[5], parts[1], parts[4], parts[2]]):
        total = order[0]
        for part in order[1:]:
            total = total + part
        exact = acts.double()
        assert total.count == 500
        torch.testing.assert_close(total.mean, exact.mean(dim=1), rtol=1e-13, atol=1e-12)
        torch.testing.assert_close(total.variance(), exact.var(dim=1), rtol=1e-10, atol=0)
        for layer in range(3):
            covariance = torch.from_numpy(np.cov(exact[layer].numpy().T))
            torch.testing.assert_close(total.covariance()[layer], covariance, rtol=1e-9, atol=1e-10)


def test_what_was_not_collected_and_what_is_too_few_is_said() -> None:
    one = Summary.of(torch.ones(2, 1, 4))
    with pytest.raises(InputError, match="needs more than 1 vectors, and there are 1"):
        one.variance()
    with pytest.raises(InputError, match="covariances were not collected.*covariance=True"):
        one.covariance()
    with pytest.raises(InputError, match="with covariances and without cannot be added up"):
        _ = one + Summary.of(torch.ones(2, 3, 4), covariance=True)
