"""Measure what swapped tokens are worth: accuracy, gap and excess over the controls, at each budget and in both ways.

    base writes       gap recovered = (arm - base) / (thinking - base)
    thinking writes   gap lost      = (thinking - arm) / (thinking - base)

Unclipped, questions paired, problems resampled for all arms together. The excess is what the tested chooser recovers
(or loses) more than a control at the same budget; the strongest control is the one that recovers (or loses) most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from ...rundir import brief
from ...stats import Interval, accuracy_over_groups, gap_excess_over_groups, ratio_over_groups
from ..sampling import Role
from .answers import SwapAnswer
from .choosers import CONTROLS, TESTED
from .settings import RANKS

ALONE, ALL = 0.0, 1.0  # budgets at which choosers are one
ENDS = "ends"  # the chooser of these

Arms = Mapping[tuple[str, float], Sequence[SwapAnswer]]  # chooser and budget -> responses, as the questions


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapPoint:
    """One arm.

    Attributes:
        writer: Which model writes: `base` or `thinking`; the other one's tokens are swapped in.
        chooser: What chooses the positions; `ends` where none or all tokens are swapped.
        budget: Share of the tokens that was aimed at.
        swapped: Share of the tokens that were the other model's.
        changed: Share of the tokens that were other ones than the writer's own.
        accuracy: Share of the responses that are right.
        truncated: Share that was cut off.
        gap: Share of the gap recovered (base writes) or lost (thinking model writes); NaN without a gap.
        excess: What the tested chooser has more than this control; of the tested chooser: more than the strongest
            control. NaN where there is nothing to compare with.
        strongest: Of the tested chooser: its strongest control; else empty.
        in_top: Share of the changed tokens that are among the writer's 1, 5 and 10 likeliest.
        own_in_top: Share of the writer's own tokens in these places, likewise.
    """

    writer: str
    chooser: str
    budget: float
    swapped: Interval
    changed: Interval
    accuracy: Interval
    truncated: float
    gap: Interval
    excess: Interval
    strongest: str
    in_top: tuple[Interval, ...]
    own_in_top: tuple[Interval, ...]

    __repr__ = brief


def swap_points(
    writer: Role, arms: Arms, ends: tuple[Sequence[SwapAnswer], Sequence[SwapAnswer]], problems: Sequence[str]
) -> list[SwapPoint]:
    """Compute the figures of all arms of one direction.

    Args:
        writer: Which model writes.
        arms: Chooser and budget -> its responses.
        ends: The responses of base and thinking model alone.
        problems: Of the questions.

    Returns:
        One point for each arm, in order.
    """
    solved = {cell: rates(answers, len(problems)) for cell, answers in arms.items()}
    base, thinking = (rates(answers, len(problems)) for answers in ends)
    own = base if writer == "base" else thinking
    gaps = {cell: share_of_gap(writer, base, thinking, own, arm, problems) for cell, arm in solved.items()}
    points = []
    for (chooser, budget), answers in arms.items():
        strongest = ""
        if chooser == TESTED:
            others = [control for control in CONTROLS if (control, budget) in arms]
            strongest = max(others, key=lambda control: _most(gaps[control, budget]), default="")
        pair = {TESTED: (TESTED, strongest)}.get(chooser, (TESTED, chooser))
        excess = Interval(nan, n=len(set(problems)))
        if all((one, budget) in solved for one in pair):
            tested, control = (solved[one, budget] for one in pair)
            excess = share_of_gap(writer, base, thinking, control, tested, problems)
        points.append(
            SwapPoint(
                writer=writer,
                chooser=chooser,
                budget=budget,
                swapped=_tokens(answers, problems, "n_swapped"),
                changed=_tokens(answers, problems, "n_changed"),
                accuracy=accuracy_over_groups(solved[chooser, budget], problems),
                truncated=float(np.mean([one.is_truncated for one in answers])),
                gap=gaps[chooser, budget],
                excess=excess,
                strongest=strongest,
                in_top=_in_top(answers, problems, "in_top"),
                own_in_top=_in_top(answers, problems, "own_in_top"),
            )
        )
    return points


def share_of_gap(
    writer: Role,
    base: np.ndarray,
    thinking: np.ndarray,
    less: np.ndarray,
    arm: np.ndarray,
    problems: Sequence[str],
) -> Interval:
    """Estimate by which share of the gap an arm is nearer than another to the model whose tokens are swapped in.

    Args:
        writer: Which model writes.
        base: Share of each question's responses that the base has right.
        thinking: The same of the thinking model.
        less: The same of what the arm is compared with: the writer alone, or a control.
        arm: The same of the arm.
        problems: Of the questions.

    Returns:
        Recovered where the base writes, lost where the thinking model does; NaN where no gap is shown.
    """
    ahead, behind = (arm, less) if writer == "base" else (less, arm)
    return gap_excess_over_groups(base, thinking, ahead, behind, problems)


def rates(answers: Sequence[SwapAnswer], n_questions: int, *, is_open_right: bool = False) -> np.ndarray:
    """Compute the share of each question's responses that are right.

    Args:
        answers: Those of a question side by side.
        n_questions: How many questions.
        is_open_right: Whether what was cut off, or cannot be told, counts as right.
    """
    right = [one.is_solved is True or (is_open_right and one.is_open) for one in answers]
    shares: np.ndarray = np.reshape(right, (n_questions, -1)).mean(axis=1)
    return shares


def _most(gap: Interval) -> float:
    return gap.value if gap.value == gap.value else -np.inf


def _tokens(answers: Sequence[SwapAnswer], problems: Sequence[str], name: str) -> Interval:
    above = np.array([getattr(one, name) for one in answers], dtype=np.float64)
    below = np.array([one.n_tokens for one in answers], dtype=np.float64)
    return ratio_over_groups(above, below, groups=_each(problems, len(answers)))


def _in_top(answers: Sequence[SwapAnswer], problems: Sequence[str], name: str) -> tuple[Interval, ...]:
    n_changed = np.array([one.n_changed for one in answers], dtype=np.float64)
    if not n_changed.sum():
        return tuple(Interval(nan, n=len(set(problems))) for _ in RANKS)
    return tuple(
        ratio_over_groups(
            np.array([getattr(one, name)[place] for one in answers], dtype=np.float64),
            n_changed,
            groups=_each(problems, len(answers)),
        )
        for place in range(len(RANKS))
    )


def _each(problems: Sequence[str], n_answers: int) -> list[str]:
    """The problem of each response."""
    return [problem for problem in problems for _ in range(n_answers // len(problems))]
