"""Tell by their names which modules of a block are attention and which an MLP, and which part each weight belongs to.

attention             attention of the blocks, norms inside of it included
mlp                   their MLPs, and linear maps that stand in a block by themselves (OPT)
embeddings and norms  token and position embeddings, the unembedding, and all other norms
other                 what a block holds beside these: mixers of hybrid models, gates
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from torch import nn

from .handle import LanguageModel

_ATTENTION = re.compile(r"(attn|attention)$")
_NOT_ATTENTION = re.compile(r"linear_?att|cross_?att|encoder_attn|norm|^ln_|dropout")
_MLP = re.compile(r"mlp|moe|ffn|feed_?forward|experts")
_NORM = re.compile(r"norm|^ln_")

Part = Literal["attention", "mlp", "embeddings and norms", "other"]
PARTS: tuple[Part, ...] = ("attention", "mlp", "embeddings and norms", "other")


@dataclass(frozen=True, slots=True)
class WeightPlace:
    """Where in a model a weight stands."""

    part: Part
    layer: int | None  # 0-based block; None: outside of the blocks


def weight_places(model: LanguageModel) -> dict[str, WeightPlace]:
    """Find the part of the model that each parameter and buffer belongs to.

    Args:
        model: The model.

    Returns:
        Name of the tensor -> its place; tensors that are tied have one name.
    """
    blocks = {id(block): layer for layer, block in enumerate(model.blocks)}
    prefixes = {name: blocks[id(module)] for name, module in model.model.named_modules() if id(module) in blocks}
    names = [name for name, _ in chain(model.model.named_parameters(), model.model.named_buffers())]
    places = {}
    for name in names:
        prefix = next((prefix for prefix in prefixes if name.startswith(f"{prefix}.")), None)
        if prefix is None:
            places[name] = WeightPlace("embeddings and norms", None)
        else:
            layer = prefixes[prefix]
            path = name[len(prefix) + 1 :].rpartition(".")[0]
            places[name] = WeightPlace(_part(model.blocks[layer], path), layer)
    return places


def is_in_attention(block: nn.Module, path: str) -> bool:
    """Tell whether a module is attention, or inside of it, by what it and those around it are called.

    Args:
        block: The block that holds the module.
        path: Of the module within the block.
    """
    names = path.split(".")
    for depth, name in enumerate(names, start=1):
        kind = type(block.get_submodule(".".join(names[:depth]))).__name__
        if _NOT_ATTENTION.search(name.lower()) or _NOT_ATTENTION.search(kind.lower()):
            continue
        if _ATTENTION.search(name.lower()) or "attention" in kind.lower():
            return True
    return False


def is_in_mlp(block: nn.Module, path: str) -> bool:
    """Tell whether a module is an MLP, or inside of one, by what the block's own modules are called.

    Args:
        block: The block that holds the module.
        path: Of the module within the block.
    """
    top = path.split(".")[0]
    names = top.lower(), type(block.get_submodule(top)).__name__.lower()
    return any(_MLP.search(name) and "norm" not in name for name in names)


def _part(block: nn.Module, path: str) -> Part:
    if not path:
        return "other"  # a tensor of the block itself
    if is_in_attention(block, path):
        return "attention"
    if is_in_mlp(block, path):
        return "mlp"
    module = block.get_submodule(path)
    last = path.rpartition(".")[2].lower()
    if _NORM.search(last) or "norm" in type(module).__name__.lower():
        return "embeddings and norms"
    return "mlp" if isinstance(module, nn.Linear) and "." not in path else "other"
