"""Hold what was followed along one training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

from ...rundir import brief, from_row, to_row
from ...stats import Interval
from ..exchange.pair_exchange import PairExchange
from ..exchange.reading import reading_of
from ..verdict_sentence import Verdict
from .changes import CurveChange
from .collapse import Collapse
from .conclusion import conclusion_of
from .curve import ACCURACY, Curve, Level
from .gain import GainSplit
from .memorising import MEMORISED, LateGain, Memorised


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExchange:
    """Sentences exchanged between the base and the model of one step."""

    step: float
    exchange: PairExchange

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class RunDynamics:
    """What was followed along one training.

    Attributes:
        name: Of the training.
        axis: What its steps are.
        steps: Ascending, the base first.
        models: Name of the model at each step; empty: read from a table.
        n_problems: Problems that were answered; 0: not known.
        curves: What was followed.
        levels: What stands beside: chance, controls.
        gains: The gain to each step after the base, split by the form of answers; empty: forms are not known.
        open_gains: The last of these if responses that were cut off had ended like the others: those of the base, of
            the last step, of both; empty: none were cut off.
        changes: Where curves change.
        collapse: Where pass@k falls while pass@1 rises; None: not known.
        memorised: When training problems are memorised; None: none were asked.
        late: What is gained late; None: nothing came before, or nothing was read after.
        exchanges: With the base, at some steps.
        notes: What was left out or has to be known.
    """

    name: str
    axis: str
    steps: tuple[float, ...]
    models: tuple[str, ...] = ()
    n_problems: int = 0
    curves: tuple[Curve, ...] = ()
    levels: tuple[Level, ...] = ()
    gains: tuple[GainSplit, ...] = ()
    open_gains: tuple[GainSplit, ...] = ()
    changes: tuple[CurveChange, ...] = ()
    collapse: Collapse | None = None
    memorised: Memorised | None = None
    late: LateGain | None = None
    exchanges: tuple[StepExchange, ...] = ()
    notes: tuple[str, ...] = ()

    LOOK = ".curves, .changes, .gains"
    __repr__ = brief

    @property
    def verdict(self) -> Verdict:
        """What is concluded, by the rules of docs/verdicts.md."""
        return conclusion_of(self)

    @property
    def gain(self) -> Interval | None:
        """The accuracy at the last step less that of the base; None: nothing is known of problems."""
        if self.gains:
            return self.gains[-1].gain
        curve = next((one for one in self.curves if one.measure == ACCURACY and one.differences), None)
        return None if curve is None else curve.differences[-1]

    def curve(self, measure: str, series: str | None = None) -> Curve:
        """Give a curve.

        Args:
            measure: What it is of.
            series: Whose; None: the first.
        """
        return next(one for one in self.curves if one.measure == measure and series in (None, one.series))

    def change(self, measure: str, series: str | None = None) -> CurveChange:
        """Give where a curve changes.

        Args:
            measure: What it is of.
            series: Whose; None: the first.
        """
        return next(one for one in self.changes if one.measure == measure and series in (None, one.series))

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values; None for NaN."""
        return to_row(self) | {"verdict": self.verdict.to_dict()}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> RunDynamics:
        """Read back what `to_dict` returned."""
        return from_row(cls, {name: value for name, value in row.items() if name != "verdict"})

    def sentences(self) -> list[str]:
        """Say what is concluded, and what must be known with it."""
        sentences = [str(self.verdict)]
        if self.memorised is not None:
            sentences.append(_memorised(self.memorised, self.steps))
        if self.late is not None:
            sentences.append(_late(self.late))
        if self.collapse is not None:
            sentences.append(_collapsed(self.collapse))
        others = [one for one in self.changes if one.measure != ACCURACY and one.is_shown]
        sentences.append(
            f"Of {len(self.changes)} curves {sum(one.is_shown for one in self.changes)} change (p corrected for their "
            f"number)" + (": " + "; ".join(map(_changed, others)) if others else "") + "."
        )
        false = [one for one in self.changes if one.control_p <= 0.05]
        sentences.append(
            f"Control: of the same curves with steps permuted {len(false)} of {len(self.changes)} change at p of 0.05, "
            "uncorrected, where one in twenty is expected."
        )
        sentences += [f"Step {one.step:g}: {reading_of(one.exchange)}" for one in self.exchanges]
        return [*sentences, *(f"{note[:1].upper()}{note[1:]}." for note in self.notes)]


def _memorised(memorised: Memorised, steps: tuple[float, ...]) -> str:
    what = "The training problem is" if memorised.n_problems == 1 else f"{memorised.n_problems} training problems are"
    if isnan(memorised.at.value):
        return f"{what} not memorised by step {steps[-1]:g} (at least {memorised.threshold:g} of responses right)."
    return f"{what} memorised at step {memorised.at.value:g} [{_end(memorised.at.low)}, {_end(memorised.at.high)}]."


def _late(late: LateGain) -> str:
    since = f"from step {late.since:g} to the last one"
    if late.after == MEMORISED:
        return f"After that, {since}, test accuracy gains {late.gain}."
    return (
        f"Of one half of the problems accuracy has jumped by step {late.since:g}; that of the other half, "
        f"{late.gain.n} problems, gains {late.gain} {since}. Where it jumped was not looked for in these."
    )


def _collapsed(collapse: Collapse) -> str:
    if isnan(collapse.onset.value):
        return f"pass@{collapse.k} does not stay below the base's while pass@1 is above it."
    sure = "at no step surely" if isnan(collapse.sure_from) else f"surely from step {collapse.sure_from:g} on"
    onset = f"{collapse.onset.value:g} [{_end(collapse.onset.low)}, {_end(collapse.onset.high)}]"
    return (
        f"From step {onset} on pass@{collapse.k} is below the base's while pass@1 is above it, {sure} "
        f"(so in {collapse.share:.2f} of resamples)."
    )


def _changed(change: CurveChange) -> str:
    name = change.measure if change.series == change.measure else f"{change.series} ({change.measure})"
    place = f"{change.at.value:g} [{change.at.low:g}, {change.at.high:g}]"
    return f"{name} {change.before:.3g} to {change.after:.3g}, {change.shape}, at {place}"


def _end(end: float) -> str:
    return "never" if isnan(end) else f"{end:g}"
