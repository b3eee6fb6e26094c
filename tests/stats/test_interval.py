"""What an interval prints, and what it is in a table and in JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from reasonlens.stats import Interval, mean_and_range

SHARE = Interval(0.438, 0.395148, 0.481797, 500)


def test_an_interval_prints_its_value_and_ends_to_three_digits() -> None:
    assert str(SHARE) == "0.438 [0.395, 0.482]"


def test_columns_bear_the_figures_name_and_keep_nan_where_json_has_null() -> None:
    assert SHARE.columns("gap") == {"gap": 0.438, "gap_low": 0.395148, "gap_high": 0.481797}
    assert SHARE.json_columns("gap") == SHARE.columns("gap")
    unknown = Interval(0.5)
    assert math.isnan(unknown.columns("gap")["gap_low"]) and unknown.n == 0
    assert unknown.json_columns("gap") == {"gap": 0.5, "gap_low": None, "gap_high": None}
    assert Interval.from_columns(SHARE.json_columns("gap"), "gap", n=500) == SHARE
    assert math.isnan(Interval.from_columns(unknown.json_columns("gap"), "gap").high)


def test_an_interval_survives_strict_json_with_and_without_ends() -> None:
    def again(interval: Interval) -> Interval:
        return Interval.from_dict(json.loads(json.dumps(interval.to_dict(), allow_nan=False)))

    assert again(SHARE) == SHARE and isinstance(again(SHARE).n, int)
    unknown = again(Interval(math.nan, n=3))
    assert unknown.n == 3 and all(math.isnan(each) for each in (unknown.value, unknown.low, unknown.high))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"value": 0.5, "low": 0.4, "high": 0.6}, "has value, low, high and n, and this one has value, low, high"),
        ({"value": 0.5, "low": 0.4, "high": 0.6, "n": 3, "p": 1}, "this one has value, low, high, n, p"),
        ({"value": "0.5", "low": 0.4, "high": 0.6, "n": 3}, "value of an interval must be a number or null, and '0.5'"),
        ({"value": True, "low": 0.4, "high": 0.6, "n": 3}, "value of an interval must be a number or null, and True"),
        ({"value": 0.5, "low": 0.4, "high": 0.6, "n": 2.5}, "n of an interval must be a whole number from 0, and 2.5"),
        ({"value": 0.5, "low": 0.4, "high": 0.6, "n": None}, "n of an interval must be a whole number from 0"),
        ({"value": 0.5, "low": 0.4, "high": 0.6, "n": -1}, "n of an interval must be a whole number from 0, and -1"),
    ],
)
def test_a_row_that_is_no_interval_is_refused(row: dict[str, float | None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Interval.from_dict(row)


def test_a_controls_draws_are_summarised_by_mean_and_whole_range() -> None:
    assert mean_and_range(np.array([0.2, 0.6, 0.1])) == Interval(pytest.approx(0.3), 0.1, 0.6, 3)
