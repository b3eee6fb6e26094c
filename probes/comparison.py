"""Compare a behaviour's probe with what could be known without the model; the excess is the number to report.

The strongest baseline of each test fold is the one with the highest AUROC on the other folds, as the probe's layer is
chosen; both are then compared on the same spans:

    excess = AUROC of the probe - AUROC of the strongest baseline        (paired over problems; `metrics/expected.py`)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
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
    names: tuple[str, ...]  # the strongest baseline of each fold, chosen on the others
    strongest: Interval  # AUROC of these
    excess: (
        Interval  # AUROC of the probe, layer and penalty chosen on inner folds, minus that of the strongest baseline
    )
    excess_by_layer: list[Interval]
    matched: Interval  # AUROC of the probe on spans with a partner of like first word, length and place
    n_matched: int  # pairs of such spans

    __repr__ = brief

    @property
    def name(self) -> str:
        """The baseline that is the strongest in most folds."""
        return Counter(self.names).most_common(1)[0][0]

    @property
    def standing(self) -> str:
        """Whether the probe is above its strongest baseline, in words."""
        if isnan(self.excess.low):
            return "no interval: too few problems"
        return f"{'above' if self.excess.low > 0 else 'not above'} its {SPOKEN.get(self.name, self.name)}"

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON, without the figures of layers; None for NaN."""
        return {
            **self.excess.json_columns("excess"),
            "standing": self.standing,
            "strongest_baseline": self.name,
            **self.strongest.json_columns("auroc_strongest"),
            "strongest_by_fold": list(self.names),
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
            names=tuple(content["strongest_by_fold"]),
            strongest=Interval.from_columns(content, "auroc_strongest"),
            excess=Interval.from_columns(content, "excess"),
            excess_by_layer=[Interval.from_columns(row, "excess") for row in layers],
            matched=Interval.from_columns(content, "auroc_matched"),
            n_matched=content["n_matched"],
        )
