"""Hold activations: one vector for each labelled span and layer, with the span that it was read from.

A directory or file holds those of every read and site that one pass collected; one of each is chosen when it is opened.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..models.handle import whole_layer
from ..models.sites import BLOCK_OUTPUT, Site
from ..rundir import InputError, did_you_mean, expanded, listed, looked_at, reading
from ..traces import BEHAVIOURS
from .collection import Collection, choose_place
from .example import Example
from .layers import written_layers
from .read import Read
from .store import Part, ReadPart, StoredActivations
from .store.shard import Shard, check_finite, read_shard, write_shard
from .store.store import read_store


@dataclass(frozen=True, eq=False, kw_only=True)
class Activations:
    """Activations of labelled spans by one read at one site, float32, in the units of the residual stream.

    They are in memory, or on disk until they are asked for: `layer` returns one layer in either case, and `load` reads
    everything into memory.
    """

    values: Float[Tensor, "n_examples n_layers d_model"] | StoredActivations
    examples: tuple[Example, ...]
    layers: tuple[int, ...]  # 0-based blocks that were read, ascending
    read: Read
    model: dict[str, Any]  # LanguageModel.identity()
    overall_mean: Float[Tensor, "n_layers d_model"]  # mean over traces of the mean over the whole annotated stretch
    residual_norm: Float[Tensor, " n_layers"]  # mean over traces of the mean token norm in that stretch
    # The mean input embeddings if `values` is in memory; use the property `embeddings`.
    embedding_values: Float[Tensor, "n_examples d_embedding"] | None = None
    site: Site = BLOCK_OUTPUT  # where in each block
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
        """Mark the examples with one label.

        Args:
            behaviour: The label.

        Returns:
            True for each example with this label.

        Raises:
            InputError: No example has this label.
        """
        shows_behaviour = np.array([label == behaviour for label in self.labels])
        if not shows_behaviour.any():
            raise InputError(
                f"no example shows {behaviour!r:.60}; the labels here are {listed(self.behaviours, 10)}. Check the "
                f"spelling.{did_you_mean(behaviour, self.behaviours)}"
            )
        return shows_behaviour

    def layer(self, layer: int) -> Float[Tensor, "n_examples d_model"]:
        """Return all examples at one layer.

        Args:
            layer: The number of the block, not its place among the layers that were collected.

        Returns:
            One row for each example, float32.

        Raises:
            InputError: The layer was not collected, or a number is not finite.
        """
        if whole_layer(layer) not in self.layers:
            raise InputError(
                f"layer {layer} was not collected; these were: {', '.join(map(str, self.layers))}."
                f"{did_you_mean(layer, self.layers)}"
            )
        slot = self.layers.index(layer)
        rows = self.values.layer(slot) if isinstance(self.values, StoredActivations) else self.values[:, slot]
        check_finite(rows, self.examples, f"activations at layer {layer}")
        return rows

    @property
    def embeddings(self) -> Float[Tensor, "n_examples d_embedding"] | None:
        """The mean of the model's input embeddings over the tokens that each activation was averaged over, float32.

        It holds what the tokens alone say, before any block has run and without their positions. Read from disk if
        `values` is there. None where embeddings were not collected.
        """
        if isinstance(self.values, StoredActivations):
            return self.values.embeddings()
        return self.embedding_values

    def where(self, behaviour: str) -> Activations:
        """Select the examples of one behaviour.

        Args:
            behaviour: The label.

        Returns:
            The activations of these examples; nothing is read from disk yet.

        Raises:
            InputError: No example has this label.
        """
        return self.at_rows(np.flatnonzero(self.shows(behaviour)))

    def at_rows(self, rows: Int[np.ndarray, " n_rows"]) -> Activations:
        """Select examples by their numbers.

        Args:
            rows: Numbers of the examples, from 0.

        Returns:
            The activations of these examples; nothing is read from disk yet.
        """
        return replace(
            self,
            values=self.values.select(rows) if isinstance(self.values, StoredActivations) else self.values[rows],
            embedding_values=None if self.embedding_values is None else self.embedding_values[rows],
            examples=tuple(self.examples[row] for row in rows),
        )

    def load(self) -> Activations:
        """Read everything into memory, so that `values` is a tensor."""
        if not isinstance(self.values, StoredActivations):
            return self
        return replace(self, values=self.values.load(), embedding_values=self.embeddings)

    def save(self, path: str | Path) -> None:
        """Write everything to one safetensors file, atomically: a tensor READ/SITE/LAYER a layer, READ/embeddings.

        Args:
            path: The file to write.

        Raises:
            InputError: The file cannot be written.
        """
        n_traces = len({example.trace for example in self.examples})
        read_part = ReadPart(
            activations=torch.stack([self.layer(layer) for layer in self.layers])[None],
            embeddings=self.embeddings,
            examples=self.examples,
            stretch_sum=self.overall_mean.double()[None] * n_traces,
            norm_sum=self.residual_norm.double()[None] * n_traces,
            n_stretches=n_traces,
            n_skipped=self.n_skipped,
        )
        about = {
            "layers": list(self.layers),
            "reads": [str(self.read)],
            "sites": [str(self.site)],
            "model": self.model,
        }
        write_shard(expanded(path), Part(reads=(read_part,)), torch.float32, about)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        read: Read | str | None = None,
        site: Site | str | None = None,
        verify: bool = False,
    ) -> Activations:
        """Open what `save` or `collect(out=...)` wrote; it stays on disk until a layer is asked for.

        Args:
            path: The file of `save`, or the directory of `collect`.
            read: Which read, of those that were collected; None where there is only one.
            site: Which site, likewise.
            verify: Check the digest of every shard first, which reads all of them.

        Returns:
            The activations.

        Raises:
            InputError: `path` holds something else, another read or site, several and none is chosen, or a collection
                that is damaged or not finished.
        """
        return open_collection(path, verify=verify).at(read, site)

    def _repr_html_(self) -> str:
        """Show how many spans of how many problems each label has, and the residual stream's norm at each layer."""
        from ..figures.notebook import object_html

        rows = {
            label: [int(shows.sum()), len({self.problems[place] for place in np.flatnonzero(shows)})]
            for label in self.behaviours
            for shows in [self.shows(label)]
        }
        counts = pd.DataFrame.from_dict(rows, orient="index", columns=["spans", "problems"])
        norms = pd.DataFrame([self.residual_norm.tolist()], columns=list(self.layers), index=["mean norm"])
        return object_html(repr(self), {"Labels": counts, "Residual stream by layer": norms})

    @looked_at(".behaviours, .layer(number), .where(label), .examples[0]")
    def __repr__(self) -> str:
        counts = Counter(self.labels)
        place = "on disk" if isinstance(self.values, StoredActivations) else "in memory"
        return (
            f"Activations({len(self.examples)} spans of {len(set(self.problems))} problems, {place}: "
            f"{listed(f'{label} {counts[label]}' for label in self.behaviours)}; {self.model.get('name', 'a model')}, "
            f"layers {written_layers(self.layers)}, width {self.overall_mean.shape[-1]}, read {self.read}"
            f"{'' if self.site == BLOCK_OUTPUT else f', site {self.site}'})"
        )


