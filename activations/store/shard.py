"""Read and write one shard: the activations of one window of traces in one safetensors file.

It holds one contiguous tensor for each layer and, where they are known, the mean input embeddings of the same tokens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...rundir import InputError, atomic_path, brief, check_kinds, read_description, reading
from ..example import Example

FORMAT = "reasonlens.activations/4"
KINDS: dict[str, type] = {
    "layers": list,
    "examples": list,
    "n_stretches": int,
    "n_skipped": int,
    "read": str,
    "model": dict,
}
EXAMPLE_KINDS: dict[str, type] = {
    "trace": str,
    "problem": str,
    "label": str,
    "start": int,
    "end": int,
    "text": str,
    "before": str,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Part:
    """The activations of one window of traces, in memory."""

    activations: Float[Tensor, "n_layers n_examples d_model"]
    embeddings: Float[Tensor, "n_examples d_embedding"] | None
    examples: tuple[Example, ...]
    stretch_sum: Float[Tensor, "n_layers d_model"]  # float64, over traces, of the mean over the labelled stretch
    norm_sum: Float[Tensor, " n_layers"]  # float64, over traces, of the mean token norm in that stretch
    n_stretches: int
    n_skipped: int

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class Shard:
    """A shard on disk; only its description has been read."""

    path: Path
    examples: tuple[Example, ...]
    stretch_sum: Float[Tensor, "n_layers d_model"]
    norm_sum: Float[Tensor, " n_layers"]
    n_stretches: int
    n_skipped: int
    about: dict[str, Any]  # layers, read, model

    LOOK = ".layer(number)"
    __repr__ = brief

    def layer(self, layer: int) -> Float[Tensor, "n_examples d_model"]:
        """Read one layer (the block's number), memory-mapped: no other part of the file is touched."""
        with reading(self.path, "activations"), safe_open(self.path, framework="pt") as file:
            activations: Tensor = file.get_tensor(f"layer.{layer}")
        return activations

    def embeddings(self) -> Float[Tensor, "n_examples d_embedding"] | None:
        """Read the mean input embeddings, memory-mapped like a layer; None where the file holds none."""
        with reading(self.path, "activations"), safe_open(self.path, framework="pt") as file:
            embeddings: Tensor | None = file.get_tensor("embeddings") if "embeddings" in file.keys() else None
        return embeddings


def write_shard(path: Path, part: Part, layers: tuple[int, ...], dtype: torch.dtype, about: dict[str, Any]) -> None:
    """Write `part` atomically; raise InputError when the disk is full or `dtype` cannot hold a number."""
    tensors = {}
    for slot, layer in enumerate(layers):
        tensors[f"layer.{layer}"] = part.activations[slot].to(dtype).contiguous()
        check_finite(tensors[f"layer.{layer}"], part.examples, f"activations at layer {layer}", part.activations[slot])
    if part.embeddings is not None:
        tensors["embeddings"] = part.embeddings.to(dtype).contiguous()
        check_finite(tensors["embeddings"], part.examples, "input embeddings", part.embeddings)
    for name, sums in (("the mean activation", part.stretch_sum), ("the mean residual norm", part.norm_sum)):
        if not sums.isfinite().all():
            layer = layers[int((~sums.reshape(len(layers), -1).isfinite().all(dim=1)).nonzero()[0])]
            raise InputError(f"{name} at layer {layer} is not finite (NaN or infinity); leave that layer out")
    tensors |= {"stretch_sum": part.stretch_sum, "norm_sum": part.norm_sum}
    description = about | {
        "format": FORMAT,
        "layers": list(layers),
        "examples": [asdict(example) for example in part.examples],
        "n_stretches": part.n_stretches,
        "n_skipped": part.n_skipped,
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"reasonlens": json.dumps(description)})


def check_finite(
    stored: Float[Tensor, "n_examples width"],
    examples: Sequence[Example],
    what: str,
    exact: Float[Tensor, "n_examples width"] | None = None,
) -> None:
    """Refuse activations that are not finite, naming layer, trace, problem and span.

    Args:
        stored: The numbers as they are stored.
        examples: The span of each row.
        what: What they are, with the layer, for the message.
        exact: The same before they were cast to the dtype in which they are stored; None if they were not.

    Raises:
        InputError: A number is NaN or infinite.
    """
    if stored.sum(dtype=torch.float32).isfinite():  # one pass without a mask; a sum may overflow, so it only acquits
        return
    is_bad = ~stored.isfinite().all(dim=1)
    if not is_bad.any():
        return
    row = int(is_bad.nonzero()[0])
    example, dtype = examples[row], str(stored.dtype).removeprefix("torch.")
    where = f"trace {example.trace!r:.80} (problem {example.problem!r:.80}), the span {example.text!r:.60}"
    if exact is not None and exact[row].isfinite().all():
        largest = float(exact[row].abs().max())
        raise InputError(
            f"{what} reach {largest:.4g} in {where}: too large for {dtype}, which ends at "
            f"{torch.finfo(stored.dtype).max:.6g}. Store bfloat16 or float32 (--store-dtype, dtype=)."
        )
    raise InputError(
        f"{what} are not finite (NaN or infinity) in {where}. Collect again with the model in bfloat16 or "
        "float32 (--dtype), or leave the trace or the layer out."
    )


def read_shard(path: Path) -> Shard:
    """Read the description of a shard; raise InputError if the file is something else or damaged."""
    about = read_description(path, "activations", (FORMAT,), "give what `reasonlens collect --out` wrote")
    check_kinds(about, KINDS, path)
    with reading(path, "activations"):
        examples = tuple(_example(example, path) for example in about.pop("examples"))
        with safe_open(path, framework="pt") as file:
            stretch_sum, norm_sum = file.get_tensor("stretch_sum").clone(), file.get_tensor("norm_sum").clone()
            n_layers, d_model = stretch_sum.shape
            shapes = {f"layer.{layer}": file.get_slice(f"layer.{layer}").get_shape() for layer in about["layers"]}
        if len(about["layers"]) != n_layers or norm_sum.shape != (n_layers,):
            raise InputError(f"{path} is damaged: it has {len(about['layers'])} layers and sums of {n_layers}")
        for name, shape in shapes.items():
            if shape != [len(examples), d_model]:
                raise InputError(f"{path} is damaged: {name} has the shape {shape} for {len(examples)} spans")
    return Shard(
        path=path,
        examples=examples,
        stretch_sum=stretch_sum,
        norm_sum=norm_sum,
        n_stretches=about.pop("n_stretches"),
        n_skipped=about.pop("n_skipped"),
        about=about,
    )


def _example(row: Any, path: Path) -> Example:
    return Example(**check_kinds(row, EXAMPLE_KINDS, f"{path}, a span"))
