"""A direction that one dimension makes up is named; one that is spread over many is not."""

import logging
from collections.abc import Callable

import pytest
import torch

from reasonlens.vectors import Directions
from reasonlens.vectors.extraction.single_dimension import warn_of_single_dimensions


def directions_of(vectors: dict[str, torch.Tensor]) -> Directions:
    n_layers = len(next(iter(vectors.values())))
    return Directions(
        vectors=vectors,
        layers=tuple(range(3, 3 + n_layers)),
        method="by hand",
        model={"name": "none"},
        read="mean",
        residual_norm=(1.0,) * n_layers,
        n_examples=dict.fromkeys(vectors, 10),
        n_problems=10,
    )


def test_a_direction_that_is_one_dimension_is_named_with_its_layer_and_share(caplog: pytest.LogCaptureFixture) -> None:
    vectors = torch.randn(2, 2, 64, generator=torch.Generator().manual_seed(0))
    vectors[1, 1, 41] = 70.0  # of about 4,960 in all: 99%
    with caplog.at_level(logging.WARNING, logger="reasonlens"):
        warn_of_single_dimensions(directions_of({"spread": vectors[0], "lone": vectors[1]}))
    (record,) = caplog.records
    assert record.getMessage().startswith("1 of 4 directions are mostly one dimension")
    assert "that of lone at layer 4: 99% of its squared norm is dimension 41" in record.getMessage()


@pytest.mark.parametrize(
    "vectors_of", [lambda: torch.randn(3, 64, generator=torch.Generator().manual_seed(0)), lambda: torch.zeros(3, 64)]
)
def test_spread_directions_and_empty_ones_are_passed_over(
    caplog: pytest.LogCaptureFixture, vectors_of: Callable[[], torch.Tensor]
) -> None:
    with caplog.at_level(logging.WARNING, logger="reasonlens"):
        warn_of_single_dimensions(directions_of({"spread": vectors_of()}))
    assert not caplog.records
