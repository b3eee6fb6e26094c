"""repeng, steering-vectors, nnsight and nnterp: each loads our file and steers SmolLM2 in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from reasonlens.models import LanguageModel
from reasonlens.vectors import Directions
from reasonlens.vectors.formats import FORMATS

from .conftest import LAYER, SEVERAL, answer
from .contract import Run, assert_added_at_these_blocks_alone, assert_agrees, distance, reference

pytestmark = [pytest.mark.interop, pytest.mark.real_model]

# environment -> its script, and the format of the file that it is given
TOOLS = {
    "repeng": ("repeng_.py", "repeng"),
    "steering-vectors": ("steering_vectors_.py", "steering-vectors"),
    "nnsight": ("nnsight_.py", "safetensors"),
    "nnterp": ("nnterp_.py", "safetensors"),
}
LAYERS = {"one": (LAYER,), "first": (0,), "several": SEVERAL}
TOLERANCE = 1e-5  # |logits - ours| / |ours|: float32, the same model in the same or another version of transformers


@dataclass(frozen=True)
class Tried:
    tool: str
    said: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def run(self, name: str) -> Run:
        return Run.of(self.arrays, name)


@pytest.fixture(scope="module", params=TOOLS)
def tried(request, tmp_path_factory, directions: Directions, smollm2_directory: str, ids) -> Tried:
    """What the tool computes with each of three files, all in one process of its own."""
    script, format = TOOLS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    files = {}
    for name, layers in LAYERS.items():
        files[name] = str(folder / f"{name}{FORMATS[format].suffix}")
        FORMATS[format].write(directions, files[name], layers=layers)
    asked = {"model": smollm2_directory, "ids": ids, "files": files}
    return Tried(request.param, *answer(request.param, script, asked, folder))


def test_the_tool_reads_the_layers_that_were_written(tried: Tried) -> None:
    assert {name: tuple(loaded["layers"]) for name, loaded in tried.said["loaded"].items()} == LAYERS


@pytest.mark.parametrize("name", LAYERS)
def test_the_vector_is_added_to_the_output_of_its_block_and_of_no_other(
    tried: Tried, directions: Directions, name: str
) -> None:
    vectors = {layer: directions.at("backtracking", layer) for layer in LAYERS[name]}
    assert_added_at_these_blocks_alone(tried.run("plain"), tried.run(name), vectors)


@pytest.mark.parametrize("name", LAYERS)
def test_steered_logits_are_those_of_a_hook_here_and_not_those_of_a_layer_more_or_less(
    tried: Tried, directions: Directions, smollm2: LanguageModel, ids, name: str, measured
) -> None:
    def shifted(by: int) -> Run:
        vectors = {layer + by: directions.at("backtracking", layer) for layer in LAYERS[name] if layer + by >= 0}
        return reference(smollm2, ids, vectors)

    others = {"L + 1": shifted(1)} | ({"L - 1": shifted(-1)} if 0 not in LAYERS[name] else {})
    found = assert_agrees(tried.run(name), shifted(0), others, TOLERANCE)
    figures = ", ".join(f"{key} {value:.1e}" for key, value in found.items())
    measured(tried.tool, f"logits, layers {', '.join(map(str, LAYERS[name]))}: distance from", figures)


def test_without_the_vector_the_tool_computes_what_we_do(tried: Tried, ours_plain: Run, measured) -> None:
    plain = tried.run("plain")
    assert distance(ours_plain.logits, plain.logits) < TOLERANCE
    assert distance(ours_plain.acts, plain.acts) < TOLERANCE
    measured(tried.tool, "unsteered logits: distance from ours", f"{distance(ours_plain.logits, plain.logits):.1e}")


def test_nothing_of_the_vector_is_left_when_the_tool_has_let_go_of_it(tried: Tried) -> None:
    after = [name for name in (f"{each}-after" for each in LAYERS) if f"{name}/logits" in tried.arrays]
    assert after
    for name in after:
        assert np.array_equal(tried.arrays[f"{name}/logits"], tried.arrays["plain/logits"])
