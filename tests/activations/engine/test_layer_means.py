"""Layers of several devices, put together: in the order in which they are read, whichever device each is on."""

from __future__ import annotations

import torch

from reasonlens.activations.engine.layer_means import in_order
from reasonlens.activations.moments.summary import Summary, joined

SLOTS = [[3, 0], [1, 4, 2]]


def test_layers_of_two_parts_are_in_the_order_in_which_they_are_read() -> None:
    whole = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(in_order([(slots, whole[:, slots]) for slots in SLOTS]), whole)
    assert in_order([(list(range(5)), whole)]) is whole, "what is in one place is not copied"


def test_moments_of_two_parts_are_those_of_all_layers() -> None:
    vectors = torch.randn(5, 7, 4, generator=torch.Generator().manual_seed(1))
    whole = Summary.of(vectors, covariance=True)
    parts = joined([Summary.of(vectors[slots], covariance=True) for slots in SLOTS], SLOTS)
    assert parts.count == whole.count == 7
    torch.testing.assert_close(parts.mean, whole.mean)
    torch.testing.assert_close(parts.m2, whole.m2)
    torch.testing.assert_close(parts.covariance(), whole.covariance())
    without = joined([Summary.of(vectors[slots]) for slots in SLOTS], SLOTS)
    assert without.comoment is None
