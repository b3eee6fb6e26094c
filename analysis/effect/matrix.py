"""Source model x target model: the directions of each steering the other.

A direction that was found in a base model and steers the thinking model, where the same push does nothing in the base
itself, says that the two differ in what they do with it and not in what they represent (Ward et al. 2025, arXiv
2507.12638). Doses are in units of the target's own residual norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ...models._load import ModelLike
from ...rundir import InputError
from ...vectors import Directions
from ...vectors.residual_norms import with_known_norms
from .curves import DoseCurves
from .dose import dose_curves
from .settings import EffectSettings
from .tables import matrix_table


@dataclass(frozen=True, eq=False, kw_only=True)
class SteeringMatrix:
    """Dose curves for every source and target."""

    cells: dict[tuple[str, str], DoseCurves]  # (source, target)

    def to_frame(self) -> pd.DataFrame:
        """Rows of directions, tokens and random directions (`DoseCurves.to_frame`) with `source` and `target`."""
        frames = [cell.to_frame().assign(source=source, target=target) for (source, target), cell in self.cells.items()]
        return pd.concat(frames, ignore_index=True)

    def effects(self) -> pd.DataFrame:
        """The effect of every direction on its own behaviour, with its p-value among the random directions."""
        frame = self.to_frame()
        own = frame[(frame["kind"] == "direction") & (frame["steered"] == frame["measured"])].copy()
        keys = own[["source", "target", "steered", "layer", "strength"]].to_numpy().tolist()
        own["p_value"] = [
            self.cells[source, target].p_value(behaviour, int(layer), strength)
            for source, target, behaviour, layer, strength in keys
        ]
        columns = ["source", "target", "steered", "layer", "strength", "rate", "effect", "effect_low", "effect_high"]
        return own[[*columns, "p_value", "kl_nats", "n_problems"]].reset_index(drop=True)

    def figure(self, behaviour: str, layer: int) -> go.Figure:
        """Effects as a matrix, a panel for each strength."""
        return matrix_table(self.effects(), behaviour, layer).draw()


def steering_matrix(
    models: Mapping[str, ModelLike],
    directions: Mapping[str, Directions],
    *,
    settings: EffectSettings | None = None,
    out: str | Path | None = None,
    **options: Any,
) -> SteeringMatrix:
    """Every source's directions in every model, with all controls of `dose_curves`, whose options it takes.

    models, directions: by name; each model that is steered needs directions of its own, for the norm of its residual
    stream (measured on neutral text where they do not say it). Raises InputError where one has none.
    """
    cells: dict[tuple[str, str], DoseCurves] = {}
    for target, model in models.items():
        if target not in directions:
            raise InputError(f"there are no directions of {target!r} itself, whose residual norm is the unit of a dose")
        own = with_known_norms(directions[target], model, directions[target].layers)
        norms = dict(zip(own.layers, own.residual_norm, strict=True))
        for source, found in directions.items():
            missing = [layer for layer in found.layers if layer not in norms]
            if missing:
                raise InputError(
                    f"the directions of {target!r} do not cover layer {missing[0]}, and those of {source!r} do"
                )
            scaled = replace(found, residual_norm=tuple(norms[layer] for layer in found.layers))
            kept = None if out is None else Path(out) / f"{len(cells)}"
            cells[source, target] = dose_curves(model, scaled, settings=settings, out=kept, force=True, **options)
    return SteeringMatrix(cells=cells)
