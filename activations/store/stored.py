"""The activations of shards on disk as one array, of which one layer at a time is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from .shard import Shard


@dataclass(frozen=True, eq=False)
class StoredActs:
    """(n_examples, n_layers, d_model) activations on disk: `layer` reads one layer, `load` everything."""

    shards: tuple[Shard, ...]
    layers: tuple[int, ...]
    d_model: int
    rows: Int[np.ndarray, " n_examples"] | None = None  # of all examples, ascending; None: all of them

    @property
    def shape(self) -> tuple[int, int, int]:
        n_examples = sum(len(shard.examples) for shard in self.shards) if self.rows is None else len(self.rows)
        return n_examples, len(self.layers), self.d_model

    def __len__(self) -> int:
        return self.shape[0]

    def layer(self, slot: int) -> Float[Tensor, "n_examples d_model"]:
        """One layer of all examples, by its place among those collected; float32."""
        return self._chosen([shard.layer(self.layers[slot]) for shard in self.shards])

    def embeddings(self) -> Float[Tensor, "n_examples d_embedding"] | None:
        """The mean input embeddings of all examples, float32; no layer is read. None where a shard holds none."""
        held = [found for shard in self.shards if (found := shard.embeddings()) is not None]
        return self._chosen(held) if len(held) == len(self.shards) else None

    def _chosen(self, held: list[Float[Tensor, "n_here width"]]) -> Float[Tensor, "n_examples width"]:
        """What is wanted of the rows that each shard holds."""
        if self.rows is None:
            return torch.cat([each.float() for each in held]) if len(held) > 1 else held[0].float()
        starts = np.cumsum([0, *(len(each) for each in held)])
        cuts = np.searchsorted(self.rows, starts)
        parts = [
            each[torch.from_numpy(self.rows[cuts[number] : cuts[number + 1]] - starts[number])].float()
            for number, each in enumerate(held)
        ]
        return torch.cat(parts)

    def select(self, rows: Sequence[int] | Int[np.ndarray, " n"]) -> StoredActs:
        """These examples only (places among the present ones, ascending); nothing is read yet."""
        chosen = np.asarray(rows)
        return replace(self, rows=chosen if self.rows is None else self.rows[chosen])

    def load(self) -> Float[Tensor, "n_examples n_layers d_model"]:
        """Everything, in memory."""
        acts = torch.empty(len(self.layers), len(self), self.d_model)
        for slot in range(len(self.layers)):
            acts[slot] = self.layer(slot)
        return acts.transpose(0, 1)
