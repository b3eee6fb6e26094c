"""What a probe sweep found: tidy tables, and the probes themselves."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from safetensors.torch import save_file

from ..models.atomic import atomic_path
from .concordance import Estimate

FORMAT = "reasonlens.probes/1"


@dataclass(frozen=True, eq=False, kw_only=True)
class BehaviourSweep:
    """One behaviour at every layer; lists have one entry a layer, intervals are 95% over resampled problems."""

    auroc: list[Estimate]
    auroc_unmarked: list[Estimate]  # on spans without a tell-tale word of the behaviour
    auroc_shuffled: list[Estimate]  # the control: mean, least and greatest over several shuffles of the labels
    auroc_text: Estimate  # of the span's words alone, without a model
    auroc_position: Estimate  # of the span's place and length in the response alone, without a model
    auroc_keyword: Estimate  # of holding a tell-tale word alone
    auroc_held_out_layer: Estimate  # at a layer chosen, for every fold, on the other folds
    effect_size: list[Estimate]  # Cohen's d along the mean difference, out of fold
    n_positive: int
    n_negative: int
    n_unmarked: int  # of the positive ones
    n_problems: int  # with at least one positive span

    @property
    def best(self) -> int:
        """The place, in the list of layers, of the highest AUROC."""
        return int(np.nanargmax([estimate.value for estimate in self.auroc]))


@dataclass(frozen=True, eq=False, kw_only=True)
class ProbeSweep:
    """Linear probes for several behaviours at several layers, and how well they generalise to unseen problems."""

    behaviours: dict[str, BehaviourSweep]
    layers: tuple[int, ...]
    n_folds: int
    n_bootstrap: int
    n_shuffles: int
    n_problems: int
    penalty: float
    seed: int
    model: dict[str, Any]
    read: str
    weights: Float[np.ndarray, "n_behaviours n_layers d_model"]  # fitted on all examples, for raw activations
    biases: Float[np.ndarray, "n_behaviours n_layers"]
    scores: Float[np.ndarray, "n_behaviours n_layers n_examples"]  # out of fold

    def best_layer(self, behaviour: str) -> int:
        """The layer of the highest cross-validated AUROC."""
        return self.layers[self.behaviours[behaviour].best]

    def to_frame(self) -> pd.DataFrame:
        """One row for each behaviour and layer."""
        return pd.DataFrame(
            [
                {"behaviour": name, "layer": layer} | row
                for name, found in self.to_dict().items()
                for layer, row in found["layers"].items()
            ]
        ).astype({"layer": int})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: behaviour -> best layer, counts, and the figures of every layer; null for NaN."""
        return {name: self._behaviour(name, found) for name, found in self.behaviours.items()}

    def _behaviour(self, name: str, found: BehaviourSweep) -> dict[str, Any]:
        counts = {"n_positive": found.n_positive, "n_problems": found.n_problems}
        return {
            "best_layer": self.best_layer(name),
            **_columns("auroc_held_out_layer", found.auroc_held_out_layer),
            **_columns("auroc_text", found.auroc_text),
            **_columns("auroc_position", found.auroc_position),
            **_columns("auroc_keyword", found.auroc_keyword),
            **counts,
            "n_negative": found.n_negative,
            "n_unmarked": found.n_unmarked,
            "layers": {
                str(layer): {
                    **_columns("auroc", found.auroc[slot]),
                    **_columns("auroc_unmarked", found.auroc_unmarked[slot]),
                    **_columns("auroc_shuffled", found.auroc_shuffled[slot]),
                    **_columns("effect_size", found.effect_size[slot]),
                    **counts,
                }
                for slot, layer in enumerate(self.layers)
            },
        }

    def save_probes(self, path: str | Path) -> None:
        """Write the probes as safetensors, atomically.

        `<behaviour>.weight` is (n_layers, d_model), `<behaviour>.bias` (n_layers): a raw activation x at `layers[i]`
        has the log odds x . weight[i] + bias[i].
        """
        tensors = {}
        for index, name in enumerate(self.behaviours):
            tensors[f"{name}.weight"] = torch.from_numpy(self.weights[index]).contiguous()
            tensors[f"{name}.bias"] = torch.from_numpy(self.biases[index]).contiguous()
        description = {
            "format": FORMAT,
            "layers": self.layers,
            "site": "blocks.{layer}.hook_out",
            "read": self.read,
            "model": self.model,
            "method": f"logistic regression, L2, C = {self.penalty}, standardisation folded in",
            "seed": self.seed,
            "scores": {
                name: {"auroc": [estimate.value for estimate in found.auroc], "n_positive": found.n_positive}
                for name, found in self.behaviours.items()
            },
        }
        with atomic_path(Path(path)) as temporary:
            save_file(tensors, temporary, metadata={"reasonlens": json.dumps(description)})


def _columns(name: str, estimate: Estimate) -> dict[str, float | None]:
    values = {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return {key: None if math.isnan(value) else value for key, value in values.items()}
