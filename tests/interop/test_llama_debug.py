"""`--control-vector` of llama.cpp's own programs, by `llama-debug`, which writes the last token's logits to a file."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from reasonlens.models import LanguageModel
from reasonlens.vectors import Directions
from reasonlens.vectors.formats import FORMATS

from . import environment
from .conftest import LAYER, TEXT, require
from .contract import Run, distance, reference
from .test_llama_cpp import gguf_of_smollm2

pytestmark = [pytest.mark.interop, pytest.mark.real_model]


@dataclass(frozen=True)
class Done:
    logits: torch.Tensor | None
    tokens: list[int]
    said: str
    code: int


def llama_debug(folder: Path, *options: str) -> Done:
    require("llama-cpp")
    model = gguf_of_smollm2()
    exact = ["-ctk", "f32", "-ctv", "f32", "-fa", "off", "-t", "1"]  # plain float32 caches, as ours
    command = [environment.llama_cpp_build() / "bin" / "llama-debug", "-m", model, "-p", TEXT, *exact, *options]
    output = ["--save-logits", "--logits-output-dir", folder]
    done = subprocess.run(map(str, [*command, *output]), capture_output=True, text=True, timeout=120, check=False)
    file = folder / f"llamacpp-{model.stem}.bin"
    if not file.exists():
        return Done(None, [], done.stdout + done.stderr, done.returncode)
    tokens = np.fromfile(folder / f"llamacpp-{model.stem}-tokens.bin", np.int32).tolist()
    logits = torch.from_numpy(np.fromfile(file, np.float32))
    file.unlink()
    return Done(logits, tokens, done.stdout + done.stderr, done.returncode)


@pytest.fixture
def vector_file(directions: Directions, tmp_path: Path) -> Path:
    file = tmp_path / "direction.gguf"
    FORMATS["llama.cpp"].write(directions, file, layers=LAYER)
    return file


@pytest.mark.parametrize("scaled", [False, True])
def test_the_program_changes_the_logits_as_we_do_and_not_as_a_layer_more_or_less_would(
    vector_file: Path,
    directions: Directions,
    smollm2: LanguageModel,
    ids,
    ours_plain: Run,
    tmp_path: Path,
    scaled: bool,
    measured,
) -> None:
    factor = 0.5 if scaled else 1.0
    flag = ["--control-vector-scaled", f"{vector_file}:{factor}"] if scaled else ["--control-vector", str(vector_file)]
    plain, steered = llama_debug(tmp_path), llama_debug(tmp_path, *flag)
    assert plain.tokens == steered.tokens == ids[0]
    assert plain.logits is not None and steered.logits is not None, steered.said
    row = factor * directions.at("backtracking", LAYER)
    found, vector_of = {}, {"ours": LAYER, "L - 1": LAYER - 1, "L + 1": LAYER + 1}
    for name, layer in vector_of.items():
        ours = reference(smollm2, ids, {layer: row}).logits[-1] - ours_plain.logits[-1]
        found[name] = distance(ours, steered.logits - plain.logits)
    figures = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
    measured("llama-debug (4 bits)", f"{flag[0]}: change, distance from", figures)
    assert 2 * found["ours"] < min(found["L - 1"], found["L + 1"]), found
    unsteered = distance(ours_plain.logits[-1], plain.logits)
    steered_from_ours = distance(reference(smollm2, ids, {LAYER: row}).logits[-1], steered.logits)
    assert steered_from_ours < max(2 * unsteered, 0.05), (steered_from_ours, unsteered)


def test_a_range_of_layers_without_ours_leaves_the_logits_bit_for_bit(vector_file: Path, tmp_path: Path) -> None:
    plain = llama_debug(tmp_path)
    flag = ("--control-vector", str(vector_file), "--control-vector-layer-range")
    above = llama_debug(tmp_path, *flag, str(LAYER + 1), "29")
    here = llama_debug(tmp_path, *flag, str(LAYER), str(LAYER))
    assert plain.logits is not None and above.logits is not None and here.logits is not None
    assert torch.equal(above.logits, plain.logits)
    assert not torch.equal(here.logits, plain.logits)


def test_a_file_with_direction_0_is_what_llama_cpp_refuses(directions: Directions, tmp_path: Path) -> None:
    """Why our format refuses layer 0: repeng's file may have it, and llama.cpp then takes nothing of the file."""
    file = tmp_path / "with-0.gguf"
    FORMATS["repeng"].write(directions, file, layers=(0, LAYER))
    assert {tensor.name for tensor in gguf.GGUFReader(file).tensors} == {"direction.0", f"direction.{LAYER}"}
    refused = llama_debug(tmp_path, "--control-vector", str(file))
    assert refused.logits is None and refused.code != 0
    assert "zero" in refused.said and "direction tensor layer index" in refused.said
