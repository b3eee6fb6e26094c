"""The result of a verdict: what it says, its page, and itself again from JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reasonlens.pairs.exchange.instrument import shipped_instrument
from reasonlens.pairs.verdict import VerdictResult
from reasonlens.pairs.verdict.exchange_piece import SHARE, line_of_exchange
from reasonlens.rundir import InputError
from reasonlens.stats import Interval
from tests.pairs.exchange.results import pair_exchange

from .results import EVIL, climb, exchange_line, other_line, share, verdict_result


def test_a_result_comes_back_whole_from_json() -> None:
    result = verdict_result()
    again = VerdictResult.from_dict(json.loads(json.dumps(result.to_dict())))
    assert again.to_dict() == result.to_dict() and str(again.verdict) == str(result.verdict)
    assert again.lines == result.lines and again.truth == result.truth
    with pytest.raises(InputError, match=r"no reasonlens\.verdict/2"):
        VerdictResult.from_dict({"format": "reasonlens.exchange/4"})


def test_nothing_that_a_user_or_model_wrote_is_obeyed_by_the_page() -> None:
    result = verdict_result()
    for page in (result.report(), result._repr_html_()):
        assert EVIL not in page and "&lt;script&gt;alert" in page
    assert "Planted truth: 0.900 [0.850, 0.970]" in result.report()


def test_the_page_has_the_layout_of_all_pages_and_loads_nothing() -> None:
    result = verdict_result()
    page = result.report()
    assert "Content-Security-Policy" in page and "src=" not in page
    places = [page.index(text) for text in (result.verdict.headline, "exchange: Of the gap", "could not be measured")]
    assert places == sorted(places)
    for name in result.figures():
        assert f'id="{name}"' in page


def test_what_is_lacking_is_said_with_its_reason_and_what_did_not_fit_with_its_time() -> None:
    result = verdict_result()
    assert result.unmeasured == {
        "profile": f"no sentence of {EVIL} shows a behaviour",
        "hybrid": "no size of it fits in the budget",
    }
    assert result.lacking() == [f"{name}: {reason}" for name, reason in result.unmeasured.items()]
    changes = result.would_change()
    assert any("in random order" in sentence for sentence in changes)
    further = f"a larger --budget: exchange at 1 {EVIL} would take about 30 s more"
    assert f"{further}; a further look, with wider intervals" in changes
    assert further in replace(result, looks=()).would_change()
    assert f"a larger --budget: hybrid at 0 {EVIL} would take about an unknown time more" in changes
    larger = replace(result, climbs=(*result.climbs, climb("passk", "failed", "too few problems", rung=1)))
    assert f"passk at 1 {EVIL}: too few problems" in larger.lacking() and "passk" not in larger.unmeasured


def test_the_interval_that_the_sentence_is_read_from_is_on_the_page() -> None:
    pair = replace(pair_exchange(), gap=share(0.5), lost=Interval(0.05, -0.02, 0.1, 100))
    widest = [one.share for one in line_of_exchange(pair, share(1.0), "100 problems").readings if one.unit == SHARE][2]
    apart = shipped_instrument().error_at(0.5) + 0.1
    assert (widest.low, widest.high) == pytest.approx((pair.when_share.low - apart, pair.when_share.high + apart))


def test_a_sentence_that_says_nothing_names_what_could_settle_it() -> None:
    undecided = replace(verdict_result(), lines=(exchange_line(0.5, labelled=0.1),))
    assert undecided.verdict.headline == "Cannot say"
    assert undecided.would_change()[0] == "a labeller that knows behaviours of these texts"


def test_lines_are_tabulated_with_their_stances_and_drawn_one_by_one() -> None:
    result = verdict_result()
    frame = result.to_frame()
    assert list(frame.columns[:3]) == ["piece", "stance", "reading"] and set(frame["stance"]) == {"decides", "silent"}
    assert set(result.figures()) == {"exchange", "passk"} and result.figure().data
    assert result.seconds == 36.0
    assert "planted truth" in repr(result) and "2 lines of evidence" in repr(result)


def test_a_result_of_nothing_says_why_and_has_no_figure() -> None:
    empty = replace(verdict_result(), lines=(), climbs=(climb("exchange", "failed", "a prompt opens thoughts"),))
    assert "a prompt opens thoughts" in str(empty.verdict) and empty.to_frame().empty
    assert "a prompt opens thoughts" in empty.report()
    with pytest.raises(InputError, match="nothing was measured"):
        empty.figure()
    blank = replace(other_line("passk"), readings=())
    assert blank.table() is None
