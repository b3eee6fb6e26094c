"""Asking in threads: which error is raised, what is asked no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from reasonlens.rundir import InputError
from reasonlens.traces.asking import in_threads
from reasonlens.traces.chat_endpoint import Kind, NoReply, Stopped


def test_of_several_that_end_together_the_error_is_raised_that_stopped_the_others() -> None:
    for _ in range(200):
        stop, all_there = threading.Event(), threading.Barrier(4)

        def ask_once(number: int, stop: threading.Event = stop, all_there: threading.Barrier = all_there) -> None:
            all_there.wait(5)
            if number == 3:
                raise InputError("refused")
            stop.wait(5)
            raise Stopped

        with pytest.raises(InputError, match="refused"):
            in_threads(4, ask_once, range(4), stop)


@pytest.mark.parametrize("kind", ["malformed", "busy", "refused"])
def test_a_reply_under_way_is_waited_for_unless_it_would_be_refused_too(kind: Kind) -> None:
    replies: list[int] = []
    stop, all_there = threading.Event(), threading.Barrier(3)

    def ask_once(number: int) -> None:
        all_there.wait(5)
        if number == 0:
            raise NoReply("no reply", kind)
        if not stop.wait(0.2):
            replies.append(number)

    with pytest.raises(NoReply, match="no reply"):
        in_threads(3, ask_once, range(3), stop, 5.0)
    assert sorted(replies) == ([] if kind == "refused" else [1, 2]) and stop.is_set()


def test_what_has_not_begun_is_asked_no_more_after_an_error() -> None:
    asked: list[int] = []

    def ask_once(number: int) -> None:
        asked.append(number)
        raise InputError("refused")

    with pytest.raises(InputError, match="refused"):
        in_threads(1, ask_once, range(50), threading.Event())
    assert asked == [0]


def test_requests_that_cannot_be_read_on_stop_those_that_wait() -> None:
    asked: list[int] = []
    begun, stop = threading.Event(), threading.Event()

    def requests() -> Iterator[int]:
        yield from range(20)
        begun.wait(5)
        raise InputError("no more")

    def ask_once(number: int) -> None:
        asked.append(number)
        begun.set()
        stop.wait(5)

    with pytest.raises(InputError, match="no more"):
        in_threads(1, ask_once, requests(), stop)
    assert stop.is_set() and asked == [0]
