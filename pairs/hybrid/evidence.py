"""The evidence that a verdict is read from: the arms of a pair, the controls among them, and the frozen thresholds.

An unsure grade may be right or wrong, and a response that was cut off might have become right.
`Evidence.with_more_right` moves the figures as if such open responses of some arms were right: accuracies, gains and
differences by the shares that are open, and gap recovered with its ends by

    R' = (R (thinking - base) + open of the arm - open of the base) / (thinking' - base')

Each arm may count none or all of them: `bounds` yields the 16 combinations of base, thinking model, hybrid and rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from ...stats import Interval
from .arms import BASE, HYBRID, THINKING
from .measure import ArmResult

PROMPTED, CEILING, RANDOM_POSITIONS = "base-step-by-step", "oracle", "random-positions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Where one sentence ends and another begins: fixed before any new pair was run (docs/verdicts.md)."""

    little: float = 0.25  # of the gap: little is recovered if the upper end lies below
    most: float = 0.5  # of the gap: most is recovered if the lower end reaches it
    control: float = 0.35  # of what the hybrid recovers: a control whose upper end lies below explains no part
    width: float = 0.5  # of the gap: a wider interval is too wide, unless its lower end reaches `most`
    truncated: float = 0.1  # of a control's responses: if so many more are cut off than of the base's, it broke them
    rate: float = 0.8  # of the hybrid's: tokens that a control steers, at least


