"""TransformerLens: the vector of our file added at `blocks.L.hook_out` of a TransformerBridge."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reasonlens.models import LanguageModel
from reasonlens.vectors import Directions
from reasonlens.vectors.formats import FORMATS

from .conftest import LAYER, random_directions
from .contract import Run, assert_added_at_these_blocks_alone, assert_agrees, reference
from .tools.ours import rows

IDS = [[5, 17, 200, 3, 44, 91]]
TOLERANCE = 1e-5


def bridge_run(bridge: Any, ids: list[list[int]], vectors: dict[int, Tensor]) -> Run:
    def add(acts: Tensor, hook: Any, vector: Tensor) -> Tensor:
        return acts + vector

    hooks = [(f"blocks.{layer}.hook_out", partial(add, vector=vector)) for layer, vector in vectors.items()]
    with torch.no_grad(), bridge.hooks(fwd_hooks=hooks):
        logits, cache = bridge.run_with_cache(torch.tensor(ids))
    acts = torch.stack([cache[f"blocks.{layer}.hook_out"][0] for layer in range(bridge.cfg.n_layers)])
    return Run(acts, logits[0])


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen"])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_bridge_steered_with_our_file_meets_the_contract(tiny, tmp_path: Path, architecture: str, layer: int) -> None:
    model: LanguageModel = tiny(architecture, attn_implementation="eager")
    file = tmp_path / "directions.safetensors"
    FORMATS["safetensors"].write(random_directions(model), file)
    row = rows(str(file))[layer]
    bridge = model.to_bridge()
    steered = bridge_run(bridge, IDS, {layer: row})
    assert_added_at_these_blocks_alone(bridge_run(bridge, IDS, {}), steered, {layer: row})
    others = {f"layer {each}": reference(model, IDS, {each: row}) for each in {0, 1, 2} - {layer}}
    assert_agrees(steered, reference(model, IDS, {layer: row}), others, TOLERANCE)


@pytest.mark.real_model
def test_smollm2_as_a_bridge_meets_the_contract(
    smollm2: LanguageModel, ids, directions: Directions, tmp_path: Path, measured
) -> None:
    file = tmp_path / "directions.safetensors"
    FORMATS["safetensors"].write(directions, file)
    row = rows(str(file))[LAYER]
    bridge = smollm2.to_bridge()
    steered = bridge_run(bridge, ids, {LAYER: row})
    assert_added_at_these_blocks_alone(bridge_run(bridge, ids, {}), steered, {LAYER: row})
    others = {name: reference(smollm2, ids, {LAYER + by: row}) for name, by in (("L - 1", -1), ("L + 1", 1))}
    found = assert_agrees(steered, reference(smollm2, ids, {LAYER: row}), others, TOLERANCE)
    figures = ", ".join(f"{name} {value:.1e}" for name, value in found.items())
    measured("transformer-lens", f"logits, layers {LAYER}: distance from", figures)
