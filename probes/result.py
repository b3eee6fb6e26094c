"""What a probe sweep found: tidy tables, and the probes themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from .metrics import Bin, Estimate, Worth
from .nested import Nested
from .saved import SavedProbes
from .solver import METHODS

WORTH = ("average_precision", "recall_at_1_percent", "accuracy", "brier")


@dataclass(frozen=True, eq=False, kw_only=True)
class BehaviourSweep:
    """One behaviour; lists have one entry a layer, intervals are 95% over resampled problems."""

    auroc: list[Estimate]  # the penalty of every fold chosen on the others
    auroc_band: list[Estimate]  # the same with a band that covers all layers at once
    p_value: list[float]  # by permutation, of ridge probes, corrected over layers
    worth: list[Worth]  # average precision and other figures
    nested: Nested  # layer and penalty of every fold chosen on the others: the number to report
    auroc_unmarked: list[Estimate]  # on spans without a tell-tale word of the behaviour
    auroc_shuffled: list[Estimate]  # the control: mean, least and greatest over several shuffles of the labels
    auroc_naive_split: list[Estimate]  # folds that cut through problems: what would have been claimed
    auroc_new_phrasing: list[Estimate]  # on spans of a phrasing that was left out of training
    phrasings: dict[str, tuple[int, list[Estimate]]]  # of each phrasing left out: spans, AUROC
    auroc_text: Estimate  # of the span's words alone, without a model
    auroc_position: Estimate  # of the span's place and length in the response alone, without a model
    auroc_keyword: Estimate  # of holding a tell-tale word alone
    auroc_embeddings: Estimate  # of the token embeddings of what is read; NaN where they were not collected
    effect_size: list[Estimate]  # Cohen's d along the mean difference, out of fold
    penalty: list[float]  # of the probes that are saved
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
    estimator: str
    penalties: tuple[float, ...]  # that were chosen among
    n_folds: int
    n_bootstrap: int
    n_shuffles: int
    n_permutations: int
    permuted: str  # how labels were permuted
    n_problems: int
    seed: int
    model: dict[str, Any]
    read: str
    control_tasks: dict[str, list[Estimate]]  # by layer: mean, least and greatest AUROC over the draws of the labels
    weights: Float[np.ndarray, "n_behaviours n_layers d_model"]  # fitted on all examples, for raw activations
    biases: Float[np.ndarray, "n_behaviours n_layers"]
    scores: Float[np.ndarray, "n_behaviours n_layers n_examples"]  # out of fold

    def best_layer(self, behaviour: str) -> int:
        """The layer of the highest cross-validated AUROC."""
        return self.layers[self.behaviours[behaviour].best]

    def selectivity(self, behaviour: str, task: str = "first word") -> list[float]:
        """AUROC of the behaviour minus that of a control task, by layer (Hewitt & Liang 2019)."""
        pairs = zip(self.behaviours[behaviour].auroc, self.control_tasks[task], strict=True)
        return [real.value - control.value for real, control in pairs]

    def control_task_columns(self) -> dict[str, dict[str, dict[str, float | None]]]:
        """Task -> layer -> mean, least and greatest AUROC, as plain values."""
        return {
            task: {str(layer): _columns("auroc", each) for layer, each in zip(self.layers, estimates, strict=True)}
            for task, estimates in self.control_tasks.items()
        }

    def to_frame(self) -> pd.DataFrame:
        """One row for each behaviour and layer."""
        return pd.DataFrame(
            [
                {"behaviour": name, "layer": layer} | row
                for name, found in self.to_dict().items()
                for layer, row in found["layers"].items()
            ]
        ).astype({"layer": int})

    def headline(self) -> pd.DataFrame:
        """One row for each behaviour: the numbers to report, layer and penalty chosen on inner folds."""
        rows = self.to_dict()
        left_out = ("layers", "nested_calibration", "phrasings")
        return pd.DataFrame(
            [{"behaviour": name} | {k: v for k, v in row.items() if k not in left_out} for name, row in rows.items()]
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: behaviour -> best layer, counts, and the figures of every layer; null for NaN."""
        return {name: self._behaviour(name, found) for name, found in self.behaviours.items()}

    def _behaviour(self, name: str, found: BehaviourSweep) -> dict[str, Any]:
        counts = {"n_positive": found.n_positive, "n_problems": found.n_problems}
        return {
            "best_layer": self.best_layer(name),
            **_columns("auroc_nested", found.nested.auroc),
            **{key: value for figure in WORTH for key, value in _worth(found.nested.worth, figure, "nested_").items()},
            "nested_layers": list(found.nested.layers),
            "nested_penalties": list(found.nested.penalties),
            "nested_calibration": [_bin(each) for each in found.nested.calibration],
            **_columns("auroc_text", found.auroc_text),
            **_columns("auroc_position", found.auroc_position),
            **_columns("auroc_embeddings", found.auroc_embeddings),
            **_columns("auroc_keyword", found.auroc_keyword),
            **counts,
            "n_negative": found.n_negative,
            "n_unmarked": found.n_unmarked,
            "phrasings": {
                phrasing: {"n": n, **_columns("auroc", layers[found.best])}
                for phrasing, (n, layers) in found.phrasings.items()
            },
            "layers": {str(layer): self._layer(name, slot) | counts for slot, layer in enumerate(self.layers)},
        }

    def _layer(self, name: str, slot: int) -> dict[str, Any]:
        found = self.behaviours[name]
        band = found.auroc_band[slot]
        return {
            **_columns("auroc", found.auroc[slot]),
            "auroc_band_low": _number(band.low),
            "auroc_band_high": _number(band.high),
            "p_value": found.p_value[slot],
            **{key: value for figure in WORTH for key, value in _worth(found.worth[slot], figure).items()},
            **_columns("auroc_unmarked", found.auroc_unmarked[slot]),
            **_columns("auroc_new_phrasing", found.auroc_new_phrasing[slot]),
            **_columns("auroc_shuffled", found.auroc_shuffled[slot]),
            **_columns("auroc_naive_split", found.auroc_naive_split[slot]),
            **{
                f"selectivity_{task.replace(' ', '_')}": _number(self.selectivity(name, task)[slot])
                for task in self.control_tasks
            },
            **_columns("effect_size", found.effect_size[slot]),
            "penalty": found.penalty[slot],
        }

    def probes(self) -> SavedProbes:
        """The probes fitted on all examples, to save or to score with."""
        return SavedProbes(
            weights={name: torch.from_numpy(self.weights[index]) for index, name in enumerate(self.behaviours)},
            biases={name: torch.from_numpy(self.biases[index]) for index, name in enumerate(self.behaviours)},
            layers=self.layers,
            read=self.read,
            model=self.model,
            method=f"{METHODS[self.estimator].words}, standardisation folded in",
            best_layers={name: self.best_layer(name) for name in self.behaviours},
            prevalence={
                name: found.n_positive / (found.n_positive + found.n_negative)
                for name, found in self.behaviours.items()
            },
            scores={
                name: {
                    "auroc": [estimate.value for estimate in found.auroc],
                    "auroc_nested": found.nested.auroc.value,
                    "penalty": found.penalty,
                    "n_positive": found.n_positive,
                }
                for name, found in self.behaviours.items()
            },
            seed=self.seed,
            are_log_odds=METHODS[self.estimator].gives_log_odds,
        )

    def save_probes(self, path: str | Path) -> None:
        """Write the probes as safetensors, atomically (see `SavedProbes`)."""
        self.probes().save(path)


def _worth(found: Worth, figure: str, prefix: str = "") -> dict[str, float | None]:
    return _columns(f"{prefix}{figure}", getattr(found, figure))


def _bin(each: Bin) -> dict[str, float | int | None]:
    return {"predicted": each.predicted, "n": each.n, **_columns("observed", each.observed)}


def _columns(name: str, estimate: Estimate) -> dict[str, float | None]:
    values = {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return {key: _number(value) for key, value in values.items()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
