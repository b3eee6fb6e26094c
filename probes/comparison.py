"""Compare a behaviour's probe with what could be known without the model; the excess is the number to report.

The strongest baseline is the one with the highest AUROC on the same spans: chosen with hindsight, which can flatter the
baseline only. (Chosen on the other folds, as the probe's layer is, it was at times weaker than four of five.)

    excess = AUROC of the probe - AUROC of the strongest baseline        (paired over problems; `metrics/expected.py`)

The lower end is the lowest of the intervals over each baseline, so a probe is above if it is above every one of them
(intersection-union test, Berger 1982), and no choice has to be corrected for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

from ..rundir import brief
from ..stats import Interval

# What the baselines are called in sentences.
SPOKEN = {
    "position": "position",
    "words": "words",
    "first word": "first word",
    "embeddings": "token embeddings",
    "combined": "text and place",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """The baselines of one behaviour, the strongest of them, and how far the probe is above it."""

    aurocs: dict[str, Interval]  # baseline -> AUROC
    name: str  # of the strongest baseline
    strongest: Interval  # its AUROC
    excess: Interval  # of the probe, layer and penalty chosen on inner folds; the lower end is that over every baseline
    corrected_low: float  # the lower end if the level is divided by the number of behaviours (Bonferroni)
    n_behaviours: int  # that were probed
    excess_by_layer: list[Interval]
    matched: Interval  # AUROC of the probe on spans with a partner of like first word, length and place
    n_matched: int  # pairs of such spans

    __repr__ = brief

    @property
    def standing(self) -> str:
        """Whether the probe is above its baselines, in words; "just above" does not hold corrected for behaviours."""
        if isnan(self.excess.low):
            return "no interval: too few problems"
        place = "above" if self.corrected_low > 0 else "just above" if self.excess.low > 0 else "not above"
        return f"{place} its {SPOKEN.get(self.name, self.name)}"

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON, without the figures of layers; None for NaN."""
        return {
            **self.excess.json_columns("excess"),
            "standing": self.standing,
            "strongest_baseline": self.name,
            **self.strongest.json_columns("auroc_strongest"),
            "excess_corrected_low": None if isnan(self.corrected_low) else self.corrected_low,
            "n_behaviours": self.n_behaviours,
            "baselines": {name: auroc.json_columns("auroc") for name, auroc in self.aurocs.items()},
            **self.matched.json_columns("auroc_matched"),
            "n_matched": self.n_matched,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> Comparison:
        """Restore a comparison.

        Args:
            content: What `to_dict` returned.
            layers: The columns of every layer.

        Returns:
            The comparison.
        """
        return cls(
            aurocs={name: Interval.from_columns(row, "auroc") for name, row in content["baselines"].items()},
            name=content["strongest_baseline"],
            strongest=Interval.from_columns(content, "auroc_strongest"),
            excess=Interval.from_columns(content, "excess"),
            corrected_low=nan if content["excess_corrected_low"] is None else content["excess_corrected_low"],
            n_behaviours=content["n_behaviours"],
            excess_by_layer=[Interval.from_columns(row, "excess") for row in layers],
            matched=Interval.from_columns(content, "auroc_matched"),
            n_matched=content["n_matched"],
        )
