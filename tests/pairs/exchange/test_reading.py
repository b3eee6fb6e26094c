"""What is said of a when-share: by the ends of its interval, the error of the instrument, and the controls."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import numpy as np
import pytest

from reasonlens.pairs import organism_pair
from reasonlens.pairs.exchange import Calibration, ExchangeSettings, PairExchange
from reasonlens.pairs.exchange.cells import Answer
from reasonlens.pairs.exchange.instrument import Instrument, shipped_instrument
from reasonlens.pairs.exchange.reading import READING_THRESHOLDS, reading_of
from reasonlens.rundir import InputError
from reasonlens.stats import Interval, accuracy_difference_over_groups, shapley_shares_over_groups
from tests.pairs.exchange.results import calibration, pair_exchange

EXACT = Instrument(n_pairs=9, mean_abs_error=0.0, largest_error=0.0, tolerance_accuracy=0.0, concordance=1.0)


def of_share(low: float, high: float, **fields: object) -> PairExchange:
    share = Interval((low + high) / 2, low, high, 100)
    return replace(pair_exchange(), when_share=share, when_share_open=share, **fields)


@pytest.mark.parametrize(
    ("low", "high", "headline"),
    [
        (0.76, 1.2, "Training taught when, and little or no how"),
        (-0.1, 0.24, "Training taught how, and little or no when"),
        (0.26, 0.74, "Training taught both when and how"),
        (0.51, 0.9, "Training taught more when than how"),
        (0.1, 0.49, "Training taught more how than when"),
        (0.3, 0.9, "Training taught when, and perhaps how"),
        (0.1, 0.7, "Training taught how, and perhaps when"),
        (0.2, 0.8, "Cannot say"),
    ],
)
def test_the_ends_of_the_interval_decide(low: float, high: float, headline: str) -> None:
    verdict = reading_of(of_share(low, high), EXACT)
    assert verdict.headline == headline
    assert verdict.rule == ("interval" if headline == "Cannot say" else "reading")
    assert verdict.figures[0].low == low and verdict.figures[0].high == high


@pytest.mark.parametrize(
    ("gap", "tolerance", "headline"),
    [
        (0.5, 0.0, "when, and little or no how"),
        (0.5, 0.03, "more when than how"),
        (0.8, 0.03, "when, and little or no how"),
    ],
)
def test_the_error_of_the_instrument_is_one_of_accuracy_and_widens_the_ends(
    gap: float, tolerance: float, headline: str
) -> None:
    pair = of_share(0.8, 1.1, gap=Interval(gap, gap - 0.1, gap + 0.1, 100))
    verdict = reading_of(pair, replace(EXACT, tolerance_accuracy=tolerance))
    assert verdict.headline == f"Training taught {headline}" and f"may err by {tolerance / gap:.2f} at" in str(verdict)


def test_without_plans_no_upper_end_decides() -> None:
    said = {
        (low, high): reading_of(of_share(low, high), EXACT, takes_plans=False) for low, high in ((0.0, 0.2), (0.8, 1.1))
    }
    assert said[0.8, 1.1].headline == "Training taught when, and little or no how"
    assert said[0.0, 0.2].headline == "Cannot say" and "no upper end counts" in str(said[0.0, 0.2])


@pytest.mark.parametrize(
    ("low", "high", "headline"),
    [(1.3, 1.9, "Training taught when, and cost some how"), (-1.2, -0.3, "Training taught how, and cost some when")],
)
def test_a_share_beyond_its_ends_says_what_training_cost(low: float, high: float, headline: str) -> None:
    assert reading_of(of_share(low, high), EXACT).headline == headline


def test_a_claim_of_moments_needs_the_control_in_random_order_and_names_it() -> None:
    claim = of_share(0.8, 1.1)
    assert reading_of(claim, EXACT).refutable_by == ("other moments", "itself")
    matched = reading_of(replace(claim, when_above_control=Interval(0.1, -0.01, 0.2, 100)), EXACT)
    assert matched.rule == "moments" and matched.headline == "Cannot say"
    assert reading_of(replace(claim, when_above_control=None), EXACT).rule == "missing"
    how = of_share(0.0, 0.2, when_above_control=None)
    assert reading_of(how, EXACT).rule == "reading" and reading_of(how, EXACT).refutable_by == ("itself",)


def of_lost(low: float, high: float) -> Interval:
    """What an exchange with itself costs, in units of a gap of 0.5."""
    return Interval((low + high) / 4, low / 2, high / 2, 100)


@pytest.mark.parametrize(
    ("low", "high", "rule"),
    [
        *((-0.02, 0.04, "reading"), (0.14, 0.2, "reading"), (0.16, 0.2, "lost")),
        *((-0.2, -0.14, "reading"), (-0.2, -0.16, "lost")),
    ],
)
def test_nothing_is_said_where_the_exchange_itself_surely_costs_or_gains_much(
    low: float, high: float, rule: str
) -> None:
    pair = replace(of_share(0.0, 0.2), gap=Interval(0.5, 0.4, 0.6, 100))
    assert READING_THRESHOLDS.lost == 0.15
    lost = of_lost(low, high)
    assert reading_of(replace(pair, lost=lost, lost_open=lost), EXACT).rule == rule
    if rule == "lost":
        assert reading_of(replace(pair, lost_open=lost), EXACT).rule == "open"
    assert reading_of(replace(pair, lost=None), EXACT).rule == "missing"


@pytest.mark.parametrize(
    ("low", "high", "headline", "rule"),
    [
        (-0.02, 0.08, "Training taught when, and little or no how", "reading"),
        (-0.08, 0.02, "Training taught when, and little or no how", "reading"),
        (-0.02, 0.12, "Training taught more when than how", "reading"),
        (-0.05, 0.9, "Training taught when, and perhaps how", "reading"),
        (-0.05, 1.2, "Cannot say", "lost"),
    ],
)
def test_what_the_exchange_itself_may_cost_weakens_the_claim_by_as_much_as_it_can_have_made(
    low: float, high: float, headline: str, rule: str
) -> None:
    pair = replace(of_share(0.8, 1.1), gap=Interval(0.5, 0.4, 0.6, 100), lost=of_lost(low, high))
    verdict = reading_of(replace(pair, lost_open=pair.lost), EXACT)
    assert (verdict.headline, verdict.rule) == (headline, rule)
    assert f"may move this by {max(high, -low) / 2:.2f} at most" in verdict.because and "itself" in verdict.refutable_by


def simulated(rng: np.random.Generator, n: int, rates: tuple[float, float, float, float, float]) -> PairExchange:
    """Draw an exchange: accuracies of base, when, how, thinking and itself, of problems that differ in ease."""
    ease = rng.beta(2, 2, n) * 2 - 1
    base, when, how, thinking, itself = (
        rng.binomial(k, np.clip(rate + 0.25 * ease, 0, 1)[:, None], (n, 1)).mean(axis=1) / k
        for rate, k in zip(rates, (4, 1, 1, 4, 1), strict=True)
    )
    shares = shapley_shares_over_groups(base, when, how, thinking, n_resamples=400)
    lost = accuracy_difference_over_groups(thinking, itself, n_resamples=400)
    above = Interval(0.3, 0.2, 0.4, n)
    return replace(
        pair_exchange(),
        gap=shares.gap,
        **dict.fromkeys(("when_share", "when_share_open"), shares.first),
        **dict.fromkeys(("lost", "lost_open"), lost),
        **dict.fromkeys(("when_above_control", "when_above_control_open"), above),
    )


def test_a_sound_exchange_of_a_small_gap_is_not_refused_for_the_noise_of_its_control() -> None:
    """Planted: all is when, a gap of .4, nothing is lost; the former rule refused four in five of these at n = 100."""
    rng = np.random.default_rng(0)
    pairs = [simulated(rng, 100, (0.15, 0.55, 0.15, 0.55, 0.55)) for _ in range(60)]
    refused = [reading_of(pair, EXACT).rule == "lost" for pair in pairs]
    former = [pair.lost is not None and pair.lost.high > READING_THRESHOLDS.lost * pair.gap.value for pair in pairs]
    assert np.mean(refused) <= 0.05 and np.mean(former) > 0.6
    assert np.mean([reading_of(pair, EXACT).headline.startswith("Training taught") for pair in pairs]) > 0.9


@pytest.mark.parametrize("loss", [0.04, 0.1, 0.2, 0.4])
def test_a_loss_of_the_exchange_makes_no_claim_even_if_it_strikes_one_cell_alone(loss: float) -> None:
    """Planted: half is when; what the thinking model writes in an exchange is worse, so that the share is too high."""
    rng = np.random.default_rng(1)
    pairs = [simulated(rng, 100, (0.2, 0.4, max(0.4 - loss, 0.0), 0.6, 0.6 - loss)) for _ in range(60)]
    claims = [reading_of(pair, EXACT).headline for pair in pairs]
    wrong = [claim.endswith(("little or no how", "cost some how", "more when than how")) for claim in claims]
    assert np.mean(wrong) <= 0.05


def test_open_responses_that_change_the_sentence_forbid_it() -> None:
    pair = of_share(0.8, 1.1)
    open_share = replace(pair.when_share, low=0.4)
    assert reading_of(replace(pair, when_share_open=open_share), EXACT).rule == "open"
    assert reading_of(replace(pair, when_share_open=replace(open_share, low=0.76)), EXACT).rule == "reading"
    assert reading_of(replace(pair, when_share_open=replace(open_share, low=nan, high=nan)), EXACT).rule == "open"
    of_control = reading_of(replace(pair, when_above_control_open=Interval(0.4, -0.1, 0.5, 100)), EXACT)
    assert of_control.rule == "open" and of_control.refutable_by == ("when", "other moments")


def test_open_responses_and_a_loss_that_change_the_sentence_only_together_forbid_it() -> None:
    pair = replace(of_share(0.6, 0.9), gap=Interval(0.5, 0.4, 0.6, 100), lost=of_lost(-0.1, 0.6))
    pair = replace(pair, lost_open=pair.lost)
    assert reading_of(pair, EXACT).headline == "Training taught when, and perhaps how"  # from 0.6 - 0.3 on
    both = replace(pair, when_share_open=replace(pair.when_share, low=0.52))  # from 0.52, or 0.52 - 0.3 on
    assert reading_of(replace(both, lost=of_lost(-0.01, 0.01), lost_open=of_lost(-0.01, 0.01)), EXACT).rule == "reading"
    assert reading_of(both, EXACT).rule == "open"


def test_without_a_gap_and_with_a_worse_model_nothing_is_shared_out() -> None:
    nothing = Interval(nan, nan, nan, 100)
    no_gap = replace(pair_exchange(), gap=Interval(0.1, -0.1, 0.3, 100), when_share=nothing, when_share_open=nothing)
    assert reading_of(no_gap, EXACT).headline == "No gap is shown"
    worse = replace(of_share(0.8, 1.1), gap=Interval(-0.6, -0.7, -0.5, 100))
    assert reading_of(worse, EXACT).headline == "The thinking model is worse than its base"


def answers(n_right: int, n_cut: int, n: int = 60) -> list[Answer]:
    return [
        Answer(
            text="",
            tokens=(),
            n_tokens=9,
            is_solved=number < n_right,
            is_truncated=number >= n - n_cut,
            n_sentences=1,
            n_led=0,
            n_given_tokens=0,
            n_plan_tokens=0,
        )
        for number in range(n)
    ]


def test_open_ends_are_those_of_the_worst_count() -> None:
    pair = organism_pair("organism/rl-timing", n_train=1, n_validation=1, n_test=60)
    rights = {"base": 6, "when": 36, "how": 6, "thinking": 42}
    plain = PairExchange.of(pair, {cell: answers(n, 0) for cell, n in rights.items()})
    assert plain.when_share_open == plain.when_share
    cut = PairExchange.of(pair, {cell: answers(n, 6 if cell == "when" else 0) for cell, n in rights.items()})
    counted = PairExchange.of(pair, {cell: answers(n, 0) for cell, n in rights.items()})
    assert cut.when_share == plain.when_share == counted.when_share
    rights_if_right = np.r_[np.ones(36), np.zeros(18), np.ones(6)]
    by_hand = PairExchange.of(
        pair,
        {
            cell: [replace(one, is_solved=bool(right)) for one, right in zip(some, rights_if_right, strict=True)]
            if cell == "when"
            else some
            for cell, some in ((cell, answers(n, 0)) for cell, n in rights.items())
        },
    )
    assert cut.when_share_open.low == plain.when_share.low
    assert cut.when_share_open.high == by_hand.when_share.high > plain.when_share.high


def test_open_responses_of_controls_are_put_at_their_worst_count_too() -> None:
    pair = organism_pair("organism/rl-timing", n_train=1, n_validation=1, n_test=60)
    rights = {"base": 6, "when": 36, "how": 6, "thinking": 42, "other moments": 6, "itself": 42}
    n_cut = {"other moments": 40, "itself": 9}
    cells = {cell: answers(n, n_cut.get(cell, 0)) for cell, n in rights.items()}
    exchanged = PairExchange.of(pair, cells)
    assert exchanged.when_above_control is not None and exchanged.when_above_control_open is not None
    assert exchanged.when_above_control.value == pytest.approx(30 / 60) and exchanged.when_above_control.low > 0
    assert exchanged.when_above_control_open.low < 0
    assert exchanged.when_above_control_open.high == exchanged.when_above_control.high
    assert exchanged.lost is not None and exchanged.lost_open is not None
    assert exchanged.lost_open.low < exchanged.lost.low and exchanged.lost_open.high == exchanged.lost.high


def test_controls_are_compared_in_pairs() -> None:
    pair = organism_pair("organism/rl-timing", n_train=1, n_validation=1, n_test=60)
    rights = {"base": 6, "when": 36, "how": 6, "thinking": 42, "other moments": 3, "itself": 39}
    exchanged = PairExchange.of(pair, {cell: answers(n, 0) for cell, n in rights.items()})
    assert exchanged.when_above_control is not None and exchanged.lost is not None
    assert exchanged.when_above_control.value == pytest.approx(33 / 60)
    assert exchanged.lost.value == pytest.approx(3 / 60)


def test_the_shipped_errors_are_those_of_the_shipped_pairs() -> None:
    shipped = shipped_instrument()
    assert shipped.n_pairs >= 6 and 0 < shipped.mean_abs_error <= shipped.largest_error < 0.5
    three = Instrument.of(calibration())
    assert three.n_pairs == 3 and three.largest_error == pytest.approx(0.1)
    errors = 0.5 * np.array([-0.05, 0.1, -0.05])
    chi_squared = 0.3518  # 5% of a chi-squared of three lie below (tables)
    assert three.tolerance_accuracy == pytest.approx(1.96 * np.sqrt(np.sum(errors**2) / chi_squared), rel=1e-3)


def test_the_tolerance_holds_95_of_pairs_in_95_of_families() -> None:
    """Errors of pairs of one base are alike; as many pairs again of the same bases say little more."""
    draw = np.random.default_rng(0)
    n_bases, covering = 6, 0
    for _ in range(400):
        errors = np.repeat(draw.normal(0, 0.03, n_bases), 2)
        pairs = {
            str(number): replace(
                next(iter(calibration().pairs.values())),
                base=str(number // 2),
                truth=Interval(0.5, n=9),
                gap=Interval(0.4, n=9),
                readings={"when-share": Interval(0.5 + error / 0.4, n=9)},
            )
            for number, error in enumerate(errors)
        }
        made = Instrument.of(Calibration(pairs=pairs, settings=ExchangeSettings()))
        covering += made.tolerance_accuracy >= 1.96 * 0.03
    assert 0.92 < covering / 400 < 0.98


def test_families_are_joined_with_their_names_and_one_set_of_settings() -> None:
    joined = Calibration.joined({"a": calibration(), "b": calibration()})
    assert len(joined.pairs) == 6 and "both (a)" in joined.pairs and joined.concordance() == (1.0, 12)
    other = Calibration(pairs=calibration().pairs, settings=ExchangeSettings(seed=1))
    with pytest.raises(InputError, match="of a, b they differ"):
        Calibration.joined({"a": calibration(), "b": other})
    with pytest.raises(InputError, match="of none they differ"):
        Calibration.joined({})
