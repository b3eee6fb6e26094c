"""Hold what a sweep measured of one behaviour, at every layer and over all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..rundir import brief
from ..stats import Interval, without_nan
from .best_layer import best_slot
from .comparison import Comparison
from .metrics import Bin, SecondaryMetrics
from .nested import Nested

METRICS = ("average_precision", "recall_at_1_percent", "accuracy", "brier")
CONTROLS = ("auroc_unmarked", "auroc_new_phrasing", "auroc_shuffled", "auroc_naive_split")
COUNTS = ("n_positive", "n_problems", "n_negative", "n_unmarked")


@dataclass(frozen=True, eq=False, kw_only=True)
class BehaviourSweep:
    """The figures of one behaviour; lists have one entry for each layer.

    Intervals are 95% and for what such probes reach on average on fresh problems (`metrics/expected.py`); that of the
    naive split, which claims more than it knows, is a plain bootstrap.
    """

    auroc: list[Interval]  # the penalty of every fold chosen on the other folds
    auroc_band: list[Interval]  # the same with a band that covers all layers at once
    p_value: list[float]  # by permutation, of ridge probes, corrected over layers
    metrics: list[SecondaryMetrics]  # average precision, recall, accuracy, Brier score
    nested: Nested  # layer and penalty of every fold chosen on the other folds: the number to report
    auroc_unmarked: list[Interval]  # on spans without a tell-tale word of the behaviour
    auroc_shuffled: list[Interval]  # the control: mean, least and greatest over several shuffles of the labels
    auroc_naive_split: list[Interval]  # with folds that ignore problems: what would have been claimed
    auroc_new_phrasing: list[Interval]  # on spans of a phrasing that was left out of training
    phrasings: dict[str, tuple[int, list[Interval]]]  # phrasing left out -> number of spans, AUROC
    auroc_keyword: Interval  # from whether the span holds a tell-tale word; NaN for a read before it, or no such words
    comparison: Comparison  # with what could be known without the model
    effect_size: list[Interval]  # Cohen's d along the mean difference, out of fold
    penalty: list[float]  # of the probes that are saved
    n_positive: int
    n_negative: int
    n_unmarked: int  # positive spans without a tell-tale word
    n_problems: int  # with at least one positive span

    LOOK = ".auroc, .nested, .to_dict(layers, {})"
    __repr__ = brief

    @property
    def best(self) -> int:
        """The index of the best layer: that of the highest cross-validated AUROC (`best_layer.py`)."""
        return best_slot(np.array([[estimate.value for estimate in self.auroc]]))

    def to_dict(self, layers: Sequence[int], selectivity: Mapping[str, Sequence[float]]) -> dict[str, Any]:
        """Convert to plain values for JSON, with the figures of each layer under `layers`; None for NaN.

        Args:
            layers: The layers of the sweep, in the order of the lists.
            selectivity: Control task -> AUROC minus that of the task, by layer.

        Returns:
            A dictionary that JSON can hold.
        """
        nested = self.nested
        return {
            "best_layer": layers[self.best],
            **nested.auroc.json_columns("auroc_nested"),
            **_metric_columns("nested_", nested.metrics),
            "nested_layers": list(nested.layers),
            "nested_penalties": list(nested.penalties),
            "nested_calibration": [
                {"predicted": part.predicted, "n": part.n, **part.observed.json_columns("observed")}
                for part in nested.calibration
            ],
            **self.auroc_keyword.json_columns("auroc_keyword"),
            **self.comparison.to_dict(),
            **{name: getattr(self, name) for name in COUNTS},
            "phrasings": {
                phrasing: {
                    "n": n,
                    **by_layer[self.best].json_columns("auroc"),
                    "layers": {
                        str(layer): auroc.json_columns("auroc") for layer, auroc in zip(layers, by_layer, strict=True)
                    },
                }
                for phrasing, (n, by_layer) in self.phrasings.items()
            },
            "layers": {
                str(layer): self._layer(slot, {task: values[slot] for task, values in selectivity.items()})
                for slot, layer in enumerate(layers)
            },
        }

    def _layer(self, slot: int, selectivity: Mapping[str, float]) -> dict[str, Any]:
        band = self.auroc_band[slot]
        return {
            **self.auroc[slot].json_columns("auroc"),
            **self.comparison.excess_by_layer[slot].json_columns("excess"),
            "auroc_band_low": without_nan(band.low),
            "auroc_band_high": without_nan(band.high),
            "p_value": self.p_value[slot],
            **_metric_columns("", self.metrics[slot]),
            **{key: value for name in CONTROLS for key, value in getattr(self, name)[slot].json_columns(name).items()},
            **{f"selectivity_{task.replace(' ', '_')}": without_nan(value) for task, value in selectivity.items()},
            **self.effect_size[slot].json_columns("effect_size"),
            "penalty": self.penalty[slot],
            "n_positive": self.n_positive,
            "n_problems": self.n_problems,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> BehaviourSweep:
        """Restore a sweep from what `to_dict` returned.

        Args:
            content: The dictionary.

        Returns:
            The figures, with layers in the order of the dictionary.
        """
        rows = list(content["layers"].values())
        bands = [
            {"auroc": row["auroc"], "auroc_low": row["auroc_band_low"], "auroc_high": row["auroc_band_high"]}
            for row in rows
        ]
        by_layer: dict[str, Any] = {
            name: [Interval.from_columns(row, name) for row in rows] for name in ("auroc", *CONTROLS, "effect_size")
        }
        return cls(
            **by_layer,
            auroc_keyword=Interval.from_columns(content, "auroc_keyword"),
            comparison=Comparison.from_dict(content, rows),
            auroc_band=[Interval.from_columns(row, "auroc") for row in bands],
            p_value=[row["p_value"] for row in rows],
            metrics=[_metrics_of("", row) for row in rows],
            nested=Nested(
                auroc=Interval.from_columns(content, "auroc_nested"),
                metrics=_metrics_of("nested_", content),
                calibration=tuple(
                    Bin(row["predicted"], Interval.from_columns(row, "observed"), row["n"])
                    for row in content["nested_calibration"]
                ),
                layers=tuple(content["nested_layers"]),
                penalties=tuple(content["nested_penalties"]),
            ),
            phrasings={
                phrasing: (entry["n"], [Interval.from_columns(row, "auroc") for row in entry["layers"].values()])
                for phrasing, entry in content["phrasings"].items()
            },
            penalty=[row["penalty"] for row in rows],
            **{name: content[name] for name in COUNTS},
        )


def _metric_columns(prefix: str, metrics: SecondaryMetrics) -> dict[str, float | None]:
    return {
        key: value for name in METRICS for key, value in getattr(metrics, name).json_columns(f"{prefix}{name}").items()
    }


def _metrics_of(prefix: str, row: Mapping[str, Any]) -> SecondaryMetrics:
    return SecondaryMetrics(**{name: Interval.from_columns(row, f"{prefix}{name}") for name in METRICS})
