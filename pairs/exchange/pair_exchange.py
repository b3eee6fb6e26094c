"""What an exchange says of one pair: which share of the gap is *when*, and which is *how*.

Of the four cells of `cells.py` the Shapley shares of the gap:

    when = [(when - base) + (thinking - how)] / 2 (thinking - base)        how = 1 - when

Unclipped, with an interval over problems; NaN where no gap is shown. The control recovers (other moments - base) of the
gap: what the same behaviours in random order are worth. A second control lets the thinking model exchange with itself:
what it then solves less than alone is lost by the exchange.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from math import isnan, nan
from typing import Any

import numpy as np

from ...rundir import brief, from_row, to_row
from ...stats import (
    LEVEL,
    Interval,
    accuracy_difference_over_groups,
    accuracy_over_groups,
    gap_recovered_over_groups,
    shapley_shares_over_groups,
)
from ..pair import Pair
from .cells import BASE, CONTROL, EXCHANGED, HOW, ITSELF, THINKING, WHEN, Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFigures:
    """One cell.

    Attributes:
        accuracy: Share of the responses that are right, over problems.
        truncated: Share that was cut off.
        unsure: Share of which it cannot be told whether they are right.
        led: Share of the sentences that the speaker began with words of the decider's.
        led_tokens: Share of the tokens that are these words.
        plans: Share of the tokens that stand in plans of the decider's.
    """

    accuracy: Interval
    truncated: float
    unsure: float
    led: float
    led_tokens: float
    plans: float

    __repr__ = brief


@dataclass(frozen=True, slots=True, kw_only=True)
class PairExchange:
    """The exchange of one pair.

    Attributes:
        base: Name of the base.
        thinking: Name of the thinking model.
        cells: Cell -> its figures.
        gap: Accuracy of the thinking model less that of the base.
        when_share: Share of the gap that goes with what decides the behaviour of each sentence; NaN without a gap.
        how_share: Share that goes with what writes the sentences.
        when_alone: Gain of the thinking model's decisions with the base's sentences.
        how_alone: Gain of the thinking model's sentences with the base's decisions.
        control_share: Share of the gap that the same behaviours recover in random order; NaN without a gap, None: not
            run.
        when_above_control: Accuracy of the thinking model's decisions with the base's sentences, less that of the same
            behaviours in random order; None: not run.
        lost: Accuracy of the thinking model alone less that of an exchange with itself; None: not run.
        when_share_open: The when-share with the widest ends that come of counting all or none of the open responses
            (cut off, or unsure) of any cell as right; NaN where one of these shows no gap.
        when_above_control_open: `when_above_control` likewise.
        lost_open: `lost` likewise.
    """

    base: str
    thinking: str
    cells: dict[str, CellFigures]
    gap: Interval
    when_share: Interval
    how_share: Interval
    when_alone: Interval
    how_alone: Interval
    control_share: Interval | None
    when_above_control: Interval | None
    lost: Interval | None
    when_share_open: Interval
    when_above_control_open: Interval | None
    lost_open: Interval | None

    LOOK = ".cells, .when_share"
    __repr__ = brief

    @classmethod
    def of(cls, pair: Pair, answers: Mapping[str, Sequence[Answer]], level: float = LEVEL) -> PairExchange:
        """Compute the figures.

        Args:
            pair: The pair.
            answers: Cell -> its responses, `run_cells`.
            level: Of all intervals.

        Returns:
            The figures.
        """
        groups = [question.problem for question in pair.test]
        solved = {cell: _rates(some, groups) for cell, some in answers.items()}
        shares = shapley_shares_over_groups(
            solved[BASE], solved[WHEN], solved[HOW], solved[THINKING], groups, level=level
        )
        control = None
        if CONTROL in solved:
            control = gap_recovered_over_groups(
                solved[BASE], solved[THINKING], solved[CONTROL], groups, level=level
            ).share
        above, above_open = _differences(answers, WHEN, CONTROL, groups, level)
        lost, lost_open = _differences(answers, THINKING, ITSELF, groups, level)
        return cls(
            base=pair.base.name,
            thinking=pair.thinking.name,
            cells={cell: _cell(solved[cell], some, groups, level) for cell, some in answers.items()},
            gap=shares.gap,
            when_share=shares.first,
            how_share=shares.second,
            when_alone=shares.first_alone,
            how_alone=shares.second_alone,
            control_share=control,
            when_above_control=above,
            lost=lost,
            when_share_open=_at_bounds(shares.first, answers, groups, level),
            when_above_control_open=above_open,
            lost_open=lost_open,
        )

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values; None for NaN."""
        return to_row(self)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> PairExchange:
        """Read back what `to_dict` returned."""
        return from_row(cls, row)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row for each cell."""
        return [
            {
                "cell": name,
                "is_exchanged": name in EXCHANGED,
                "accuracy": cell.accuracy.value,
                "accuracy_low": cell.accuracy.low,
                "accuracy_high": cell.accuracy.high,
                "n": cell.accuracy.n,
                **{field: value for field, value in asdict(cell).items() if field != "accuracy"},
            }
            for name, cell in self.cells.items()
        ]


def _cell(solved: np.ndarray, answers: Sequence[Answer], groups: Sequence[str], level: float) -> CellFigures:
    n_sentences = max(1, sum(answer.n_sentences for answer in answers))
    n_tokens = max(1, sum(answer.n_tokens for answer in answers))
    return CellFigures(
        accuracy=accuracy_over_groups(solved, groups, level=level),
        truncated=float(np.mean([answer.is_truncated for answer in answers])),
        unsure=float(np.mean([answer.is_solved is None for answer in answers])),
        led=sum(answer.n_led for answer in answers) / n_sentences,
        led_tokens=sum(answer.n_given_tokens for answer in answers) / n_tokens,
        plans=sum(answer.n_plan_tokens for answer in answers) / n_tokens,
    )


def _at_bounds(
    share: Interval, answers: Mapping[str, Sequence[Answer]], groups: Sequence[str], level: float
) -> Interval:
    """Widen a share to the ends that it has if all, or none, of the open responses of each cell are right."""
    cells = [answers[cell] for cell in (BASE, WHEN, HOW, THINKING)]
    if isnan(share.value) or not any(_is_open(answer) for some in cells for answer in some):
        return share
    shares = []
    for counted in product((False, True), repeat=len(cells)):
        base, when, how, thinking = (
            _rates(some, groups, is_counted) for some, is_counted in zip(cells, counted, strict=True)
        )
        shares.append(shapley_shares_over_groups(base, when, how, thinking, groups, level=level).first)
    if any(isnan(one.value) for one in shares):
        return Interval(share.value, nan, nan, share.n)
    return Interval(share.value, min(one.low for one in shares), max(one.high for one in shares), share.n)


def _differences(
    answers: Mapping[str, Sequence[Answer]], cell: str, other: str, groups: Sequence[str], level: float
) -> tuple[Interval | None, Interval | None]:
    """Compute by how much a cell is above another, as measured and at the worst count of open responses."""
    if other not in answers:
        return None, None
    counted = [
        accuracy_difference_over_groups(
            _rates(answers[cell], groups, is_right), _rates(answers[other], groups, is_other_right), groups, level=level
        )
        for is_right, is_other_right in product((False, True), repeat=2)
    ]
    measured = counted[0]
    ends = min(one.low for one in counted), max(one.high for one in counted)
    return measured, Interval(measured.value, *ends, measured.n)


def _is_open(answer: Answer) -> bool:
    return answer.is_solved is not True and (answer.is_truncated or answer.is_solved is None)


def _rates(answers: Sequence[Answer], groups: Sequence[str], is_open_right: bool = False) -> np.ndarray:
    solved = [answer.is_solved is True or (is_open_right and _is_open(answer)) for answer in answers]
    rates: np.ndarray = np.reshape(solved, (len(groups), -1)).mean(axis=1)
    return rates
