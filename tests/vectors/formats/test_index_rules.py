"""Each tool's rule of where it adds a vector, replayed with plain hooks on a small model, against steering block L."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reasonlens import Directions, LanguageModel
from reasonlens.vectors.formats import FORMATS, export, import_

from ...conftest import D_MODEL
from .conftest import make_directions

LAYER = 1


@contextmanager
def adding(module: torch.nn.Module, vector: torch.Tensor, *, before: bool):
    """What a tool's hook does: add to the input (before) or the output of a block."""

    def after_hook(_module, _inputs, output):
        return (output[0] + vector, *output[1:]) if isinstance(output, tuple) else output + vector

    def before_hook(_module, arguments, keywords):
        return (arguments[0] + vector, *arguments[1:]), keywords

    if before:
        handle = module.register_forward_pre_hook(before_hook, with_kwargs=True)
    else:
        handle = module.register_forward_hook(after_hook)
    try:
        yield
    finally:
        handle.remove()


def steering_vectors(path: Path) -> tuple[int, torch.Tensor, bool]:
    ((layer, vector),) = {int(name): row for name, row in load_file(path).items()}.items()
    return layer, vector, False


def vllm_lens(path: Path) -> tuple[int, torch.Tensor, bool]:
    tensors = load_file(path)
    (layer,) = tensors["layer_indices"].tolist()
    return layer, tensors["activations"][0], False


def hotwire(path: Path) -> tuple[int, torch.Tensor, bool]:
    table = load_file(path)["vectors"]
    (layer,) = table.norm(dim=1).nonzero().flatten().tolist()
    return layer, table[layer], False


def svec(path: Path) -> tuple[int, torch.Tensor, bool]:
    ((key, numbers),) = json.loads(path.read_text())["directions"].items()
    return int(key), torch.tensor(numbers), True  # LeashLayer adds to its block's input


def refusal_direction(path: Path) -> tuple[int, torch.Tensor, bool]:
    table = load_file(path)["mean_diffs"]
    assert table.dtype == torch.float64 and table.ndim == 3
    (row,) = table[0].norm(dim=1).nonzero().flatten().tolist()
    return row, table[0, row].float(), True  # get_activation_addition_input_pre_hook


def persona_vectors(path: Path) -> tuple[int, torch.Tensor, bool]:
    table = load_file(path)["response_avg_diff"]
    (row,) = table.norm(dim=1).nonzero().flatten().tolist()
    return row - 1, table[row], False  # ActivationSteerer(layer_idx=row - 1)


def neuronpedia(path: Path) -> tuple[int, torch.Tensor, bool]:
    body = json.loads(path.read_text())
    assert body["hookType"] == "hook_resid_pre"
    return body["layerNumber"], torch.tensor(body["vector"]), True


RULES: dict[str, Callable[[Path], tuple[int, torch.Tensor, bool]]] = {
    "steering-vectors": steering_vectors,
    "vllm-lens": vllm_lens,
    "hotwire": hotwire,
    "svec": svec,
    "refusal-direction": refusal_direction,
    "persona-vectors": persona_vectors,
    "neuronpedia": neuronpedia,
}


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("name", RULES)
def test_the_tool_adds_it_where_reasonlens_would(name: str, architecture: str, tiny, tmp_path: Path) -> None:
    model: LanguageModel = tiny(architecture)
    found = make_directions(layers=(0, 1, 2), width=D_MODEL)
    path = tmp_path / f"b{FORMATS[name].suffix}"
    export(
        Directions(**{**vars(found), "model": model.identity()}),
        path,
        name,
        behaviour="backtracking",
        layers=LAYER,
        model=model,
    )
    index, vector, before = RULES[name](path)
    tokens = torch.arange(3, 20)[None]
    with torch.no_grad():
        with adding(model.blocks[index], vector, before=before):
            theirs = model.model(tokens).logits
        with adding(model.blocks[LAYER], found.at("backtracking", LAYER), before=False):
            ours = model.model(tokens).logits
        with adding(model.blocks[LAYER + 1], found.at("backtracking", LAYER), before=False):
            one_off = model.model(tokens).logits
    torch.testing.assert_close(theirs, ours)
    assert (theirs - one_off).abs().max() > 1e-3  # a file that is one layer off would be noticed


@pytest.mark.parametrize("name", [name for name, entry in FORMATS.items() if entry.read and entry.write])
def test_what_was_written_is_read_back_bit_for_bit(name: str, directions: Directions, tmp_path: Path) -> None:
    layers = [2] if FORMATS[name].one_layer else [1, 3]
    path = tmp_path / f"b{FORMATS[name].suffix}"
    assert export(directions, path, name, behaviour="deduction", layers=layers) == [path]
    read = import_(path, name)
    assert read.behaviours == ("deduction",) and list(read.layers) == layers
    for layer in layers:
        assert torch.equal(read.at("deduction", layer), directions.at("deduction", layer)), layer


@pytest.mark.parametrize("name", ["hotwire", "refusal-direction", "persona-vectors"])
def test_the_two_lines_make_a_pt_that_says_the_same(name: str, directions: Directions, tmp_path: Path) -> None:
    export(directions, tmp_path / "b.safetensors", name, behaviour="deduction")
    ((_, tensor),) = load_file(tmp_path / "b.safetensors").items()
    torch.save(tensor, tmp_path / "deduction.pt")
    read = import_(tmp_path / "deduction.pt", name)
    assert read.behaviours == ("deduction",) and read.layers == (1, 2, 3)
    assert torch.equal(read.vectors["deduction"], directions.vectors["deduction"])
