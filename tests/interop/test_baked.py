"""The baked checkpoint under plain transformers, in environments where reasonlens is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from reasonlens.models import LanguageModel
from reasonlens.vectors import Directions
from reasonlens.vectors.formats import FORMATS

from .conftest import LAYER, answer
from .contract import Run, assert_agrees, distance, reference

pytestmark = [pytest.mark.interop, pytest.mark.real_model]

TOLERANCE = 1e-5  # float32; the vector is added within the MLP and not after it
ENVIRONMENTS = [
    pytest.param("repeng", id="transformers-5"),
    pytest.param("steering-vectors", id="transformers-4"),
]


@pytest.fixture(scope="module")
def baked(smollm2: LanguageModel, directions: Directions, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("baked") / "model"
    FORMATS["baked"].write(directions, directory, model=smollm2, layers=LAYER)
    return directory


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_baked_checkpoint_computes_what_hooks_do_without_any_code_of_ours(
    name: str,
    baked: Path,
    directions: Directions,
    smollm2: LanguageModel,
    smollm2_directory: str,
    ids,
    tmp_path,
    measured,
) -> None:
    models = {"plain": smollm2_directory, "baked": str(baked)}
    said, arrays = answer(name, "transformers_.py", {"ids": ids, "models": models}, tmp_path)
    assert not said["has_reasonlens"]
    assert said["has_code"] == {"plain": False, "baked": False}
    assert (
        said["classes"]["baked"]
        == said["classes"]["plain"]
        == "transformers.models.llama.modeling_llama.LlamaForCausalLM"
    )
    plain, steered = Run.of(arrays, "plain"), Run.of(arrays, "baked")
    row = directions.at("backtracking", LAYER)
    assert torch.equal(steered.acts[:LAYER], plain.acts[:LAYER])
    change = steered.acts[LAYER] - plain.acts[LAYER]
    rounding = 2**-22 * plain.acts[LAYER].abs().amax()
    torch.testing.assert_close(change, row.expand_as(change), rtol=0, atol=float(rounding))
    others = {f"L {by:+d}": reference(smollm2, ids, {LAYER + by: row}) for by in (-1, 1)}
    found = assert_agrees(steered, reference(smollm2, ids, {LAYER: row}), others, TOLERANCE)
    figures = ", ".join(f"{key} {value:.1e}" for key, value in found.items())
    measured(f"transformers {said['version']}", f"baked, logits, layer {LAYER}: distance from", figures)


def test_baking_leaves_the_model_as_it_was(smollm2: LanguageModel, baked: Path, ids, ours_plain: Run) -> None:
    assert baked.is_dir()
    assert distance(ours_plain.logits, reference(smollm2, ids, {}).logits) == 0
