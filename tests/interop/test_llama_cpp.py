"""llama.cpp as a library steers SmolLM2 (4 bits) and a float32 Llama with our file; all blocks are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reasonlens import load
from reasonlens.models import LanguageModel
from reasonlens.models.built_in import built_in_file
from reasonlens.vectors import Directions
from reasonlens.vectors.formats import FORMATS

from . import tiny_gguf
from .conftest import LAYER, SEVERAL, answer, random_directions
from .contract import Run, assert_added_at_these_blocks_alone, assert_agrees, distance, reference, run

LAYERS = {"one": (LAYER,), "several": SEVERAL, "last": (29,)}
TOLERANCE = 1e-5  # float32 on both sides


@dataclass(frozen=True)
class Tried:
    said: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def run(self, name: str) -> Run:
        return Run.of(self.arrays, name)


def tried_with(
    model: Path, directions: Directions, layers: dict[str, tuple[int, ...]], ids: list[list[int]], folder: Path
) -> Tried:
    files = {name: str(folder / f"{name}.gguf") for name in layers}
    for name, file in files.items():
        FORMATS["llama.cpp"].write(directions, file, layers=layers[name])
    return Tried(*answer("llama-cpp", "llama_cpp_.py", {"model": str(model), "ids": ids, "files": files}, folder))


@pytest.fixture(scope="module")
def quantised(smollm2: LanguageModel, directions: Directions, ids, tmp_path_factory) -> Tried:
    return tried_with(built_in_file("smollm2-135m"), directions, LAYERS, ids, tmp_path_factory.mktemp("llama-cpp"))


@pytest.mark.interop
@pytest.mark.real_model
def test_llama_cpp_reads_the_layers_that_were_written(quantised: Tried) -> None:
    assert {name: tuple(loaded["layers"]) for name, loaded in quantised.said["loaded"].items()} == LAYERS


@pytest.mark.interop
@pytest.mark.real_model
@pytest.mark.parametrize("name", LAYERS)
def test_the_vector_is_added_to_the_output_of_its_block_and_of_no_other(
    quantised: Tried, directions: Directions, name: str
) -> None:
    vectors = {layer: directions.at("backtracking", layer) for layer in LAYERS[name]}
    assert_added_at_these_blocks_alone(quantised.run("plain"), quantised.run(name), vectors)


@pytest.mark.interop
@pytest.mark.real_model
@pytest.mark.parametrize("name", LAYERS)
def test_steered_logits_agree_as_closely_as_unsteered_ones_do(
    quantised: Tried, directions: Directions, smollm2: LanguageModel, ids, ours_plain: Run, name: str, measured
) -> None:
    vectors = {layer: directions.at("backtracking", layer) for layer in LAYERS[name]}
    unsteered = distance(ours_plain.logits, quantised.run("plain").logits)
    steered = distance(reference(smollm2, ids, vectors).logits, quantised.run(name).logits)
    where = ", ".join(map(str, LAYERS[name]))
    measured("llama.cpp (4 bits)", f"logits, layers {where}: distance", f"{steered:.4f}, unsteered {unsteered:.4f}")
    assert unsteered < 0.1
    assert steered < 1.75 * unsteered  # how far rounding to 4 and 8 bits leads depends on what is rounded


@pytest.mark.interop
@pytest.mark.real_model
@pytest.mark.parametrize("name", ["one", "several"])
def test_the_change_of_the_logits_is_ours_and_not_that_of_a_layer_more_or_less(
    quantised: Tried, directions: Directions, smollm2: LanguageModel, ids, ours_plain: Run, name: str, measured
) -> None:
    theirs = quantised.run(name).logits - quantised.run("plain").logits

    def off_by(shift: int) -> float:
        vectors = {layer + shift: directions.at("backtracking", layer) for layer in LAYERS[name]}
        return distance(reference(smollm2, ids, vectors).logits - ours_plain.logits, theirs)

    found = {"ours": off_by(0), "L - 1": off_by(-1), "L + 1": off_by(1)}
    where = ", ".join(map(str, LAYERS[name]))
    figures = ", ".join(f"{key} {value:.3f}" for key, value in found.items())
    measured("llama.cpp (4 bits)", f"change of the logits, layers {where}: distance from", figures)
    assert 2 * found["ours"] < min(found["L - 1"], found["L + 1"]), found


@pytest.mark.interop
@pytest.mark.real_model
def test_taking_the_vector_away_leaves_nothing(quantised: Tried) -> None:
    for name in LAYERS:
        assert np.array_equal(quantised.arrays[f"{name}-after/logits"], quantised.arrays["plain/logits"])


@pytest.mark.interop
def test_in_float32_llama_cpp_meets_the_whole_contract(tokenizer, tmp_path: Path, monkeypatch, measured) -> None:
    monkeypatch.setenv("REASONLENS_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "tiny.gguf"
    tiny_gguf.write(file, tokenizer)
    model = load(file, device="cpu")
    directions = random_directions(model)
    ids = [[5, 17, 200, 3, 44, 91, 12]]
    tried = tried_with(file, directions, {"1": (1,), "2": (2,), "3": (3,)}, ids, tmp_path)
    assert distance(run(model, ids).logits, tried.run("plain").logits) < TOLERANCE
    for layer in (1, 2, 3):
        vector = directions.at("backtracking", layer)
        assert_added_at_these_blocks_alone(tried.run("plain"), tried.run(str(layer)), {layer: vector})
        others = {
            f"L {by:+d}": reference(model, ids, {layer + by: vector}) for by in (-1, 1) if layer + by < model.n_layers
        }
        found = assert_agrees(tried.run(str(layer)), reference(model, ids, {layer: vector}), others, TOLERANCE)
        figures = ", ".join(f"{key} {value:.1e}" for key, value in found.items())
        measured("llama.cpp (float32)", f"logits, layer {layer} of 4: distance from", figures)
    assert torch.isfinite(tried.run("3").logits).all()
