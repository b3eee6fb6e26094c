"""Conclude, by written rules, what swapping a few tokens shows of a pair (docs/verdicts.md).

The first rule that applies gives the sentence. Only ends of intervals decide, at one budget that was chosen before;
responses that were cut off or cannot be told are counted all ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import isnan

from ...rundir import brief
from ...stats import Interval, accuracy_difference_over_groups
from ..sampling import Role
from ..verdict_sentence import Verdict, conclude, deciding_interval
from .answers import SwapAnswer
from .choosers import CHOOSERS, CONTROLS, TESTED
from .swap_points import rates, share_of_gap

LITTLE, MOST = 0.25, 0.5  # of the gap
RATE = 0.8  # tokens that a control changes, as a share of the tested chooser's, at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What decides the sentence of one direction.

    Attributes:
        gap: Accuracy of the thinking model less that of the base.
        share: Of the gap that the tested chooser recovers or loses; NaN without a gap.
        controls: Control -> the same of it.
        excess: Control -> what the tested chooser has more.
        swapped: Share of the tokens that the tested chooser swaps.
        changed: Chooser -> share of the tokens that its swaps change.
    """

    gap: Interval
    share: Interval
    controls: Mapping[str, Interval]
    excess: Mapping[str, Interval]
    swapped: float
    changed: Mapping[str, float]

    __repr__ = brief


def standings(
    writer: Role,
    arms: Mapping[str, Sequence[SwapAnswer]],
    base: Sequence[SwapAnswer],
    thinking: Sequence[SwapAnswer],
    problems: Sequence[str],
) -> list[Standing]:
    """Compute the figures as measured, and at every count of the open responses.

    Args:
        writer: Which model writes.
        arms: Chooser -> its responses at the headline's budget.
        base: Those of the base alone.
        thinking: Those of the thinking model alone.
        problems: Of the questions.

    Returns:
        As measured, then with all or none of the open responses of the base, of the thinking model, of the tested
        chooser and of the controls counted as right; the first alone where none is open.
    """
    every = (base, thinking, *arms.values())
    is_open = any(one.is_open for answers in every for one in answers)
    counts = product((False, True), repeat=4) if is_open else [(False,) * 4]
    return [_standing(writer, arms, base, thinking, problems, counted) for counted in counts]


def _standing(
    writer: Role,
    arms: Mapping[str, Sequence[SwapAnswer]],
    base: Sequence[SwapAnswer],
    thinking: Sequence[SwapAnswer],
    problems: Sequence[str],
    counted: Sequence[bool],
) -> Standing:
    n = len(problems)
    low, high = rates(base, n, is_open_right=counted[0]), rates(thinking, n, is_open_right=counted[1])
    own = low if writer == "base" else high
    solved = {
        name: rates(answers, n, is_open_right=counted[2 if name == TESTED else 3]) for name, answers in arms.items()
    }
    controls = [name for name in solved if name != TESTED]
    return Standing(
        gap=accuracy_difference_over_groups(high, low, problems),
        share=share_of_gap(writer, low, high, own, solved[TESTED], problems),
        controls={name: share_of_gap(writer, low, high, own, solved[name], problems) for name in controls},
        excess={name: share_of_gap(writer, low, high, solved[name], solved[TESTED], problems) for name in controls},
        swapped=_share(arms[TESTED], "n_swapped"),
        changed={name: _share(answers, "n_changed") for name, answers in arms.items()},
    )


def _share(answers: Sequence[SwapAnswer], name: str) -> float:
    n_tokens: int = sum(one.n_tokens for one in answers)
    return float(sum(getattr(one, name) for one in answers) / max(1, n_tokens))


def conclusion_of(writer: Role, budget: float, standing: Sequence[Standing]) -> Verdict:
    """Apply the rules.

    Args:
        writer: Which model writes.
        budget: Share of the tokens that was aimed at.
        standing: As measured first, then at every count of open responses.

    Returns:
        The sentence.
    """
    measured = _concluded(writer, budget, standing[0])
    others = {_concluded(writer, budget, one).rule for one in standing[1:]} - {measured.rule}
    if others:
        return conclude(
            "open",
            "Cannot say: responses that were cut off, or cannot be told, decide it",
            f"{measured.rule} as measured, {' or '.join(sorted(others))} if others of them are right",
            (),
            deciding_interval(TESTED, "gap", standing[0].share),
        )
    return measured


def _concluded(writer: Role, budget: float, standing: Standing) -> Verdict:
    share, gap = standing.share, standing.gap
    changed = standing.changed
    swapped = f"{standing.swapped:.1%} of the tokens"
    whose, does, noun = (
        ("the thinking model's", "recovers", "recovered") if writer == "base" else ("the base's", "loses", "lost")
    )
    figure = deciding_interval(TESTED, "gap", share)
    if isnan(share.value):
        headline = (
            "The thinking model is worse than its base" if gap.high < 0 else "No gap is shown that swaps could explain"
        )
        return conclude(
            "no gap", headline, f"thinking less base is {gap}", (), deciding_interval("thinking", "gap", gap)
        )
    saying = f"{whose} token at {swapped} where the two diverge most, which changes {changed[TESTED]:.1%}"
    because = f"{share} of the gap is {noun} with {saying}"
    if share.high < 0:
        headline = f"Swapping these tokens {'makes the base worse' if writer == 'base' else 'helps the thinking model'}"
        return conclude("worse", headline, because, (), figure)
    if share.high < LITTLE:
        return conclude(
            "little",
            f"So few tokens {'recover' if writer == 'base' else 'cost'} little of the gap",
            because,
            (),
            figure,
        )
    if not share.low > 0:
        return conclude(
            "interval",
            f"Cannot say: the interval reaches from {share.low:.2f} to {share.high:.2f} of the gap",
            because,
            (),
            figure,
        )
    beside = "; ".join(f"{CHOOSERS[name].about} {one}" for name, one in standing.controls.items())
    because = f"{because}; {beside}" if beside else because
    figures = (figure, *(deciding_interval(name, "excess", one) for name, one in standing.excess.items()))
    matched = {name for name in standing.controls if changed[name] >= RATE * changed[TESTED]}
    as_good = [
        name for name, excess in standing.excess.items() if not excess.low > 0 and standing.controls[name].low > 0
    ]
    if as_good:
        about = CHOOSERS[as_good[0]].about
        return conclude(
            "as good",
            f"It is not shown that divergence finds the tokens that matter: {about} may do as well",
            because,
            tuple(as_good),
            *figures,
        )
    missing = [name for name in CONTROLS if name not in standing.controls]
    if missing:
        return conclude("missing", f"Cannot say: no control {missing[0]} was run", because, tuple(missing), *figures)
    few = [name for name in CONTROLS if name not in matched]
    if few:
        return conclude(
            "rate",
            f"Cannot say: the control {few[0]} changes {changed[few[0]]:.1%} of the tokens and is no match",
            because,
            tuple(few),
            *figures,
        )
    beaten_not = [name for name, excess in standing.excess.items() if not excess.low > 0]
    if beaten_not:
        return conclude(
            "not beaten",
            f"Cannot say: divergence is not shown to do more than {CHOOSERS[beaten_not[0]].about}",
            because,
            tuple(beaten_not),
            *figures,
        )
    rule = "most" if share.low >= MOST else "part"
    much = "most" if rule == "most" else "a part"
    return conclude(
        rule,
        f"Swapping {swapped} {does} {much} of the gap, and more than changing as many tokens elsewhere",
        because,
        CONTROLS,
        *figures,
    )
