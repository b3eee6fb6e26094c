"""hotwire-vllm and vllm-lens read our files with their own code, as far as it runs without vLLM; and EasySteer's."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from reasonlens.models import LanguageModel
from reasonlens.vectors import Directions
from reasonlens.vectors.formats import FORMATS

from .conftest import SEVERAL, answer, random_directions


@pytest.mark.interop
@pytest.mark.real_model
def test_hotwire_and_vllm_lens_find_each_vector_at_its_layer(
    smollm2: LanguageModel, directions: Directions, tmp_path: Path
) -> None:
    asked = {"n_layers": smollm2.n_layers, "d_model": smollm2.d_model, "layers": [*SEVERAL, SEVERAL[0] + 1]}
    for format in ("hotwire", "vllm-lens"):
        asked[format.replace("-", "_")] = str(tmp_path / f"{format}.safetensors")
        FORMATS[format].write(directions, asked[format.replace("-", "_")], layers=SEVERAL)
    said, arrays = answer("vllm-plugins", "vllm_plugins_.py", asked, tmp_path)
    assert said == {"norm_match": False, "layers": list(SEVERAL)}
    for layer in SEVERAL:
        row = directions.at("backtracking", layer).numpy()
        assert np.array_equal(arrays[f"hotwire/{layer}"], row)
        assert np.array_equal(arrays[f"vllm-lens/{layer}"], row)
    assert not arrays[f"hotwire/{SEVERAL[0] + 1}"].any()  # a layer that was not written is left alone
    assert sum(name.startswith("vllm-lens/") for name in arrays) == len(SEVERAL)


@pytest.mark.parametrize("layers", [(0,), (1,), (0, 2)])
def test_easysteer_finds_each_vector_at_its_layer(tiny, tmp_path: Path, layers: tuple[int, ...]) -> None:
    """EasySteer comes as a fork of vLLM; this does what its loading.py does, with the same package.

    The name must end in .gguf; of the tensors `direction.N` N must be a number from 0 and stand once; one float vector
    each, added at the output of block N.
    """
    directions = random_directions(tiny())
    file = tmp_path / "direction.gguf"
    FORMATS["easysteer"].write(directions, file, layers=layers)
    assert file.suffix == ".gguf"
    found: dict[int, np.ndarray] = {}
    for tensor in gguf.GGUFReader(file).tensors:
        prefix, _, number = tensor.name.partition(".")
        assert prefix == "direction" and int(number) >= 0 and int(number) not in found
        found[int(number)] = np.array(tensor.data)
    assert tuple(found) == layers
    for layer, row in found.items():
        assert torch.equal(torch.from_numpy(row), directions.at("backtracking", layer))
