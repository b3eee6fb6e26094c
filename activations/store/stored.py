"""Present the activations of shards on disk as one array that is read one layer at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...rundir import looked_at
from .shard import Shard


@dataclass(frozen=True, eq=False)
class StoredActivations:
    """Activations of one read at one site on disk, (n_examples, n_layers, d_model).

    `layer` reads one layer, `load` everything.
    """

    shards: tuple[Shard, ...]
    read: str
    site: str
    layers: tuple[int, ...]
    d_model: int
    rows: Int[np.ndarray, " n_examples"] | None = None  # the selected examples, ascending; None: all

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n_examples, n_layers, d_model)."""
        n_examples = (
            sum(len(shard.examples[self.read]) for shard in self.shards) if self.rows is None else len(self.rows)
        )
        return n_examples, len(self.layers), self.d_model

    def __len__(self) -> int:
        return self.shape[0]

    def layer(self, slot: int) -> Float[Tensor, "n_examples d_model"]:
        """Read one layer of all selected examples.

        Args:
            slot: The layer's place among those collected.

        Returns:
            One row for each example, float32.
        """
        return self._selected([shard.layer(self.read, self.site, self.layers[slot]) for shard in self.shards])

    def embeddings(self) -> Float[Tensor, "n_examples d_embedding"] | None:
        """Read the mean input embeddings of all selected examples, float32; None where a shard holds none."""
        shard_rows = [rows for shard in self.shards if (rows := shard.embeddings(self.read)) is not None]
        return self._selected(shard_rows) if len(shard_rows) == len(self.shards) else None

    def _selected(self, shard_rows: list[Float[Tensor, "n_here width"]]) -> Float[Tensor, "n_examples width"]:
        """Select the examples from the rows of each shard."""
        if self.rows is None:
            return torch.cat([rows.float() for rows in shard_rows]) if len(shard_rows) > 1 else shard_rows[0].float()
        starts = np.cumsum([0, *(len(rows) for rows in shard_rows)])
        cuts = np.searchsorted(self.rows, starts)
        parts = [
            rows[torch.from_numpy(self.rows[cuts[number] : cuts[number + 1]] - starts[number])].float()
            for number, rows in enumerate(shard_rows)
        ]
        return torch.cat(parts)

    def select(self, rows: Sequence[int] | Int[np.ndarray, " n"]) -> StoredActivations:
        """Select some examples; nothing is read yet.

        Args:
            rows: Their places among those selected so far, ascending.

        Returns:
            The selection.
        """
        chosen = np.asarray(rows)
        return replace(self, rows=chosen if self.rows is None else self.rows[chosen])

    def load(self) -> Float[Tensor, "n_examples n_layers d_model"]:
        """Read everything into memory."""
        activations = torch.empty(len(self.layers), len(self), self.d_model)
        for slot in range(len(self.layers)):
            activations[slot] = self.layer(slot)
        return activations.transpose(0, 1)

    @looked_at(".layer(place), .load()")
    def __repr__(self) -> str:
        n_examples, n_layers, d_model = self.shape
        return (
            f"StoredActivations({n_examples} spans, {n_layers} layers, width {d_model}, in {len(self.shards)} shards)"
        )
