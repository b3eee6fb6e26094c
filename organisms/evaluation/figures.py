"""What is measured of a family: figures of its models, of its pairs, of chance, and of how alike responses are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ...rundir import brief, from_row, to_row
from ...stats import Interval
from .chance import PASS_AT, ChanceCurve, exact_curves
from .memorising import MemorisingFigures


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """One model along its own responses at temperature 1; see `conduct.py`."""

    accuracy: Interval
    process_accuracy: Interval  # solved, and every sentence right
    response_words: Interval
    off_grammar: dict[str, Interval]
    steps: dict[str, Interval]  # kind of content -> share said rightly
    behaviours: dict[str, Interval]
    decisions: dict[str, dict[str, Interval]]  # state -> move -> share
    ways: dict[str, Interval]

    __repr__ = brief


@dataclass(frozen=True, slots=True)
class PairFigures:
    """The truth of a pair, by cross-play."""

    base: str
    thinking: str
    gap: Interval
    timing_share: Interval
    skill_share: Interval
    timing_alone: Interval  # gain in accuracy of the trained decisions with the base's content
    skill_alone: Interval  # gain of the trained content with the base's decisions
    interaction: Interval
    accuracy: dict[str, Interval]  # of each cell
    process_accuracy: dict[str, Interval]
    table_timing_share: Interval  # by simulation of measured tables
    table_skill_share: Interval
    divergence: dict[str, Interval]  # nats a token, trained from base, by kind of token

    __repr__ = brief


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All figures of a family."""

    models: dict[str, ModelFigures]
    pairs: dict[str, PairFigures]
    chance: dict[str, dict[str, Interval]]  # base -> guesser -> success of one guess
    overlaps: dict[str, dict[str, Interval]] = field(default_factory=dict)  # two models -> how alike their texts are
    attempts: dict[str, dict[str, dict[str, Interval]]] = field(default_factory=dict)  # model -> kind -> pass@k
    recovered: dict[str, dict[str, Interval]] = field(default_factory=dict)  # pair -> intervention -> share of the gap
    memorising: dict[str, MemorisingFigures] = field(default_factory=dict)  # model -> course of training on one example

    def __repr__(self) -> str:
        return (
            f"Evaluation of {len(self.pairs)} pairs of {len(self.models)} models; "
            f"chance at 256 guesses {self.chance_pass_at_256:.4f}; look: .to_frame(), .chance_frame(), .pairs"
        )

    @property
    def chance_curves(self) -> dict[str, list[ChanceCurve]]:
        """Guessers by base; `exact` are those whose words are right."""
        curves = {
            base: [ChanceCurve(guesser, success) for guesser, success in successes.items()]
            for base, successes in self.chance.items()
        }
        return {"exact": exact_curves(), **curves}

    @property
    def chance_pass_at_256(self) -> float:
        """The largest pass@256 of any guesser with the words of any base."""
        return max(curve.pass_at(256).value for curves in self.chance_curves.values() for curve in curves)

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row a pair: gap and shares with their ends, and the accuracy of each cell."""
        return pd.DataFrame(
            [
                {
                    "pair": name,
                    **{f"accuracy_{cell}": accuracy.value for cell, accuracy in pair.accuracy.items()},
                    **pair.gap.columns("gap"),
                    **pair.timing_share.columns("timing_share"),
                    **pair.skill_share.columns("skill_share"),
                    "table_timing_share": pair.table_timing_share.value,
                }
                for name, pair in self.pairs.items()
            ]
        )

    def chance_frame(self) -> pd.DataFrame:
        """Tabulate pass@k of each guesser with the words of each base."""
        return pd.DataFrame(
            [
                {"base": base, "guesser": curve.guesser, "k": k, **curve.pass_at(k).columns("pass")}
                for base, curves in self.chance_curves.items()
                for curve in curves
                for k in PASS_AT
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as plain values, intervals as value, low, high and n."""
        curves = {
            base: {curve.guesser: {str(k): curve.pass_at(k).to_dict() for k in PASS_AT} for curve in curves}
            for base, curves in self.chance_curves.items()
        }
        return {"chance_pass_at_256": self.chance_pass_at_256, "chance_pass_at_k": curves, **to_row(self)}

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> Evaluation:
        """Read what `to_dict` returned.

        Args:
            entries: All figures as plain values.

        Returns:
            The evaluation.
        """
        return from_row(cls, {name: entries[name] for name in cls.__dataclass_fields__})
