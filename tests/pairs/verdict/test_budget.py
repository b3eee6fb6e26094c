"""A budget of time: what is measured next, what no longer fits, and that a later call goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isnan
from pathlib import Path

import pytest

from reasonlens.pairs import organism_pair
from reasonlens.pairs.verdict import EvidenceLine, VerdictSettings
from reasonlens.pairs.verdict._verdict import measure_within
from reasonlens.pairs.verdict.budget import Climb, duration, left_out, next_rung, plan
from reasonlens.pairs.verdict.piece import Piece, Rung, Subject
from reasonlens.pairs.verdict.pieces import PIECES, pieces_for
from reasonlens.rundir import InputError

from .results import other_line


class Clock:
    """A clock that goes on only where work is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def subject_at(tmp_path_factory: pytest.TempPathFactory):
    pair = organism_pair("organism/rl-timing", n_train=0, n_validation=0, n_test=40)

    def make(name: str) -> Subject:
        place = tmp_path_factory.mktemp(name)
        return Subject(pair=pair, settings=VerdictSettings(), place=place, progress=False, level=0.95)

    return make


def pieces_of(clock: Clock, units: dict[str, float], fails: Sequence[str] = ()) -> dict[str, Piece]:
    """Pieces that take `units` seconds a unit of work, in turns, with rungs of 1, 2, 4 and 8 problems."""

    def measure(name: str):
        def line(subject: Subject, rungs: tuple[Rung, ...]) -> EvidenceLine:
            if name in fails:
                raise InputError(f"{name} needs labels: give some")
            clock.now += rungs[-1].work * units[name]
            return replace(other_line(name), size=rungs[-1].size)

        return line

    return {
        name: Piece(
            name=name,
            measure=measure(name),
            rungs=tuple(
                Rung(order=place + len(units) * step, n_problems=2**step, n_samples=1, work=2.0**step)
                for step in range(4)
            ),
        )
        for place, name in enumerate(units)
    }


def climbed(climbs: Sequence[Climb]) -> list[tuple[str, int]]:
    return [(climb.piece, climb.rung) for climb in climbs if climb.state == "done"]


def test_every_piece_is_tried_first_and_larger_sizes_follow_as_long_as_they_fit(subject_at) -> None:
    clock = Clock()
    lines, climbs = measure_within(subject_at("a"), pieces_of(clock, {"a": 1.0, "b": 3.0}), 20.0, clock)
    # 1 + 3 for the trials, 2 + 6, then 4: 16 are spent, 4 are left, and neither 8 of a nor 12 of b fits.
    assert climbed(climbs) == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2)]
    assert [climb.seconds for climb in climbs] == [1, 3, 2, 6, 4]
    assert isnan(climbs[0].estimate_seconds) and [climb.estimate_seconds for climb in climbs[2:]] == [2, 6, 4]
    assert {name: line.size for name, line in lines.items()} == {"a": "4 problems", "b": "2 problems"}
    assert [
        (one.piece, one.rung, one.estimate_seconds) for one in left_out(pieces_of(clock, {"a": 1, "b": 3}), climbs)
    ] == [
        ("b", 2, 12.0),
        ("a", 3, 8.0),
        ("b", 3, 24.0),
    ]


def test_a_piece_that_was_not_tried_is_thought_as_dear_as_the_dearest_other(subject_at) -> None:
    clock = Clock()
    pieces = pieces_of(clock, {"a": 1.0, "b": 5.0, "c": 1.0})
    _, climbs = measure_within(subject_at("b"), pieces, 7.0, clock)
    assert climbed(climbs) == [("a", 0), ("b", 0)]  # 1 s is left, and of c 5 s are expected
    chosen = next_rung(pieces, climbs, 5.0)
    assert chosen is not None and (chosen[0].name, chosen[2]) == ("c", 5.0)