THRESHOLDS = Thresholds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Another explanation of what the hybrid gains, and the arms that put it to the test."""

    name: str
    arms: tuple[str, ...]  # if it is required, one of them must have run; all that ran are compared
    refuted: str  # what follows where an arm of it does as well as the hybrid
    is_required: bool = True  # a claim needs it
    draws_tokens: bool = False  # how many it steers is chosen; elsewhere the hybrid's gate opens on the arm's own text


# In the order in which they are looked at.
CONTROLS = (
    Control(
        name="random-vector control",
        arms=("random-vectors",),
        refuted="It is not shown that the directions matter, any push at these tokens may do as well",
    ),
    Control(
        name="word-boost control",
        arms=("word-boost",),
        refuted="It is not shown that the behaviours' directions matter, their first words alone may do as well",
    ),
    Control(
        name="phrase control",
        arms=("phrase-whole",),
        refuted="It is not shown that the behaviours' directions matter, their wordings alone may do as well",
    ),
    Control(
        name="first-tokens control",
        arms=("phrase-1", "phrase-2"),
        refuted="It is not shown that the behaviours' directions matter, their first tokens alone may do as well",
        is_required=False,
    ),
    Control(
        name="one-vector control",
        arms=("bias",),
        refuted="It is not shown that the behaviours' directions matter, one push for all may do as well",
        is_required=False,
    ),
    Control(
        name="timing control",
        arms=(RANDOM_POSITIONS,),
        refuted="It is not shown that the moment matters, steering at other tokens may do as well",
        draws_tokens=True,
    ),
    Control(
        name="sentence-start control",
        arms=("boundaries", "random-boundaries"),
        refuted="It is not shown that the moment matters, steering wherever sentences start may do as well",
    ),
    Control(
        name="category control",
        arms=("random-behaviour", "least-similar"),
        refuted="It is not shown that the behaviour matters, another one's direction may do as well",
    ),
)
OTHER = Control(name="control", arms=(), refuted="A control may do as well")


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """What a verdict is read from."""

    arms: Mapping[str, ArmResult]  # base, thinking model and hybrid are among them
    chance: float | None = None  # accuracy of one answer given to every question; None: the base is the chance level
    has_prompt: bool = True  # False only where the base's language has no words that ask for reasoning
    thresholds: Thresholds = THRESHOLDS
    measured: Mapping[str, ArmResult] | None = None  # where `arms` are moved to a bound: as they were measured

    @property
    def hybrid(self) -> ArmResult:
        """The arm that the verdict is about."""
        return self.arms[HYBRID]

    @property
    def base(self) -> ArmResult:
        """The base alone."""
        return self.arms[BASE]

    @property
    def prompted(self) -> ArmResult | None:
        """The base that is asked to think step by step; None where it was not run."""
        return self.arms.get(PROMPTED)

    def controls(self) -> Iterator[tuple[Control, ArmResult]]:
        """Yield every control arm that ran with what it controls for, in the order of `CONTROLS`, others last."""
        named = [(control, name) for control in CONTROLS for name in control.arms]
        known = {name for _, name in named}
        named += [(OTHER, arm.arm) for arm in self.arms.values() if arm.role == "control" and arm.arm not in known]
        yield from ((control, self.arms[name]) for control, name in named if name in self.arms)

    def compared(self) -> list[ArmResult]:
        """List the arms that the hybrid must beat: every control, and the prompted base."""
        return [arm for _, arm in self.controls()] + ([self.prompted] if self.prompted else [])

    def required(self) -> Iterator[tuple[Control, list[ArmResult]]]:
        """Yield every required control with those of its arms that ran, in the order of `CONTROLS`."""
        for control in CONTROLS:
            if control.is_required:
                yield control, [self.arms[name] for name in control.arms if name in self.arms]

    def is_broken(self, arm: ArmResult) -> bool:
        """Say whether an arm broke the responses: far more were cut off than of the base's, or it is worse.

        This is asked of the figures as measured: at the bound where what the base cut off is right, and what a control
        cut off is not, every control would be worse than the base.
        """
        arms = self.measured or self.arms
        measured, base = arms[arm.arm], arms[BASE]
        return measured.truncated > base.truncated + self.thresholds.truncated or measured.gain_high < 0

    def is_matched(self, control: Control, arm: ArmResult) -> bool:
        """Say whether an arm pushes at as many tokens as the hybrid.

        Where the hybrid's gate opens on the arm's own text, how often is a result, and as many of the tokens at which
        it opens are to be steered with a strength.
        """
        hybrid, rate = self.hybrid, self.thresholds.rate
        if control.draws_tokens:
            return arm.effective >= rate * hybrid.effective
        return arm.effective > 0 and arm.effective * hybrid.steered >= rate * hybrid.effective * arm.steered

    def missing(self) -> list[str]:
        """Name the required controls that were not run, in the order of `CONTROLS`, the prompted base last."""
        names = [control.name for control, arms in self.required() if not arms]
        return [*names, *([] if self.prompted or not self.has_prompt else ["step-by-step prompted base"])]

    def cut_off(self, limit: float) -> dict[str, float]:
        """Compute the share of responses that were cut off and might have become right, of arms that have such.

        Controls that are not required and those that broke the responses are left out: that is a result of theirs.

        Args:
            limit: Share of an arm's responses up to which they are left out too.
        """
        names = [BASE, THINKING, HYBRID, PROMPTED]
        names += [arm.arm for _, arms in self.required() for arm in arms if not self.is_broken(arm)]
        arms = [self.arms[name] for name in names if name in self.arms]
        return {arm.arm: min(arm.truncated, 1 - arm.accuracy) for arm in arms if arm.truncated > limit}

    def ungraded(self) -> dict[str, float]:
        """Compute the share of responses whose grade is unsure, of arms that have such."""
        return {name: arm.unsure for name, arm in self.arms.items() if arm.unsure}

    def bounds(self, shares: Mapping[str, float]) -> Iterator[Evidence]:
        """Yield the evidence if none, and if all, of the open responses of each group of arms were right.

        Args:
            shares: Arm -> share of its responses that are open; the first that is yielded counts none of them.
        """
        rest = {name for name in self.arms if name not in (BASE, THINKING, HYBRID)}
        for counted in product((False, True), repeat=4):
            groups = zip(counted, ({BASE}, {THINKING}, {HYBRID}, rest), strict=True)
            names = {name for is_counted, group in groups if is_counted for name in group}
            yield self.with_more_right({name: share for name, share in shares.items() if name in names})

    def with_more_right(self, shares: Mapping[str, float]) -> Evidence:
        """Move the figures as if more responses of some arms were right.

        Args:
            shares: Arm -> share of its responses.
        """
        added = {name: shares.get(name, 0.0) for name in self.arms}
        if not any(added.values()):
            return self
        thinking = self.arms[THINKING]
        more = added[THINKING] - added[BASE]
        gap, low, high = (end + more for end in (thinking.gain, thinking.gain_low, thinking.gain_high))
        no_gap = "" if low > 0 else "the thinking model is not shown to be better than the base: "
        no_gap += "" if low > 0 else str(Interval(gap, low, high))
        arms = {}
        for name, arm in self.arms.items():
            gain, behind = added[name] - added[BASE], added[HYBRID] - added[name]
            gaps = arm.gap, arm.gap_low, arm.gap_high
            gains = arm.gain, arm.gain_low, arm.gain_high
            if no_gap:
                gaps = math.nan, math.nan, math.nan
            elif math.isnan(arm.gap):
                gaps = (gains[0] + gain) / gap, (gains[1] + gain) / gap, (gains[2] + gain) / gap
            elif name not in (BASE, THINKING):  # whose shares are 0 and 1 by definition
                value, lower, upper = ((share * thinking.gain + gain) / gap for share in gaps)
                gaps = value, lower, upper
            arms[name] = replace(
                arm,
                accuracy=arm.accuracy + added[name],
                accuracy_low=arm.accuracy_low + added[name],
                accuracy_high=arm.accuracy_high + added[name],
                gain=gains[0] + gain,
                gain_low=gains[1] + gain,
                gain_high=gains[2] + gain,
                gap=gaps[0],
                gap_low=gaps[1],
                gap_high=gaps[2],
                no_gap=no_gap,
                behind=arm.behind + behind,
                behind_low=arm.behind_low + behind,
                behind_high=arm.behind_high + behind,
            )
        return replace(self, arms=arms, measured=self.measured or self.arms)


def best_control(arms: Mapping[str, ArmResult]) -> ArmResult | None:
    """Find the control that recovers most of the gap.

    Args:
        arms: Arm -> its figures.

    Returns:
        The control; None where none was run, or there is no gap.
    """
    controls = [arm for arm in arms.values() if arm.role == "control" and not math.isnan(arm.gap)]
    return max(controls, key=lambda arm: arm.gap, default=None)
