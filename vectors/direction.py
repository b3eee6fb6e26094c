"""Hold one behaviour's direction: a vector at each of some layers, with the norms that give a strength its unit.

`directions["backtracking"]` returns one; `Direction.of(tensor, layers=...)` makes one from vectors of any origin.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from ..activations.layers import layer_numbers, written_layers
from ..models import load
from ..models._load import ModelLike
from ..models.handle import whole_layer
from ..models.sites import BLOCK_OUTPUT, Site, at_site
from ..rundir import InputError, did_you_mean, looked_at
from .origin import check_origin
from .promoted import promoted_frame


@dataclass(frozen=True, eq=False, kw_only=True)
class Direction:
    """One behaviour's vector at each of `layers`, in the units of the residual stream."""

    behaviour: str
    vectors: Float[Tensor, "n_layers d_model"]
    layers: tuple[int, ...]  # 0-based blocks; row i applies at the site in block layers[i]
    residual_norm: tuple[float, ...]  # mean token norm at each layer, the unit of a strength; NaN: unknown
    model: dict[str, Any] = field(default_factory=dict)  # LanguageModel.identity() of its model; {}: unknown
    operation: str = "add"  # the operation that brings the behaviour about
    site: Site = BLOCK_OUTPUT  # where in each block

    def __post_init__(self) -> None:
        if not isinstance(self.vectors, Tensor) or self.vectors.is_complex() or self.vectors.is_meta:
            is_tensor = isinstance(self.vectors, Tensor)
            kind = f"{self.vectors.dtype} on {self.vectors.device}" if is_tensor else type(self.vectors).__name__
            raise InputError(
                f"the direction for {self.behaviour!r} is to be a tensor of real numbers, not {kind}; give "
                "torch.as_tensor(vector)"
            )
        if self.vectors.ndim != 2 or not len(self.vectors) == len(self.layers) == len(self.residual_norm):
            raise InputError(
                f"the direction for {self.behaviour!r} has vectors of shape {tuple(self.vectors.shape)} for "
                f"{len(self.layers)} layers and {len(self.residual_norm)} norms; give each layer one row (d_model) and "
                "one norm"
            )
        object.__setattr__(self, "layers", layer_numbers(self.layers))

    @classmethod
    def of(
        cls,
        vectors: Float[Tensor, "n_layers d_model"] | Float[Tensor, " d_model"],
        *,
        layers: Sequence[int] | int,
        behaviour: str = "direction",
        residual_norm: Sequence[float] | float = math.nan,
        site: Site | str = BLOCK_OUTPUT,
    ) -> Direction:
        """Make a direction from vectors of any origin.

        Args:
            vectors: One row for each layer, or a single vector, in the units of the residual stream.
            layers: The 0-based block in which each row applies.
            behaviour: What the direction stands for; used in messages and tables.
            residual_norm: The mean token norm of the residual stream at each layer, or one number for all of them.
                Without it only absolute strengths can be used.
            site: Where in each block the rows apply (see `models.sites`).

        Returns:
            The direction, of an unknown model.

        Raises:
            InputError: The numbers of rows, layers and norms differ, or there is no such site.
        """
        layers = layer_numbers(
            [layers] if isinstance(layers, int | str) or not isinstance(layers, Iterable) else layers
        )
        norms = (residual_norm,) * len(layers) if isinstance(residual_norm, int | float) else tuple(residual_norm)
        rows = vectors[None] if isinstance(vectors, Tensor) and vectors.ndim == 1 else vectors
        site = site if isinstance(site, Site) else Site.parse(site)
        return cls(behaviour=behaviour, vectors=rows, layers=layers, residual_norm=norms, site=site)

    @property
    def d_model(self) -> int:
        """The width of the residual stream."""
        return self.vectors.shape[1]

    def at(self, layer: int) -> Float[Tensor, " d_model"]:
        """Return the vector for one layer.

        Args:
            layer: The 0-based block in which the vector applies.

        Returns:
            The vector, in the units of the residual stream.

        Raises:
            InputError: The direction does not cover this layer.
        """
        return self.vectors[self._row(layer)]

    def at_every_layer(self, layer: int, n_layers: int) -> Direction:
        """Repeat one layer's vector at every block, as projecting a direction out everywhere needs it.

        Args:
            layer: The layer whose vector is repeated.
            n_layers: How many blocks the model has.

        Returns:
            A direction that covers layers 0 to `n_layers` - 1; norms stay those of their own layers where they are
            known, and are NaN elsewhere.

        Raises:
            InputError: The direction does not cover this layer.
        """
        norms = tuple(self.norm_at(block) if block in self.layers else math.nan for block in range(n_layers))
        vectors = self.at(layer).expand(n_layers, -1)
        return replace(self, vectors=vectors, layers=tuple(range(n_layers)), residual_norm=norms)

    def norm_at(self, layer: int) -> float:
        """Return the mean token norm at one layer: of the residual stream, or of what is at another site.

        Args:
            layer: The 0-based block in which the norm was measured.

        Returns:
            The norm; NaN where it is not known.

        Raises:
            InputError: The direction does not cover this layer.
        """
        return self.residual_norm[self._row(layer)]

    def unit(self, layer: int) -> Float[Tensor, " d_model"]:
        """Return the vector for one layer, scaled to norm 1.

        Args:
            layer: The 0-based block in which the vector applies.

        Returns:
            The unit vector, float32.

        Raises:
            InputError: The direction does not cover this layer, or its vector there is zero or not finite.
        """
        vector = self.at(layer).float()
        norm = vector.norm()
        if not torch.isfinite(norm) or norm == 0:
            problem = "is zero" if norm == 0 else "holds NaN or infinity"
            raise InputError(
                f"the direction for {self.behaviour!r} at layer {layer} {problem}; take another layer or find it again"
            )
        unit: Tensor = vector / norm
        return unit

    def top_tokens(
        self,
        model: ModelLike,
        *,
        layers: Sequence[int] | None = None,
        n: int = 10,
        n_random: int = 100,
        seed: int = 0,
        force: bool = False,
    ) -> pd.DataFrame:
        """Tabulate the tokens that the vector of each layer promotes, and lowers, through the model's unembedding.

        A vector of an early layer is read as if it stayed as it is up to the last one: what later blocks make of it is
        not in these scores.

        Args:
            model: The model that the direction is of.
            layers: 0-based blocks; None: all that the direction covers.
            n: Tokens each way.
            n_random: Random vectors of the control.
            seed: Of these vectors.
            force: Take a model of other weights, and of the same width and depth, all the same.

        Returns:
            `behaviour`, `layer`, `way` (raised, lowered), `rank`, `token`, `score`, `random_95`: of random vectors 95%
            have no token of a higher score, either way. Scores are logits less their mean over the vocabulary.

        Raises:
            InputError: The direction is of another model or of zeros, or does not cover a layer.
        """
        handle = load(model)
        check_origin(f"the direction for {self.behaviour!r}", self.d_model, self.layers, self.model, handle, force)
        chosen = self.layers if layers is None else layer_numbers(layers)
        vectors = {(self.behaviour, layer): self.unit(layer) for layer in chosen}
        return promoted_frame(handle, vectors, n=n, n_random=n_random, seed=seed)

    def _row(self, layer: int) -> int:
        if whole_layer(layer) not in self.layers:
            raise InputError(
                f"no direction for {self.behaviour!r} at layer {layer}; these are covered: "
                f"{', '.join(map(str, self.layers))}.{did_you_mean(layer, self.layers)}"
            )
        return self.layers.index(layer)

    def _repr_html_(self) -> str:
        """Show the vector's norm at each layer, beside that of the residual stream."""
        from ..figures.notebook import object_html

        rows = {
            "norm": self.vectors.detach().double().norm(dim=-1).tolist(),
            "mean residual norm": list(self.residual_norm),
        }
        table = pd.DataFrame.from_dict(rows, orient="index", columns=list(self.layers))
        return object_html(repr(self), {"By layer": table})

    @looked_at(".at(layer), .unit(layer), .norm_at(layer)")
    def __repr__(self) -> str:
        return (
            f"Direction({self.behaviour!r:.80}; {self.model.get('name', 'a model')}, layers "
            f"{written_layers(self.layers)}{at_site(self.site)}, width {self.d_model}, to {self.operation})"
        )