def test_nothing_is_begun_that_would_overrun_whatever_the_budget(subject_at) -> None:
    for budget in (0.5, 3.0, 11.0, 31.0, 45.0):
        clock = Clock()
        _, climbs = measure_within(subject_at("c"), pieces_of(clock, {"a": 1.0, "b": 2.0}), budget, clock)
        assert clock.now <= max(budget, 1.0)  # nothing is known of the first trial
        assert next_rung(pieces_of(clock, {"a": 1, "b": 2}), climbs, budget - clock.now) is None


@pytest.mark.parametrize("first", [1.0, 4.5, 16.0])
def test_a_larger_budget_goes_on_and_ends_as_one_that_was_large_at_once(subject_at, first: float) -> None:
    at_once, later = Clock(), Clock()
    units = {"a": 1.0, "b": 3.0}
    whole = measure_within(subject_at("d"), pieces_of(at_once, units), 40.0, at_once)
    subject = subject_at("e")
    measure_within(subject, pieces_of(later, units), first, later)
    spent = later.now
    resumed = measure_within(subject, pieces_of(later, units), 40.0, later)
    assert spent < at_once.now == later.now  # what was there is not measured again
    assert resumed[0] == whole[0] and climbed(resumed[1]) == climbed(whole[1])
    assert measure_within(subject, pieces_of(later, units), 40.0, later)[0] == whole[0] and later.now == at_once.now


def test_a_piece_that_cannot_be_measured_costs_nothing_but_itself_and_is_tried_again_later(subject_at) -> None:
    clock, subject = Clock(), subject_at("f")
    units = {"a": 1.0, "b": 1.0, "c": 1.0}
    lines, climbs = measure_within(subject, pieces_of(clock, units, fails=["b"]), 1000.0, clock)
    assert set(lines) == {"a", "c"} and climbed(climbs).count(("a", 3)) == climbed(climbs).count(("c", 3)) == 1
    failed = [climb for climb in climbs if climb.state == "failed"]
    assert [(climb.piece, climb.reason) for climb in failed] == [("b", "b needs labels: give some")]
    assert not any(one.piece == "b" for one in left_out(pieces_of(clock, units), climbs))
    _, climbs = measure_within(subject, pieces_of(clock, units), 1.0, clock)  # too little time to try it again
    assert [climb.reason for climb in climbs if climb.state == "failed"] == ["b needs labels: give some"]
    lines, climbs = measure_within(subject, pieces_of(clock, units), 1000.0, clock)
    assert set(lines) == {"a", "b", "c"} and ("b", 3) in climbed(climbs)


def test_a_size_that_fails_leaves_the_smaller_one_in_place(subject_at) -> None:
    clock, subject = Clock(), subject_at("g")
    measure_within(subject, pieces_of(clock, {"a": 1.0}), 1.0, clock)
    lines, climbs = measure_within(subject, pieces_of(clock, {"a": 1.0}, fails=["a"]), 100.0, clock)
    assert lines["a"].size == "1 problems" and [climb.state for climb in climbs] == ["done", "failed"]


def test_a_plan_says_what_comes_and_what_does_not_fit(subject_at) -> None:
    clock = Clock()
    pieces = pieces_of(clock, {"a": 1.0, "b": 1.0})
    _, climbs = measure_within(subject_at("h"), pieces, 2.0, clock)
    planned = plan(pieces, climbs, 6.0)
    assert [(one.piece, one.rung, one.state) for one in planned] == [
        *[("a", 1, "done"), ("b", 1, "done"), ("a", 2, "left out"), ("b", 2, "left out")],
        *[("a", 3, "left out"), ("b", 3, "left out")],
    ]


def test_damaged_progress_is_refused_with_its_file(subject_at) -> None:
    subject = subject_at("i")
    (subject.place / "progress.json").write_text('{"lines": 3}')
    with pytest.raises(InputError, match=r"progress\.json is damaged"):
        measure_within(subject, pieces_of(Clock(), {"a": 1.0}), 2.0, Clock())


