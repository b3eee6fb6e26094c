"""What was measured of one pair: where the models diverge, and what swapped tokens are worth; and both in words."""

from __future__ import annotations

from dataclasses import dataclass

from ...rundir import brief
from ...stats import Interval
from ..sampling import Role
from ..verdict_sentence import Verdict
from .choosers import CHOOSERS, TESTED
from .concentration import Concentration
from .settings import RANKS, TOP_SHARES
from .swap_points import SwapPoint

WRITERS: tuple[Role, ...] = ("base", "thinking")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairDecisions:
    """What was measured of one pair.

    Attributes:
        base: Name of the base.
        thinking: Name of the thinking model.
        gap: Accuracy of the thinking model less that of the base.
        concentrations: Of the divergence, over the texts of either model.
        points: What swapped tokens are worth, arm by arm.
        verdicts: Which model writes -> what is concluded at the headline's budget.
    """

    base: str
    thinking: str
    gap: Interval
    concentrations: tuple[Concentration, ...]
    points: tuple[SwapPoint, ...]
    verdicts: dict[str, Verdict]

    LOOK = ".concentrations, .points, .verdicts"
    __repr__ = brief

    def concentration(self, writer: str) -> Concentration:
        """Give the concentration over one model's own texts."""
        return next(one for one in self.concentrations if one.writer == writer)

    def point(self, writer: str, budget: float, chooser: str = TESTED) -> SwapPoint:
        """Give one arm; `ends` is the chooser of budgets 0 and 1."""
        return next(one for one in self.points if (one.writer, one.chooser, one.budget) == (writer, chooser, budget))


def in_words(pair: PairDecisions, headline: float, near_zero: float) -> list[str]:
    """Say what was measured of a pair, each figure with what it stands beside.

    Args:
        pair: Its figures.
        headline: The budget that the sentences are about.
        near_zero: Divergence below which a position counts as near zero, nats.

    Returns:
        Sentences; the last ones are the conclusions.
    """
    sentences = [f"The gap is {pair.gap}."]
    for one in pair.concentrations:
        top = ", ".join(
            f"{share:.0%} of them {held.value:.3f}" for share, held in zip(TOP_SHARES, one.top, strict=True)
        )
        sentences.append(
            f"Texts of the {_model(one.writer)}: {one.near_zero} of {one.n_tokens:,} positions diverge by less than "
            f"{near_zero:g} nats; Gini {one.gini}; of all divergence, the top {top}."
        )
    for writer in WRITERS:
        point = pair.point(writer, headline)
        if point.strongest and point.gap.value == point.gap.value:
            sentences.append(
                f"{_model(writer).capitalize()} writes, budget {headline:.0%}: {point.gap} of the gap is "
                f"{'recovered' if writer == 'base' else 'lost'} with {point.swapped.value:.1%} of the tokens swapped "
                f"and {point.changed.value:.1%} changed, {point.excess} more than by the strongest control "
                f"({CHOOSERS[point.strongest].about}); {point.in_top[1]} of the changed tokens are among the writer's "
                f"{RANKS[1]} likeliest, of its own tokens there {point.own_in_top[1]}."
            )
    return [*sentences, *(f"{verdict}" for verdict in pair.verdicts.values())]


def _model(writer: str) -> str:
    return "base" if writer == "base" else "thinking model"
