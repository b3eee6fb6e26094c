"""Losses and shares of ranks against sums by hand, and a base that reads its own text."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from reasonlens.pairs.likelihood.perplexity import ALL, EVERY, FIRST, REST, UNLABELLED, loss_of, rank_shares
from reasonlens.pairs.likelihood.token_reading import TokenReading
from reasonlens.traces import Span, Trace


def trace(problem: int, labels: str = "ab") -> Trace:
    return Trace(
        f"t{problem}", "q", "x" * 10, tuple(Span(3 * i, 3 * i + 3, name) for i, name in enumerate(labels)), str(problem)
    )


def reading(nats: list[float], ranks: list[int], spans: list[int]) -> TokenReading:
    places = np.array(spans)
    is_first = np.array([place >= 0 and (i == 0 or spans[i - 1] != place) for i, place in enumerate(spans)])
    return TokenReading(np.array(nats), np.array(ranks), places, is_first, 2 * len(nats))


TRACES = [trace(0), trace(1)]
READINGS = [reading([1, 2, 3], [1, 2, 6], [0, 0, 1]), reading([4.0], [11], [-1])]


def test_a_loss_is_a_sum_over_tokens_and_long_responses_count_for_more() -> None:
    loss = loss_of("thinking", "base", TRACES, READINGS)
    assert loss.nats_a_token.value == pytest.approx(10 / 4) and loss.nats_a_token.n == 2
    assert loss.nats_a_character.value == pytest.approx(10 / 8) and loss.n_tokens == 4


def test_shares_of_ranks_are_counted_by_behaviour_and_place() -> None:
    rows = {(row.behaviour, row.place, row.rank): row for row in rank_shares(TRACES, READINGS, TRACES, READINGS)}
    assert rows[EVERY, ALL, 1].share.value == 0.25 and rows[EVERY, ALL, 5].share.value == 0.5
    assert rows[EVERY, ALL, 10].share.value == 0.75 and rows[EVERY, ALL, 10].n_tokens == 4
    assert rows["a", FIRST, 1].share.value == 1 and rows["a", REST, 1].share.value == 0
    assert rows["b", FIRST, 5].share.value == 0 and ("b", REST, 5) not in rows
    assert rows[UNLABELLED, ALL, 10].share.value == 0
    assert all(row.excess.value == 0 for row in rows.values())


def test_a_behaviour_that_the_base_never_writes_has_no_share_of_its_own() -> None:
    own = [reading([1.0], [1], [-1]), reading([1.0], [1], [-1])]
    rows = {(row.behaviour, row.place, row.rank): row for row in rank_shares(TRACES, READINGS, TRACES, own)}
    assert isnan(rows["a", ALL, 1].own_share.value) and isnan(rows["a", ALL, 1].excess.value)
    assert rows[EVERY, ALL, 1].own_share.value == 1 and rows[EVERY, ALL, 1].excess.value == pytest.approx(-0.75)


def test_a_problem_that_one_model_left_empty_counts_for_the_other() -> None:
    rows = {
        (row.behaviour, row.place, row.rank): row for row in rank_shares(TRACES[:1], READINGS[:1], TRACES, READINGS)
    }
    assert rows[EVERY, ALL, 10].n_tokens == 3 and rows[EVERY, ALL, 10].own_share.value == 0.75
