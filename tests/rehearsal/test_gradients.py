"""What learns by gradients, on an accelerator: the numbers of the CPU, on one device and over two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reasonlens import Trace
from reasonlens.models import LanguageModel
from reasonlens.pairs.hybrid.coefficient_fit import CoefficientSettings, fit_coefficients
from reasonlens.vectors.extraction import OptimisedSettings, optimised_directions

from .conftest import ON_A_DEVICE, Place, Watch, on_cpu
from .test_collection import close

pytestmark = ON_A_DEVICE
STEPS, FEW = 2, 6
SETTINGS = OptimisedSettings(
    behaviours=("backtracking",),
    max_steps=STEPS,
    check_every=1,
    n_folds=3,
    sentences_per_step=2,
    n_random=1,
    bias=True,
    n_resamples=1,
)


def spread(model: LanguageModel) -> str:
    return " over two" if len({weight.device for weight in model.model.parameters()}) > 1 else ""


@pytest.mark.parametrize("cached", [True, False])
def test_optimised_directions_are_those_of_the_cpu(
    tiny: Callable[..., LanguageModel], traces: list[Trace], place: Place, watch: Watch, cached: bool
) -> None:
    settings = SETTINGS if cached else replace(SETTINGS, cache_gigabytes=0.0, bias=False, n_resamples=0)
    model = place(tiny())
    with watch(f"optimised directions{'' if cached else ' not cached'}{spread(model)}", per=STEPS):
        on_device = optimised_directions(model, traces[:FEW], [1], settings)
    with on_cpu():
        expected = optimised_directions(tiny(), traces[:FEW], [1], settings)
    for behaviour, vectors in expected.vectors.items():
        close(on_device.vectors[behaviour], vectors, 5e-2)


def test_a_coefficient_network_is_that_of_the_cpu(
    tiny: Callable[..., LanguageModel], traces: list[Trace], place: Place, watch: Watch
) -> None:
    settings = CoefficientSettings(n_epochs=1)
    with on_cpu():
        expected = fit_coefficients(tiny(), traces[:FEW], 1, settings)
    n_steps = -(-expected.scores["n_training"] // settings.tokens_per_step)
    model = place(tiny())
    with watch(f"coefficient network{spread(model)}", per=n_steps):
        on_device = fit_coefficients(model, traces[:FEW], 1, settings)
    close(on_device.mechanism.units, expected.mechanism.units, 5e-2)