# Processor seconds of rungs on the pair of rl-skill and its base (docs/verdict.md).
SECONDS = {
    **{("exchange", 12): 17.4, ("exchange", 25): 19.5, ("exchange", 50): 38.3, ("passk", 2): 9.2, ("passk", 8): 34.2},
    **{("profile", 25): 4.8, ("profile", 50): 14.6, ("likelihood", 10): 5.5, ("decisions", 15): 27.4},
    **{("exchange", 100): 77.0, ("hybrid", 50): 66.3},
}


@pytest.mark.parametrize(
    ("minutes", "tried", "n_exchanged"),
    [(2.5, {"decisions"}, 50), (4, {"decisions"}, 100), (6, {"decisions", "hybrid"}, 100)],
)
def test_at_the_times_of_the_family_decisions_fit_in_four_minutes_and_a_hybrid_in_six(
    subject_at, minutes: float, tried: set[str], n_exchanged: int
) -> None:
    clock = Clock()

    def measured(name: str):
        def line(subject: Subject, rungs: tuple[Rung, ...]) -> EvidenceLine:
            rung = rungs[-1]
            size = rung.n_samples if name == "passk" else rung.n_problems
            clock.now += SECONDS.get((name, size), 0.055 * rung.work)
            return replace(other_line(name), size=rung.size)

        return line

    pieces = {name: replace(piece, measure=measured(name)) for name, piece in PIECES.items()}
    lines, climbs = measure_within(subject_at("j"), pieces, 60.0 * minutes, clock)
    assert set(lines) == {"exchange", "passk", "profile", "likelihood"} | tried
    assert lines["exchange"].size == f"{n_exchanged} problems" and clock.now < 63.0 * minutes
    # What is thought before a trial is as near as may be asked of a guess.
    guesses = [climb.estimate_seconds / climb.seconds for climb in climbs if climb.rung == 0 and climb.piece in tried]
    assert all(0.7 < guess < 1.5 for guess in guesses)


@pytest.mark.parametrize("name", PIECES)
def test_sizes_grow_and_trials_come_before_all_else_but_the_exchange_and_what_waits_for_it(name: str) -> None:
    rungs = PIECES[name].rungs
    orders = [rung.order for piece in PIECES.values() for rung in piece.rungs]
    assert len(set(orders)) == len(orders)
    assert [rung.order for rung in rungs] == sorted(rung.order for rung in rungs)
    assert all(rung.work > 0 for rung in rungs)
    totals = [rung.n_problems * rung.n_samples for rung in rungs]
    assert totals == sorted(set(totals))


def test_few_problems_leave_the_sizes_that_they_suffice_for() -> None:
    pieces = pieces_for(60, 30)
    assert [rung.n_problems for rung in pieces["exchange"].rungs] == [12, 25]
    assert [rung.n_problems for rung in pieces["passk"].rungs] == [50] * 4
    assert [rung.n_problems for rung in pieces_for(5, 800)["hybrid"].rungs] == [50]  # which refuses, and says why


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (45.0, "45 s"), (600.0, "10.0 min"), (7200.0, "2.0 h"), (float("nan"), "an unknown time")],
)
def test_times_are_written_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"budget_seconds": 0.0}, "a budget is some time"),
        ({"clock": "sun"}, "there is no clock 'sun'"),
        ({"n_test": 1}, "n_test"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        VerdictSettings(**fields)


def test_problems_that_are_too_few_for_a_size_are_refused(tmp_path: Path) -> None:
    pair = organism_pair("organism/rl-timing", n_train=0, n_validation=0, n_test=5)
    subject = Subject(pair=pair, settings=VerdictSettings(), place=tmp_path, progress=False, level=0.95)
    with pytest.raises(InputError, match="takes 12 problems, and there are 5"):
        PIECES["exchange"].measure(subject, PIECES["exchange"].rungs[:1])
    assert [len(part) for part in (subject.pair_on(0, 5, 2, 1).train, subject.pair_on(0, 5, 2, 1).test)] == [2, 2]
