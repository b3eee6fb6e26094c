"""What the when-share of a pair says, by rules that are gone through in order (docs/verdicts.md).

    low, high    ends of the when-share, at the worst count of open responses, widened by the instrument's error at this
                 gap and by what the exchange itself may do: the farther end of what an exchange with itself costs,
                 / 2 gap

Only these ends decide; where plans are left to who writes, only the lower one, since such a share is too low. A claim
that moments matter needs the control that writes the same behaviours in random order.
If each of the two exchanged cells loses between nothing and c of the accuracy by being exchanged, the share moves by
c / 2 gap at most, which is where one loses all of it and the other none. So a loss that the control does not rule out
cannot have made a claim; one that is surely large forbids all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from ...stats import Interval
from ..verdict_sentence import Verdict, conclude, deciding_interval
from .cells import BASE, CONTROL, HOW, ITSELF, THINKING, WHEN
from .instrument import Instrument, shipped_instrument
from .pair_exchange import PairExchange

PAIR = "pair"

# Headlines.
NO_GAP = "No gap is shown"
WORSE = "The thinking model is worse than its base"
WHEN_AT_A_COST = "Training taught when, and cost some how"
HOW_AT_A_COST = "Training taught how, and cost some when"
WHEN_LITTLE_HOW = "Training taught when, and little or no how"
HOW_LITTLE_WHEN = "Training taught how, and little or no when"
BOTH = "Training taught both when and how"
MORE_WHEN = "Training taught more when than how"
MORE_HOW = "Training taught more how than when"
WHEN_AND_PERHAPS_HOW = "Training taught when, and perhaps how"
HOW_AND_PERHAPS_WHEN = "Training taught how, and perhaps when"
CANNOT_SAY = "Cannot say"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingThresholds:
    """Where one sentence ends and another begins, as shares of the gap.

    Attributes:
        little: What goes with *when*, or with *how*, is little if its upper end lies below.
        most: It is most if its lower end lies above.
        lost: More than this the exchange itself may not surely cost, nor gain.
    """

    little: float = 0.25
    most: float = 0.5
    lost: float = 0.15


READING_THRESHOLDS = ReadingThresholds()


def reading_of(
    pair: PairExchange,
    instrument: Instrument | None = None,
    thresholds: ReadingThresholds = READING_THRESHOLDS,
    *,
    takes_plans: bool = True,
) -> Verdict:
    """Say what the exchange of a pair shows, by the first rule that applies.

    Args:
        pair: Its figures.
        instrument: How well the when-share reads pairs of known truth; None: as shipped.
        thresholds: Where one sentence ends and another begins.
        takes_plans: Whether plans were the decider's word by word, as in the pairs that the instrument was calibrated
            on.

    Returns:
        The sentence, the figures that decided it, and the controls that would have refuted it.
    """
    if not pair.gap.low > 0:
        is_worse = pair.gap.high < 0
        headline = WORSE if is_worse else NO_GAP
        because = f"the thinking model solves {pair.gap} more than the base"
        return conclude("no gap", headline, because, (THINKING,), deciding_interval(THINKING, "gap", pair.gap))
    instrument = instrument or shipped_instrument()
    error = instrument.error_at(pair.gap.value)

    def claim_of(share: Interval, moved: float = 0.0) -> tuple[str, bool] | None:
        high = share.high + error + moved if takes_plans else inf
        return _claim(share.low - error - moved, high, thresholds)

    claim = claim_of(pair.when_share)
    if claim_of(pair.when_share_open) != claim:
        return _open(pair, (BASE, WHEN, HOW, THINKING), claim)
    share = deciding_interval(PAIR, "when_share", pair.when_share)
    if claim is None:
        because = f"{_read(pair, instrument)}, which tells neither from the other"
        if not takes_plans:
            because += "; without plans a share is too low, so that no upper end counts"
        return conclude("interval", CANNOT_SAY, because, ("more problems",), share)
    headline, needs_moments = claim
    controls = (CONTROL, ITSELF) if needs_moments else (ITSELF,)
    if pair.lost is None or pair.lost_open is None or (needs_moments and pair.when_above_control is None):
        because = f"{_read(pair, instrument)}, and the controls were not run"
        return conclude("missing", CANNOT_SAY, because, controls, share)
    lost = deciding_interval(ITSELF, "lost", pair.lost)
    moved = moved_by_exchange(pair.lost, pair)
    of_itself = f"exchanging with itself the thinking model solves {pair.lost} less than alone"
    if _surely_costs(pair.lost, pair, thresholds):
        return conclude("lost", CANNOT_SAY, of_itself, (ITSELF,), lost)
    of_itself = f"{of_itself}, which may move this by {moved:.2f} at most"
    claim = claim_of(pair.when_share, moved)
    if claim is None:
        because = f"{_read(pair, instrument)}; {of_itself}, and then it tells neither from the other"
        return conclude("lost", CANNOT_SAY, because, (ITSELF,), lost, share)
    if (
        _surely_costs(pair.lost_open, pair, thresholds)
        or claim_of(pair.when_share_open, moved_by_exchange(pair.lost_open, pair)) != claim
    ):
        return _open(pair, (BASE, WHEN, HOW, THINKING, ITSELF), claim)
    headline, needs_moments = claim
    controls = (CONTROL, ITSELF) if needs_moments else (ITSELF,)
    above, above_open = pair.when_above_control, pair.when_above_control_open
    if not needs_moments or above is None or above_open is None:
        return conclude("reading", headline, f"{_read(pair, instrument)}; {of_itself}", controls, share, lost)
    moments = deciding_interval(WHEN, "when_above_control", above)
    if above.low <= 0:
        because = f"the moments are not shown to matter: with them the base solves {above} more than in random order"
        return conclude("moments", CANNOT_SAY, because, (CONTROL,), moments, share)
    if above_open.low <= 0:
        return _open(pair, (WHEN, CONTROL), claim)
    because = f"{_read(pair, instrument)}; {of_itself}; in random order the same behaviours solve {above} less"
    return conclude("reading", headline, because, controls, share, lost, moments)


def _surely_costs(lost: Interval, pair: PairExchange, thresholds: ReadingThresholds) -> bool:
    """Say whether the exchange itself surely costs more than is allowed, or surely gains as much."""
    limit = thresholds.lost * pair.gap.value
    return lost.low > limit or lost.high < -limit


def moved_by_exchange(lost: Interval, pair: PairExchange) -> float:
    """Compute by how much the when-share is moved, at most, if one exchanged cell loses all that any may lose.

    Args:
        lost: What an exchange with itself costs the thinking model.
        pair: Its figures.

    Returns:
        A share of the gap.
    """
    return max(lost.high, -lost.low, 0.0) / (2 * pair.gap.value)


def _claim(low: float, high: float, thresholds: ReadingThresholds) -> tuple[str, bool] | None:
    """Say what ends allow, and whether it is a claim about moments; None: nothing."""
    little, most = thresholds.little, thresholds.most
    claims = (
        (low > 1 + little, WHEN_AT_A_COST, True),
        (high < -little, HOW_AT_A_COST, False),
        (low > 1 - little, WHEN_LITTLE_HOW, True),
        (high < little, HOW_LITTLE_WHEN, False),
        (low > little and high < 1 - little, BOTH, True),
        (low > most, MORE_WHEN, True),
        (high < most, MORE_HOW, False),
        (low > little, WHEN_AND_PERHAPS_HOW, True),
        (high < 1 - little, HOW_AND_PERHAPS_WHEN, False),
    )
    return next(((headline, needs_moments) for holds, headline, needs_moments in claims if holds), None)


def _read(pair: PairExchange, instrument: Instrument) -> str:
    share, gap = pair.when_share, pair.gap
    return (
        f"of a gap of {gap.value:.2f} [{gap.low:.2f}, {gap.high:.2f}], {share.value:.2f} [{share.low:.2f}, "
        f"{share.high:.2f}] goes with who decides what a sentence does, read by an instrument that erred by "
        f"{instrument.mean_abs_error:.2f} on average on {instrument.n_pairs} pairs of known truth and may err by "
        f"{instrument.error_at(gap.value):.2f} at such a gap"
    )


def _open(pair: PairExchange, cells: tuple[str, ...], claim: tuple[str, bool] | None) -> Verdict:
    shares = {name: pair.cells[name].truncated + pair.cells[name].unsure for name in cells}
    largest = max(shares, key=lambda name: shares[name])
    because = (
        f"responses that were cut off or are unsure decide it ({shares[largest]:.1%} of {largest}): "
        f"“{claim[0] if claim else 'Cannot say'}” as they are, and something else if they are counted otherwise"
    )
    share = deciding_interval(PAIR, "when_share_open", pair.when_share_open)
    return conclude("open", CANNOT_SAY, because, cells, share)
