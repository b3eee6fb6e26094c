"""Name a model with vectors: MODEL+FILE, the name of a model and a file of vectors.

    smollm2-135m+runs/vectors/vectors.safetensors        organism/base-timing+vectors.safetensors

The file is one that reasonlens writes for directions, with one behaviour (the rows belong to the blocks that it lists),
or any safetensors file with one tensor of one row a block. Vectors act at the outputs of blocks, as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor

from ..rundir import InputError, expanded, is_there, listed, parse_json, reading
from .sites import BLOCK_OUTPUT


def split_name(name: str | Path) -> tuple[str, Path] | None:
    """Split the name of a model with vectors.

    Args:
        name: What names a model.

    Returns:
        The name of the model without vectors, which may have others, and the file; None for a name without a file of
        vectors.

    Raises:
        InputError: Behind a `+` there is no file, and no file or directory has the name as it stands.
    """
    text = str(name)
    if "+" not in text or is_there(expanded(text)):
        return None
    places = [place for place, letter in enumerate(text) if letter == "+"]
    for place in reversed(places):
        file = expanded(text[place + 1 :]) if text[place + 1 :] else Path()
        if text[:place] and file.is_file():
            return text[:place], file
    model, _, file_name = text.partition("+")
    raise InputError(
        f"there is no file of vectors {file_name!r} for {model!r} (MODEL+FILE), and no model is called {text!r}: give "
        "the vectors.safetensors that `reasonlens train-vectors` wrote"
    )


def read_vectors(file: Path, n_layers: int, d_model: int) -> Float[Tensor, "n_layers d_model"]:
    """Read the vectors of a file for a model of some shape.

    Args:
        file: A safetensors file.
        n_layers: Blocks of the model.
        d_model: Its width.

    Returns:
        One row a block, float32; zeros at blocks that the file does not list.

    Raises:
        InputError: The file cannot be read, holds several behaviours or directions of another site, or fits another
            model.
    """
    with reading(file, "vectors"):
        with safe_open(file, framework="pt") as content:
            description = parse_json((content.metadata() or {}).get("reasonlens", "{}"), file)
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # a safetensors handle is no dict
        return _checked(file, tensors, description, n_layers, d_model)


def _checked(
    file: Path, tensors: dict[str, Tensor], description: dict[str, Any], n_layers: int, d_model: int
) -> Float[Tensor, "n_layers d_model"]:
    if len(tensors) != 1:
        raise InputError(
            f"{file} holds {len(tensors)} tensors ({listed(tensors, 5)}), and a model takes the vectors of one: write "
            "one behaviour to a file of its own"
        )
    (rows,) = tensors.values()
    operation, site = description.get("operation", "add"), description.get("site", str(BLOCK_OUTPUT))
    if site != str(BLOCK_OUTPUT) or operation != "add":
        raise InputError(
            f"{file} holds directions to {operation} at {site}, and a model's vectors are added at {BLOCK_OUTPUT}: "
            "steer with them instead (reasonlens.steer)"
        )
    layers = description.get("layers", list(range(n_layers)))
    n_stated = description.get("model", {}).get("n_layers", n_layers)
    if rows.ndim != 2 or not rows.is_floating_point() or rows.shape[1] != d_model or len(rows) != len(layers):
        raise InputError(
            f"{file} holds {rows.dtype} of shape {tuple(rows.shape)}, rows for {len(layers)} blocks, and the model has "
            f"{n_layers} blocks of width {d_model}: give vectors that were made for a model of this shape"
        )
    if n_stated != n_layers or not set(layers) <= set(range(n_layers)):
        raise InputError(
            f"{file} holds vectors for a model of {n_stated} blocks, for blocks {listed(map(str, layers), 5)}, and "
            f"this one has {n_layers}: blocks of two depths do not correspond"
        )
    vectors = torch.zeros(n_layers, d_model)
    vectors[list(layers)] = rows.float()
    return vectors
