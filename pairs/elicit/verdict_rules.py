"""Say by written rules whether learning *when* is cheaper, needs less data and is less fragile (docs/elicit.md).

1. An arm counts if its excess over the strongest cheap control is above 0: by the interval that holds for all arms
   together, if the control costs as much, and even if all of the control's responses that were cut off were right.
2. Of the arms that count, the most accurate that leaves the weights alone is compared with the most accurate that
   changes them. Costs compare where the first is at most `MARGIN` less accurate, by the interval of the difference.
3. What both arms need is left out: where both are made of a thinking model, its training. Where one alone is, that
   training comes on top, and nothing follows if it is not known.
4. Each of training FLOPs, examples, FLOPs a response, wording and loss off the task is a clause of its own, decided by
   counts, or by an interval that leaves out 0; where neither decides, it cannot be concluded.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan

from ...stats import Interval
from ..verdict_sentence import Verdict, conclude, deciding_interval
from .arms import THINKING
from .cost import TrainingCost
from .measure import ArmComparison, ElicitFigures

MARGIN = 0.05  # of accuracy
SURE = 0.05  # share of shuffles that spread as much, at most, for a spread to be one of wordings

CANNOT = "Whether learning when is cheaper, less hungry for data or less fragile cannot be concluded"


def counts(one: ElicitFigures) -> bool:
    """Tell whether an arm surely gains more than cheap controls do."""
    return one.is_matched and one.excess_among.low - one.control_truncated > 0


def elicit_verdict(figures: Sequence[ElicitFigures], comparisons: Sequence[ArmComparison]) -> Verdict:
    """Conclude from the figures of all arms.

    Args:
        figures: Of each arm.
        comparisons: Of each arm that leaves the weights alone with each that changes them.

    Returns:
        The sentence, what decided it, and what would have refuted it.
    """
    kinds = {
        "timing": "no arm that leaves the weights alone is shown to do better than the strongest cheap control",
        "weights": "no arm that changes the weights is shown to do better than the strongest cheap control",
    }
    best: dict[str, ElicitFigures] = {}
    for role, missing in kinds.items():
        of_role = [one for one in figures if one.role == role]
        shown = [one for one in of_role if counts(one)]
        if not shown:
            because = "; ".join(_shortfall(one) for one in of_role) or "none was run"
            deciding = [deciding_interval(one.arm, "excess", one.excess_among) for one in of_role]
            controls = tuple(dict.fromkeys(one.control for one in of_role))
            return conclude(f"no-{role}", CANNOT, f"{missing} ({because})", controls, *deciding)
        best[role] = max(shown, key=lambda one: one.accuracy.value)
    one, other = best["timing"], best["weights"]
    row = next(row for row in comparisons if (row.timing, row.weights) == (one.arm, other.arm))
    deciding = [
        deciding_interval(one.arm, "excess", one.excess_among),
        deciding_interval(other.arm, "excess", other.excess_among),
        deciding_interval(one.arm, f"accuracy less that of {other.arm}", row.accuracy),
    ]
    controls = tuple(dict.fromkeys((one.control, other.control)))
    stand = f"{one.arm} reaches {one.accuracy}, {other.arm} {other.accuracy}, difference {row.accuracy}"
    if row.accuracy.low < -MARGIN:
        is_less = row.accuracy.high < 0
        reason = "the costs are not of the same gain" if is_less else "the gains are not shown to be alike"
        return conclude("less-gain" if is_less else "unequal", CANNOT, f"{reason}: {stand}", controls, *deciding)
    clauses = _clauses(one, other, row, next((arm.training for arm in figures if arm.arm == THINKING), None))
    deciding += [
        deciding_interval(one.arm, f"FLOPs a response less those of {other.arm}", row.flops),
        deciding_interval(one.arm, f"loss off the task less that of {other.arm}", row.loss),
        deciding_interval(one.arm, f"spread over wordings less that of {other.arm}", row.spread),
    ]
    headline = (
        f"At an accuracy at most {MARGIN:g} lower, learning when ({one.arm}) beside changed weights ({other.arm})"
    )
    return conclude("compared", f"{headline}: {'; '.join(clauses)}", stand, controls, *deciding)


def _shortfall(one: ElicitFigures) -> str:
    text = f"{one.arm} less {one.control}: {one.excess}"
    if one.excess_among.low > 0 and not one.is_matched:
        return f"{text}, with fewer plain samples than it costs"
    if one.excess_among.low > 0:
        return f"{text}, and {one.control_truncated:.2f} of the control's responses were cut off"
    return text


def _clauses(one: ElicitFigures, other: ElicitFigures, row: ArmComparison, thinking: TrainingCost | None) -> list[str]:
    both = one.needs_thinking and other.needs_thinking
    first, second = (_beyond(arm, thinking, both=both) for arm in (one, other))
    shared = ", beyond the thinking model that both need" if both else ""
    return [
        _counted("cheaper to train", "dearer to train", first[0], second[0], f"FLOPs{shared}"),
        _counted("less hungry for data", "hungrier for data", first[1], second[1], f"examples{shared}"),
        _decided("cheaper a response", "dearer a response", row.flops, "FLOPs"),
        _spread(one, other, row.spread),
        _decided("less harmful off the task", "more harmful off the task", row.loss, "nats a token"),
    ]


def _beyond(one: ElicitFigures, thinking: TrainingCost | None, *, both: bool) -> tuple[float, float]:
    """Count FLOPs and examples of an arm: with the thinking model's where it needs that, or without where both do."""
    own = (one.training.flops, nan if one.training.n_examples is None else float(one.training.n_examples))
    if one.arm == THINKING:
        return (0.0, 0.0) if both else own
    if both or not one.needs_thinking:
        return own
    if thinking is None or thinking.n_examples is None:
        return (nan, nan) if thinking is None else (own[0] + thinking.flops, nan)
    return own[0] + thinking.flops, own[1] + thinking.n_examples


def _counted(less: str, more: str, first: float, second: float, unit: str) -> str:
    """Compare two counts."""
    if isnan(first) or isnan(second):
        return f"whether it is {less} cannot be concluded, since a count is not known"
    if first == second:
        return f"is neither {less} nor {more}: {first:.3g} {unit}"
    return f"is {less if first < second else more}: {first:.3g} against {second:.3g} {unit}"


def _decided(less: str, more: str, difference: Interval, unit: str) -> str:
    """Read a difference by its interval."""
    shown = f"{difference.value:.3g} [{difference.low:.3g}, {difference.high:.3g}] {unit}"
    if difference.high < 0:
        return f"is {less}: {shown}"
    if difference.low > 0:
        return f"is {more}: {shown}"
    return f"whether it is {less} cannot be concluded: {shown}"


def _spread(one: ElicitFigures, other: ElicitFigures, difference: Interval) -> str:
    """Read the difference of two spreads; the greater must be one of wordings, and not of luck."""
    less = "less dependent on wording"
    if isnan(difference.value):
        return f"whether it is {less} cannot be concluded: one wording was tried"
    greater = other if difference.value < 0 else one
    if greater.spread_p > SURE:
        return f"whether it is {less} cannot be concluded: shuffled answers spread as much"
    return _decided(less, "more dependent on wording", difference, "of accuracy")
