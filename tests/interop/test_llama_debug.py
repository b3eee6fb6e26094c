"""`--control-vector` of llama.cpp's own programs, by `llama-debug`, which writes the last token's logits to a file."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from reasonlens.models import LanguageModel
from reasonlens.models.built_in import built_in_file
from reasonlens.vectors import Directions
from reasonlens.vectors.formats import FORMATS

from . import environment
from .conftest import LAYER, TEXT, answer, require
from .contract import Run, distance, reference
from .test_llama_cpp import Tried

pytestmark = [pytest.mark.interop, pytest.mark.real_model]


@dataclass(frozen=True)
class Done:
    logits: torch.Tensor | None
    tokens: list[int]
    said: str
    code: int


def llama_debug(folder: Path, *options: str) -> Done:
    require("llama-cpp")
    model = built_in_file("smollm2-135m")
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


@pytest.fixture(scope="module")
def library(smollm2: LanguageModel, directions: Directions, ids, tmp_path_factory) -> Tried:
    """The library on the vector and on half of it, which `test_llama_cpp.py` compares with ours block by block."""
    folder = tmp_path_factory.mktemp("library")
    files = {}
    for name, factor in {"whole": 1.0, "half": 0.5}.items():
        scaled = {"backtracking": factor * directions.vectors["backtracking"]}
        files[name] = str(folder / f"{name}.gguf")
        FORMATS["llama.cpp"].write(replace(directions, vectors=scaled), files[name], layers=LAYER)
    asked = {"model": str(built_in_file("smollm2-135m")), "ids": ids, "files": files}
    return Tried(*answer("llama-cpp", "llama_cpp_.py", asked, folder))


def test_the_program_makes_of_the_file_what_the_library_makes_of_its_vector(
    vector_file: Path, library: Tried, ids, tmp_path: Path
) -> None:
    plain = llama_debug(tmp_path)
    whole = llama_debug(tmp_path, "--control-vector", str(vector_file))
    half = llama_debug(tmp_path, "--control-vector-scaled", f"{vector_file}:0.5")
    for name, done in {"plain": plain, "whole": whole, "half": half}.items():
        assert done.tokens == ids[0]
        assert done.logits is not None, done.said
        assert torch.equal(done.logits, library.run(name).logits[-1]), name


def test_the_program_changes_the_logits_as_we_do_and_not_as_a_layer_more_or_less_would(
    vector_file: Path, directions: Directions, smollm2: LanguageModel, ids, ours_plain: Run, tmp_path: Path, measured
) -> None:
    plain, steered = llama_debug(tmp_path), llama_debug(tmp_path, "--control-vector", str(vector_file))
    assert plain.logits is not None and steered.logits is not None, steered.said
    row = directions.at("backtracking", LAYER)
    found = {}
    for name, layer in {"ours": LAYER, "L - 1": LAYER - 1, "L + 1": LAYER + 1}.items():
        ours = reference(smollm2, ids, {layer: row}).logits[-1] - ours_plain.logits[-1]
        found[name] = distance(ours, steered.logits - plain.logits)
    figures = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
    measured("llama-debug (4 bits)", "--control-vector, change at the last token: from", figures)
    assert 1.5 * found["ours"] < min(found["L - 1"], found["L + 1"]), found


def test_a_range_of_layers_without_ours_leaves_the_logits_bit_for_bit(vector_file: Path, tmp_path: Path) -> None:
    plain = llama_debug(tmp_path)
    flag = ("--control-vector", str(vector_file), "--control-vector-layer-range")
    above = llama_debug(tmp_path, *flag, str(LAYER + 1), "29")
    here = llama_debug(tmp_path, *flag, str(LAYER), str(LAYER))
    assert plain.logits is not None and above.logits is not None and here.logits is not None
    assert torch.equal(above.logits, plain.logits)
    assert not torch.equal(here.logits, plain.logits)


def test_a_file_with_direction_0_steers_nothing_in_llama_cpp(directions: Directions, tmp_path: Path) -> None:
    """Why our format refuses layer 0: llama.cpp reports it, takes nothing of the file, and here even goes on."""
    file = tmp_path / "with-0.gguf"
    FORMATS["repeng"].write(directions, file, layers=(0, LAYER))
    assert {tensor.name for tensor in gguf.GGUFReader(file).tensors} == {"direction.0", f"direction.{LAYER}"}
    plain, refused = llama_debug(tmp_path), llama_debug(tmp_path, "--control-vector", str(file))
    assert "invalid (zero) direction tensor layer index" in refused.said
    assert plain.logits is not None
    assert refused.logits is None or torch.equal(refused.logits, plain.logits)
