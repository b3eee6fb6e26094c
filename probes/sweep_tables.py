"""Tabulate the figures of a probe sweep: heatmaps by layer, curves with controls, calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from ..figures import FigureTable
from ..figures.curves import ALL_SPANS, CHOSEN, SHUFFLED, STRONGEST, UNMARKED
from ..figures.heatmap import AUROC
from ..stats import Interval
from .behaviour_sweep import BehaviourSweep

COHENS_D = "Cohen's d"
BEST = "best layer (highest cross-validated AUROC)"
AUROC_TITLE = "Where each behaviour can be read: AUROC by layer"
EFFECT_TITLE = "How far apart it lies: effect size of the mean difference by layer"
EXCESS_TITLE = "What the model adds: AUROC above the strongest baseline"
CURVES_TITLE = "AUROC by layer, with its controls"
CALIBRATION_TITLE = "Do the probes' probabilities hold?"


def heatmap_table(frame: pd.DataFrame, column: str, caption: str, best: Mapping[str, int]) -> FigureTable:
    """Tabulate AUROC or effect size of every behaviour and layer.

    Args:
        frame: `ProbeSweep.to_frame()`.
        column: "auroc" or "effect_size".
        caption: Caption of every figure of the sweep.
        best: Best layer of each behaviour; it is ringed in both figures.

    Returns:
        The table of the figure.
    """
    rows = pd.DataFrame(
        {
            "behaviour": frame["behaviour"],
            "layer": frame["layer"],
            "value": frame[column].astype(float),
            "low": frame[f"{column}_low"].astype(float),
            "high": frame[f"{column}_high"].astype(float),
            "n": frame["n_positive"],
        }
    )
    is_auroc = column == "auroc"
    return FigureTable(
        figure="layer_heatmap",
        rows=rows.assign(is_best=rows["layer"] == rows["behaviour"].map(best)),
        options={
            "title": AUROC_TITLE if is_auroc else EFFECT_TITLE,
            "caption": f"{caption}; ringed: {BEST}",
            "measure": AUROC if is_auroc else COHENS_D,
        },
    )


def curves_table(
    behaviours: Mapping[str, BehaviourSweep], layers: Sequence[int], *, title: str, caption: str
) -> FigureTable:
    """Tabulate AUROC by layer with its control and its strongest baseline.

    All spans have a band that covers all layers at once, spans without tell-tale words pointwise intervals, shuffled
    labels their range. The strongest baseline without the model has no layer.

    Args:
        behaviours: Of the sweep.
        layers: Of the sweep.
        title: Title of the figure.
        caption: Caption of every figure of the sweep.

    Returns:
        The table of the figure.
    """
    rows = []
    for name, sweep in behaviours.items():
        shared = {"behaviour": name, "n": sweep.n_positive, "n_unmarked": sweep.n_unmarked}
        by_layer = {SHUFFLED: sweep.auroc_shuffled, UNMARKED: sweep.auroc_unmarked, ALL_SPANS: sweep.auroc_band}
        for series, estimates in by_layer.items():
            rows += [
                shared | {"series": series, "layer": float(layer)} | _ends(auroc)
                for layer, auroc in zip(layers, estimates, strict=True)
            ]
        levels = {CHOSEN: sweep.nested.auroc, STRONGEST: sweep.comparison.strongest}
        rows += [
            shared | {"series": series, "layer": math.nan} | _ends(auroc)
            for series, auroc in levels.items()
            if not math.isnan(auroc.value)
        ]
    return FigureTable(
        figure="layer_curves",
        rows=pd.DataFrame(rows),
        options={"title": title, "caption": f"{caption}; dotted grey: chance"},
    )


def excess_table(behaviours: Mapping[str, BehaviourSweep], title: str, caption: str) -> FigureTable:
    """Tabulate the excess of every behaviour: AUROC of its probe minus that of its strongest baseline.

    Args:
        behaviours: Of the sweep.
        title: Title of the figure.
        caption: Caption of every figure of the sweep.

    Returns:
        The table of the figure.
    """
    rows = [
        {
            "behaviour": name,
            **_ends(sweep.comparison.excess),
            "probe": sweep.nested.auroc.value,
            "baseline": sweep.comparison.strongest.value,
            "baseline_name": sweep.comparison.name,
            "standing": sweep.comparison.standing,
            "n": sweep.n_positive,
        }
        for name, sweep in behaviours.items()
    ]
    return FigureTable(figure="excess_bars", rows=pd.DataFrame(rows), options={"title": title, "caption": caption})


def calibration_table(behaviours: Mapping[str, BehaviourSweep], caption: str) -> FigureTable:
    """Tabulate predicted against observed share in bins of equal size, layer and penalty chosen on inner folds.

    A behaviour whose probes give no log odds has one row without a bin.
    """
    rows = []
    for name, sweep in behaviours.items():
        shared = {"behaviour": name, "brier": sweep.nested.metrics.brier.value}
        rows += [
            shared
            | {
                "predicted": part.predicted,
                **part.observed.columns("observed"),
                "n": part.n,
            }
            for part in sweep.nested.calibration
        ] or [shared | dict.fromkeys(("predicted", "observed", "observed_low", "observed_high"), math.nan) | {"n": 0}]
    return FigureTable(
        figure="calibration_curves",
        rows=pd.DataFrame(rows),
        options={"title": CALIBRATION_TITLE, "caption": f"{caption}; dotted: perfect"},
    )


def _ends(figure: Interval) -> dict[str, float]:
    return {"value": figure.value, "low": figure.low, "high": figure.high}
