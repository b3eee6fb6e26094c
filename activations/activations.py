"""Activations: one vector for each labelled span and layer, with where each came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..rundir import InputError, expanded
from ..traces import BEHAVIOURS
from .example import Example
from .read import Read
from .store import Part, StoredActs
from .store.shard import Shard, read_shard, write_shard
from .store.store import read_store


@dataclass(frozen=True, eq=False, kw_only=True)
class Activations:
    """Residual-stream activations of labelled spans, float32, in the units of the residual stream.

    In memory, or on disk until asked for: `layer` gives one layer of either, `load` brings everything into memory.
    """

    acts: Float[Tensor, "n_examples n_layers d_model"] | StoredActs
    examples: tuple[Example, ...]
    layers: tuple[int, ...]  # 0-based blocks whose output was read, ascending
    read: Read
    model: dict[str, Any]  # LanguageModel.identity()
    overall_mean: Float[Tensor, "n_layers d_model"]  # mean over traces of the mean over the whole annotated stretch
    residual_norm: Float[Tensor, " n_layers"]  # mean over traces of the mean token norm in that stretch
    embedded: Float[Tensor, "n_examples d_embedding"] | None = None  # beside `acts` in memory; read as `embeddings`
    n_skipped: int = 0  # spans without a readable token (at a sink, in markup, truncated away, or too short)

    @property
    def labels(self) -> tuple[str, ...]:
        """The label of each example."""
        return tuple(example.label for example in self.examples)

    @property
    def problems(self) -> tuple[str, ...]:
        """The group of each example, which no train/test split may cut."""
        return tuple(example.problem for example in self.examples)

    @property
    def behaviours(self) -> tuple[str, ...]:
        """The labels that occur: those of the usual eight behaviours in their order, then others by name."""
        present = set(self.labels)
        return (*(name for name in BEHAVIOURS if name in present), *sorted(present - set(BEHAVIOURS)))

    def shows(self, behaviour: str) -> Bool[np.ndarray, " n_examples"]:
        """Which examples carry `behaviour` as their label. Raises InputError when none does."""
        found = np.array([label == behaviour for label in self.labels])
        if not found.any():
            raise InputError(
                f"no example shows {behaviour!r}; the labels here are {', '.join(self.behaviours)}. Check the spelling."
            )
        return found

    def layer(self, layer: int) -> Float[Tensor, "n_examples d_model"]:
        """All examples at one layer (the block's own number, not its place among those collected)."""
        if layer not in self.layers:
            raise InputError(f"layer {layer} was not collected; these were: {', '.join(map(str, self.layers))}")
        slot = self.layers.index(layer)
        return self.acts.layer(slot) if isinstance(self.acts, StoredActs) else self.acts[:, slot]

    @property
    def embeddings(self) -> Float[Tensor, "n_examples d_embedding"] | None:
        """The mean of the model's input embeddings over the very tokens that each activation was averaged over.

        Float32; what the tokens alone tell, before any block has run and without their positions. Read from disk (no
        layer is) where `acts` stands there. None where they were not collected.
        """
        return self.acts.embeddings() if isinstance(self.acts, StoredActs) else self.embedded

    def where(self, behaviour: str) -> Activations:
        """The examples of one behaviour only."""
        kept = np.flatnonzero(self.shows(behaviour))
        acts = self.acts.select(kept) if isinstance(self.acts, StoredActs) else self.acts[kept]
        embedded = None if self.embedded is None else self.embedded[kept]
        return replace(self, acts=acts, embedded=embedded, examples=tuple(self.examples[index] for index in kept))

    def load(self) -> Activations:
        """The same in memory: `acts` is then a tensor."""
        if not isinstance(self.acts, StoredActs):
            return self
        return replace(self, acts=self.acts.load(), embedded=self.embeddings)

    def save(self, path: str | Path) -> None:
        """Write everything to one safetensors file, atomically: a tensor `layer.L` for each layer, and `embeddings`."""
        n_traces = len({example.trace for example in self.examples})
        part = Part(
            acts=torch.stack([self.layer(layer) for layer in self.layers]),
            embeddings=self.embeddings,
            examples=self.examples,
            stretch_sum=self.overall_mean.double() * n_traces,
            norm_sum=self.residual_norm.double() * n_traces,
            n_stretches=n_traces,
            n_skipped=self.n_skipped,
        )
        about = {"read": str(self.read), "model": self.model}
        write_shard(expanded(path), part, self.layers, torch.float32, about)

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = False) -> Activations:
        """What `save` wrote to a file or `collect(out=...)` to a directory, left on disk until a layer is asked for.

        verify: check the digest of every shard first, which reads all of them. Raises InputError when `path` holds
        something else, or a collection that is damaged or not finished.
        """
        path = expanded(path)
        if path.is_dir():
            _, shards = read_store(path, verify=verify)
        else:
            shards = [read_shard(path)]
        return cls._of_shards(shards)

    @classmethod
    def _of_shards(cls, shards: list[Shard]) -> Activations:
        about = shards[0].about
        layers = tuple(about["layers"])
        n_stretches = sum(shard.n_stretches for shard in shards)
        return cls(
            acts=StoredActs(tuple(shards), layers, shards[0].stretch_sum.shape[-1]),
            examples=tuple(example for shard in shards for example in shard.examples),
            layers=layers,
            read=Read.parse(about["read"]),
            model=about["model"],
            overall_mean=(_total([shard.stretch_sum for shard in shards]) / n_stretches).float(),
            residual_norm=(_total([shard.norm_sum for shard in shards]) / n_stretches).float(),
            n_skipped=sum(shard.n_skipped for shard in shards),
        )


def _total(sums: list[Tensor]) -> Tensor:
    return torch.stack(sums).sum(dim=0)
