"""Probes and directions on an accelerator: the numbers of the CPU, and few waits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from reasonlens import Activations, Trace, collect, sweep
from reasonlens.models import LanguageModel
from reasonlens.vectors.extraction.methods import METHODS

from .conftest import ON_A_DEVICE, Place, Watch, accelerator, on_cpu
from .test_collection import close

pytestmark = ON_A_DEVICE
FEW = {"n_folds": 3, "n_bootstrap": 5, "n_shuffles": 1, "n_permutations": 2, "progress": False}


@pytest.fixture
def acts(tiny: Callable[..., LanguageModel], traces: list[Trace]) -> Activations:
    return collect(tiny(), traces, layers=[1], progress=False)


@pytest.mark.parametrize("estimator", ["logistic", "ridge"])
def test_probes_are_those_of_the_cpu(acts: Activations, watch: Watch, estimator: str) -> None:
    names = acts.behaviours[:1]
    with on_cpu():
        expected = sweep(acts, behaviours=names, device="cpu", estimator=estimator, **FEW)
    with watch(f"sweep {estimator}", per=len(acts.layers)):
        on_device = sweep(acts, behaviours=names, device=f"{accelerator()}:0", estimator=estimator, **FEW)
    close(torch.from_numpy(on_device.weights), torch.from_numpy(expected.weights), 1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_directions_of_activations_from_a_device_are_those_of_the_cpu(
    tiny: Callable[..., LanguageModel], traces: list[Trace], acts: Activations, place: Place, watch: Watch, method: str
) -> None:
    from_device = collect(place(tiny()), traces, layers=[1], progress=False)
    with watch("directions", per=1):
        one, other = METHODS[method].find(from_device), METHODS[method].find(acts)
    for behaviour in other.behaviours:
        close(one.vectors[behaviour], other.vectors[behaviour], 1e-2)
