from __future__ import annotations

import numpy as np
import pytest
import torch

from reasonlens.rundir import InputError
from reasonlens.vectors.steering import OPERATIONS, operation_named

GENERATOR = torch.Generator().manual_seed(0)
ACTS = torch.randn(2, 3, 8, generator=GENERATOR)
UNIT = torch.nn.functional.normalize(torch.randn(8, generator=GENERATOR), dim=0)


def by_hand(name: str, acts: np.ndarray, unit: np.ndarray, amount: float) -> np.ndarray:
    """Each operation on one activation in float64."""
    along = float(acts @ unit)
    match name:
        case "add":
            return acts + amount * unit
        case "add-preserving-norm":
            moved = acts + amount * unit
            return moved / np.sqrt((moved**2).sum()) * np.sqrt((acts**2).sum())
        case "project-out":
            return acts - amount * along * unit
        case "clamp":
            return acts - along * unit + amount * unit
    raise AssertionError(name)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("amount", [-1.5, 0.0, 1.0, 2.5])
def test_each_operation_equals_its_formula_worked_by_hand(name: str, amount: float) -> None:
    found = operation_named(name)(ACTS, UNIT, amount).numpy()
    unit = UNIT.double().numpy()
    for row in range(2):
        for token in range(3):
            expected = by_hand(name, ACTS[row, token].double().numpy(), unit, amount)
            np.testing.assert_allclose(found[row, token], expected, atol=1e-5)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_amount_for_each_token_equals_each_token_alone(name: str) -> None:
    amounts = torch.randn(2, 3, 1, generator=GENERATOR)
    found = operation_named(name)(ACTS, UNIT, amounts)
    for row in range(2):
        for token in range(3):
            alone = operation_named(name)(ACTS[row : row + 1, token : token + 1], UNIT, float(amounts[row, token]))
            torch.testing.assert_close(found[row, token], alone[0, 0])


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_half_and_loses_only_its_own_rounding(name: str, dtype: torch.dtype) -> None:
    found = operation_named(name)(ACTS.to(dtype), UNIT, 1.5)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), operation_named(name)(ACTS, UNIT, 1.5), atol=0.05, rtol=0.02)


def test_all_but_the_direction_is_left_as_it_is() -> None:
    across = torch.eye(8) - UNIT[:, None] * UNIT  # the projection on everything orthogonal to it
    for name in ("add", "project-out", "clamp"):
        torch.testing.assert_close(operation_named(name)(ACTS, UNIT, 2.0) @ across, ACTS @ across)
    kept = operation_named("add-preserving-norm")(ACTS, UNIT, 2.0)
    torch.testing.assert_close(kept.norm(dim=-1), ACTS.norm(dim=-1))


def test_an_unknown_operation_is_named_with_those_that_exist() -> None:
    with pytest.raises(InputError, match="no operation 'multiply' .* add, add-preserving-norm, project-out, clamp"):
        operation_named("multiply")
