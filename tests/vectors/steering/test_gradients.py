"""A direction that is being trained gets the gradient of what is added, step after step in one block."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from reasonlens.models import LanguageModel
from reasonlens.rundir import InputError
from reasonlens.vectors import Direction
from reasonlens.vectors.steering import steer
from tests.conftest import D_MODEL

IDS = torch.arange(5, 17)[None]
LAYER, STRENGTH, NORM = 1, 2.0, 4.0


def trained() -> Tensor:
    return (0.05 * torch.randn(D_MODEL, generator=torch.Generator().manual_seed(3))).requires_grad_()


def loss_by_hand(model: LanguageModel, shift: Tensor) -> Tensor:
    """Add the shift with a hook of our own, in a thread of its own, in which the `steer` block is not open."""

    def compute() -> Tensor:
        handle = model.blocks[LAYER].register_forward_hook(lambda block, inputs, output: output + shift)
        loss: Tensor = model.model(IDS, labels=IDS).loss
        handle.remove()
        return loss

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(compute).result()


@pytest.mark.parametrize("absolute", [True, False])
def test_the_gradient_is_that_of_the_vector_that_is_added(tiny: Callable[..., LanguageModel], absolute: bool) -> None:
    model, vector = tiny("llama"), trained()
    direction = Direction.of(vector[None], layers=[LAYER], residual_norm=NORM)
    with steer(model, direction, layer=LAYER, strength=STRENGTH, absolute=absolute):
        for _ in range(2):  # the vector moves in between
            loss = model.model(IDS, labels=IDS).loss
            (gradient,) = torch.autograd.grad(loss, vector)
            shift = STRENGTH * (vector if absolute else NORM * vector / vector.norm())
            expected_loss = loss_by_hand(model, shift)
            (expected,) = torch.autograd.grad(expected_loss, vector)
            torch.testing.assert_close(loss, expected_loss)
            torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)
            with torch.no_grad():
                vector -= 0.1 * gradient


@pytest.mark.parametrize(("dtype", "strength"), [(torch.float16, 1e6), (torch.float32, 1e39)])
def test_a_strength_beyond_the_models_numbers_is_refused(
    tiny: Callable[..., LanguageModel], dtype: torch.dtype, strength: float
) -> None:
    model = tiny("llama", dtype=dtype)
    direction = Direction.of(torch.ones(1, D_MODEL), layers=[LAYER], residual_norm=NORM)
    with (
        torch.no_grad(),
        pytest.raises(InputError, match="is more than torch.float.* can hold; give a smaller one"),
        steer(model, direction, layer=LAYER, strength=strength),
    ):
        model.model(IDS)