ActivationsSource: TypeAlias = Activations | Collection[Activations] | str | Path


def open_activations(
    source: ActivationsSource, read: Read | str | None = None, site: Site | str | None = None
) -> Activations:
    """Take activations, choose them in a collection, or open those at a path.

    Args:
        source: Activations, a collection of them, or the directory or file that `collect` or `save` wrote.
        read: Which read, where `source` holds several.
        site: Which site, likewise.

    Returns:
        The activations.

    Raises:
        InputError: There are no activations at the path, they are of another read or site, several and none is chosen,
            or `source` is something else.
    """
    if isinstance(source, Activations):
        choose_place([source.read], [source.site], read, site, "these activations")
        return source
    if isinstance(source, str | Path):
        return Activations.open(source, read=read, site=site)
    if isinstance(source, Collection):
        return source.at(read, site)
    raise InputError(
        f"{source!r:.60} ({type(source).__name__}) holds no activations; give what `collect` returned or wrote. Of "
        "traces, collect them first: collect(model, traces); `probe` and `locate` do both"
    )


def open_collection(path: str | Path, *, verify: bool = False) -> Collection[Activations]:
    """Open the activations of every read and site that `collect(out=...)` wrote; they stay on disk.

    Args:
        path: The directory.
        verify: Check the digest of every shard first, which reads all of them.

    Returns:
        The activations of each.

    Raises:
        InputError: `path` holds something else, or a collection that is damaged or not finished.
    """
    path = expanded(path)
    shards = _shards_at(path, verify)
    with reading(path, "activations"):
        reads = tuple(map(Read.parse, shards[0].about["reads"]))
        sites = tuple(map(Site.parse, shards[0].about["sites"]))
        places = [(read, site) for read in reads for site in sites]
        members = {
            place: _of_shards(shards, *place)
            for place in places
            if any(shard.examples[str(place[0])] for shard in shards)
        }
    return Collection(members, reads, sites, str(path))


def _shards_at(path: Path, verify: bool) -> list[Shard]:
    return read_store(path, verify=verify)[1] if path.is_dir() else [read_shard(path)]


def _of_shards(shards: list[Shard], read: Read, site: Site) -> Activations:
    about, read_name, site_name = shards[0].about, str(read), str(site)
    layers = tuple(about["layers"])
    place = read_name, site_name
    n_stretches = sum(shard.n_stretches[read_name] for shard in shards)
    stretch_sum = _total([shard.stretch_sum[place] for shard in shards])
    return Activations(
        values=StoredActivations(tuple(shards), read_name, site_name, layers, stretch_sum.shape[-1]),
        examples=tuple(example for shard in shards for example in shard.examples[read_name]),
        layers=layers,
        read=read,
        site=site,
        model=about["model"],
        overall_mean=(stretch_sum / n_stretches).float(),
        residual_norm=(_total([shard.norm_sum[place] for shard in shards]) / n_stretches).float(),
        n_skipped=sum(shard.n_skipped[read_name] for shard in shards),
    )


def _total(sums: list[Tensor]) -> Tensor:
    return torch.stack(sums).sum(dim=0)
