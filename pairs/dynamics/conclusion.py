"""What the dynamics of a training say, by rules that are gone through in order (docs/verdicts.md).

Only ends of intervals and corrected p-values decide. That accuracy changes has to stand against the permuted steps, how
it was gained against the split by form, and a collapse against the band over all steps. Responses that were cut off are
counted as wrong, and as the others of their step: what is said has to hold either way.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Protocol

from ...stats import Interval
from ..verdict_sentence import Deciding, Verdict, conclude, deciding_interval
from .changes import CurveChange
from .collapse import Collapse
from .curve import ACCURACY, Curve
from .gain import GainSplit


class Followed(Protocol):
    """What is read of the dynamics of a training."""

    @property
    def curves(self) -> tuple[Curve, ...]: ...

    @property
    def changes(self) -> tuple[CurveChange, ...]: ...

    @property
    def gains(self) -> tuple[GainSplit, ...]: ...

    @property
    def open_gains(self) -> tuple[GainSplit, ...]: ...

    @property
    def gain(self) -> Interval | None: ...

    @property
    def collapse(self) -> Collapse | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicsThresholds:
    """Where one sentence ends and another begins, as shares of the gain.

    Attributes:
        little: What came of the form is little if its upper end lies below.
        most: It is most if its lower end lies above.
    """

    little: float = 0.25
    most: float = 0.5


DYNAMICS_THRESHOLDS = DynamicsThresholds()
UNDECIDED = "and how much of it by the form of answers is not decided"
PERMUTED, SPLIT, ATTEMPTED = "steps permuted", "answers split by form", "pass@k against the base's"


def conclusion_of(run: Followed, thresholds: DynamicsThresholds = DYNAMICS_THRESHOLDS) -> Verdict:
    """Say what the dynamics of one training show, by the first rule that applies.

    Args:
        run: What was followed.
        thresholds: Where one sentence ends and another begins.

    Returns:
        The sentence, the figures that decided it, and what would have refuted it.
    """
    change = next((one for one in run.changes if one.measure == ACCURACY), None)
    if change is None:
        return conclude("unread", "Nothing is said of accuracy", "it was not read", (ACCURACY,))
    p = Deciding(ACCURACY, "p_corrected", change.p_corrected, float("nan"), float("nan"))
    if not change.is_shown:
        because = f"p = {change.p_corrected:.3f} against curves with permuted steps, corrected over all curves"
        return conclude("no change", "No change of accuracy is shown", because, (PERMUTED,), p)
    when = _when(change)
    gain = run.gain
    if gain is None:
        does = f"{'rises' if change.after > change.before else 'falls'} along the training"
        because = f"from a mean of {change.before:.3f} to {change.after:.3f}, {when}; nothing is known of problems"
        ends = _ends(run)
        if ends is not None and not (ends[1] - ends[0]) * (change.after - change.before) > 0:
            does = "changes along the training, and turns back"
            because = f"{because}; it is {ends[0]:.3f} at the first step and {ends[1]:.3f} at the last one"
        return conclude("series", f"Accuracy {does}", because, (PERMUTED,), p)
    decided = deciding_interval(ACCURACY, "gain", gain)
    otherwise = [one for one in run.open_gains if _sign(one.gain) != _sign(gain)]
    if otherwise:
        because = f"the gain is {gain} if they are wrong, and {otherwise[-1].gain} if they are like the others; {when}"
        headline = "Cannot say: responses that were cut off decide it"
        return conclude("open", headline, because, ("longer responses",), decided, p)
    if gain.high < 0:
        return conclude("worse", "Accuracy fell", f"by {_negative(gain)}, {when}", (PERMUTED,), decided, p)
    if not gain.low > 0:
        because = f"at the last step it is {gain} above the base's; {when}"
        return conclude("back", "Accuracy changed, and no gain is left at the end", because, (PERMUTED,), decided, p)
    headline, because, refutable = "Accuracy rose", f"by {gain}, {when}", [PERMUTED]
    figures = [decided, p]
    split = run.gains[-1] if run.gains else None
    if split is not None:
        of_form = {_of_form(one.form_share, thresholds) for one in (split, *run.open_gains)}
        headline += f", {of_form.pop() if len(of_form) == 1 else UNDECIDED}"
        because += f"; {split.form} of it came of the form of answers, and {split.beyond} lies beyond"
        if run.open_gains:
            gains = ", ".join(f"{one.gain}" for one in run.open_gains)
            because += (
                f"; if responses that were cut off are like the others of the base, of this step, or both: {gains}"
            )
        refutable.append(SPLIT)
        figures.append(deciding_interval(ACCURACY, "form_share", split.form_share))
    collapse = run.collapse
    if collapse is not None and not isnan(collapse.sure_from):
        headline += f", while pass@{collapse.k} fell below the base's"
        because += f"; pass@{collapse.k} is surely below from step {collapse.sure_from:g} on"
        refutable.append(ATTEMPTED)
        figures.append(deciding_interval(ATTEMPTED, "onset", collapse.onset))
    return conclude("gain", headline, because, tuple(refutable), *figures)


def _sign(gain: Interval) -> int:
    """Say whether a gain is surely above 0, surely below, or neither."""
    return int(gain.low > 0) - int(gain.high < 0)


def _ends(run: Followed) -> tuple[float, float] | None:
    """Give the accuracy at the first and the last step; None where the curve is not there."""
    curve = next((one for one in run.curves if one.measure == ACCURACY), None)
    return None if curve is None else (curve.values[0].value, curve.values[-1].value)


def _of_form(share: Interval, thresholds: DynamicsThresholds) -> str:
    if share.low > thresholds.most:
        return "most of it by the form of answers"
    if share.high < thresholds.little:
        return "little or none of it by the form of answers"
    return UNDECIDED


def _when(change: CurveChange) -> str:
    """Say when it changed, and how."""
    span = f"[{change.at.low:g}, {change.at.high:g}]"
    match change.shape:
        case "jump":
            return f"in a jump at {change.at.value:g} {span}"
        case "steady":
            return "steadily, without a jump"
        case "bent":
            return f"neither in one jump nor steadily (two levels fit best at {change.at.value:g} {span})"
        case _:
            return f"whether in a jump (at {change.at.value:g} {span}) or steadily is not decided"


def _negative(gain: Interval) -> str:
    return str(Interval(-gain.value, -gain.high, -gain.low, gain.n))
