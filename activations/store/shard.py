"""Read and write one shard: the activations of one window of traces in one safetensors file.

READ/SITE/LAYER      the activations of one read (mean/hook_out/14), one contiguous tensor
READ/embeddings      the mean input embeddings of the same tokens, where they are known
READ/SITE/stretches  the sum, over traces with a span that is read, of the mean over the whole labelled stretch
READ/SITE/norms      the same of its mean token norm
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

from ...models.sites import BLOCK_OUTPUT
from ...rundir import InputError, atomic_path, brief, check_kinds, read_description, reading
from ..example import Example

FORMAT = "reasonlens.activations/5"
KINDS: dict[str, type] = {
    "layers": list,
    "reads": list,
    "sites": list,
    "examples": dict,
    "n_stretches": dict,
    "n_skipped": dict,
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
class ReadPart:
    """The activations of one read in one window of traces, in memory."""

    activations: Float[Tensor, "n_sites n_layers n_examples d_model"]
    embeddings: Float[Tensor, "n_examples d_embedding"] | None
    examples: tuple[Example, ...]
    # Sums over traces, float64, of the mean over the labelled stretch and of the mean token norm in it.
    stretch_sum: Float[Tensor, "n_sites n_layers d_model"]
    norm_sum: Float[Tensor, "n_sites n_layers"]
    n_stretches: int
    n_skipped: int

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class Part:
    """The activations of one window of traces, in memory."""

    reads: tuple[ReadPart, ...]

    __repr__ = brief

    @property
    def n_examples(self) -> int:
        """The number of examples of all reads together."""
        return sum(len(read.examples) for read in self.reads)


@dataclass(frozen=True, eq=False, kw_only=True)
class Shard:
    """A shard on disk; only its description has been read."""

    path: Path
    examples: dict[str, tuple[Example, ...]]  # by read
    n_skipped: dict[str, int]
    n_stretches: dict[str, int]
    stretch_sum: dict[tuple[str, str], Float[Tensor, "n_layers d_model"]]  # by read and site
    norm_sum: dict[tuple[str, str], Float[Tensor, " n_layers"]]
    about: dict[str, Any]  # layers, reads, sites, model

    LOOK = ".layer(read, site, number)"
    __repr__ = brief

    def layer(self, read: str, site: str, layer: int) -> Float[Tensor, "n_examples d_model"]:
        """Read one layer (the block's number), memory-mapped: no other part of the file is touched."""
        with reading(self.path, "activations"), safe_open(self.path, framework="pt") as file:
            activations: Tensor = file.get_tensor(f"{read}/{site}/{layer}")
        return activations

    def embeddings(self, read: str) -> Float[Tensor, "n_examples d_embedding"] | None:
        """Read the mean input embeddings, memory-mapped like a layer; None where the file holds none."""
        name = f"{read}/embeddings"
        with reading(self.path, "activations"), safe_open(self.path, framework="pt") as file:
            embeddings: Tensor | None = file.get_tensor(name) if name in file.keys() else None
        return embeddings


def write_shard(path: Path, part: Part, dtype: torch.dtype, about: dict[str, Any]) -> None:
    """Write `part` atomically; raise InputError when the disk is full or `dtype` cannot hold a number.

    Args:
        path: The file.
        part: What it holds.
        dtype: Of the activations in it.
        about: Layers, reads and sites in the order of the part's tensors, and the model.
    """
    tensors: dict[str, Tensor] = {}
    layers, reads, sites = about["layers"], about["reads"], about["sites"]
    for read, read_part in zip(reads, part.reads, strict=True):
        for site, of_layers in zip(sites, read_part.activations, strict=True):
            for layer, exact in zip(layers, of_layers, strict=True):
                stored = exact.to(dtype).contiguous()
                what = f"activations at layer {layer}{_other_site(site)}"
                check_finite(stored, read_part.examples, what, exact)
                tensors[f"{read}/{site}/{layer}"] = stored
        if read_part.embeddings is not None:
            stored = read_part.embeddings.to(dtype).contiguous()
            check_finite(stored, read_part.examples, "input embeddings", read_part.embeddings)
            tensors[f"{read}/embeddings"] = stored
        _add_sums(tensors, read, read_part, layers, sites)
    description = about | {
        "format": FORMAT,
        "examples": {
            read: [asdict(example) for example in read_part.examples]
            for read, read_part in zip(reads, part.reads, strict=True)
        },
        "n_stretches": {read: read_part.n_stretches for read, read_part in zip(reads, part.reads, strict=True)},
        "n_skipped": {read: read_part.n_skipped for read, read_part in zip(reads, part.reads, strict=True)},
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"reasonlens": json.dumps(description)})


def _add_sums(tensors: dict[str, Tensor], read: str, part: ReadPart, layers: list[int], sites: list[str]) -> None:
    """Add the sums over stretches; raise InputError if one is not finite."""
    for what, name, sums in (
        ("the mean activation", "stretches", part.stretch_sum),
        ("the mean residual norm", "norms", part.norm_sum),
    ):
        for site, of_site in zip(sites, sums, strict=True):
            is_bad = ~of_site.reshape(len(layers), -1).isfinite().all(dim=1)
            if is_bad.any():
                layer = layers[int(is_bad.nonzero()[0])]
                raise InputError(
                    f"{what} at layer {layer}{_other_site(site)} is not finite (NaN or infinity); leave that layer out"
                )
            tensors[f"{read}/{site}/{name}"] = of_site.contiguous()


def _other_site(site: str) -> str:
    return "" if site == str(BLOCK_OUTPUT) else f", {site},"


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
    reads, sites, layers = about["reads"], about["sites"], about["layers"]
    with reading(path, "activations"):
        rows, n_skipped, n_stretches = (about.pop(kind) for kind in ("examples", "n_skipped", "n_stretches"))
        examples = {read: tuple(_example(row, path) for row in rows[read]) for read in reads}
        for counts in (n_skipped, n_stretches):
            check_kinds(counts, dict.fromkeys(reads, int), f"{path}, counts")
        places = [(read, site) for read in reads for site in sites]
        with safe_open(path, framework="pt") as file:
            stretch_sum = {place: file.get_tensor("/".join((*place, "stretches"))).clone() for place in places}
            norm_sum = {place: file.get_tensor("/".join((*place, "norms"))).clone() for place in places}
            shapes = {
                (read, f"{read}/{site}/{layer}"): file.get_slice(f"{read}/{site}/{layer}").get_shape()
                for read, site in places
                for layer in layers
            }
        n_layers, d_model = len(layers), stretch_sum[places[0]].shape[1]
        for place in places:
            if stretch_sum[place].shape != (n_layers, d_model) or norm_sum[place].shape != (n_layers,):
                raise InputError(f"{path} is damaged: it has {n_layers} layers and sums of {len(stretch_sum[place])}")
        for (read, name), shape in shapes.items():
            if shape != [len(examples[read]), d_model]:
                raise InputError(f"{path} is damaged: {name} has the shape {shape} for {len(examples[read])} spans")
    return Shard(
        path=path,
        examples=examples,
        n_skipped=n_skipped,
        stretch_sum=stretch_sum,
        norm_sum=norm_sum,
        n_stretches=n_stretches,
        about=about,
    )


def _example(row: Any, path: Path) -> Example:
    return Example(**check_kinds(row, EXAMPLE_KINDS, f"{path}, a span"))
