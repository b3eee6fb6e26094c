"""Steering on an accelerator: the tokens of the CPU, and few waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from reasonlens.models import LanguageModel
from reasonlens.vectors import Direction
from reasonlens.vectors.steering import steer
from reasonlens.vectors.steering.sentence_ends import at_sentence_ends

from ..vectors.steering.conftest import direction, padded
from .conftest import ON_A_DEVICE, Place, Watch, on_cpu

pytestmark = ON_A_DEVICE
N_NEW = 4
WAYS: dict[str, dict[str, Any]] = {
    "add": {},
    "add-preserving-norm": {"operation": "add-preserving-norm"},
    "project-out": {"operation": "project-out"},
    "clamp": {"operation": "clamp"},
    "of the response": {"when": "response:2"},
    "some rows": {"mask": torch.tensor([True, False, True])},
    "two layers": {"layer": [0, 2]},
    "a controller of rows": {"controller": lambda activations, step: step.positions % 2 == 0},
    "a controller of strengths": {
        "controller": lambda activations, step: activations.float().norm(dim=-1).clamp(max=1)
    },
    "sentence ends": {"controller": None},
    "a static cache": {"generation": {"cache_implementation": "static", "disable_compile": True}},
}
__all__ = ["direction"]  # a fixture


def generated(model: LanguageModel, direction: Direction, way: str) -> tuple[Tensor, int]:
    options = dict(WAYS[way])
    generation = options.pop("generation", {})
    if way == "sentence ends":
        options["controller"] = at_sentence_ends(model)
    inputs = {name: value.to(model.device) for name, value in padded("left").items()}
    with steer(model, direction, layer=options.pop("layer", 1), strength=0.05, force=True, **options) as steered:
        ids = model.model.generate(
            **inputs, max_new_tokens=N_NEW, min_new_tokens=N_NEW, do_sample=False, pad_token_id=1, **generation
        )
    return ids.cpu(), steered.n_steered


@pytest.mark.parametrize("way", WAYS)
def test_steered_text_is_that_of_the_cpu(
    tiny: Callable[..., LanguageModel], direction: Direction, place: Place, watch: Watch, way: str
) -> None:
    model = place(tiny())
    generated(model, direction, "add")  # what a model is asked once only
    with watch(f"steer {way}", per=N_NEW):
        ids, n_steered = generated(model, direction, way)
    with on_cpu():
        expected, n_expected = generated(tiny(), direction, way)
    assert torch.equal(ids, expected)
    assert n_steered == n_expected > 0
