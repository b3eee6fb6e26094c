"""The page of a review in a browser: keys label, what models wrote stays text, and every key is saved."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from reasonlens.analysis.label.review import Review
from reasonlens.analysis.label.server import ReviewServer
from reasonlens.traces.labelled import read_labelled

from ...figures.test_pages_in_a_browser import NARROW, faults
from .test_review import EVIL, file, review, server

__all__ = ["file", "review", "server"]  # fixtures
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.browser


@pytest.fixture
def page(server: ReviewServer) -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.problems = []
        opened.on("pageerror", lambda error: opened.problems.append(str(error)))
        opened.on("console", lambda line: opened.problems.append(line.text) if line.type == "error" else None)
        opened.on("dialog", lambda dialog: opened.problems.append("a dialog"))
        opened.goto(server.address)
        opened.wait_for_selector(".sentence")
        yield opened
        browser.close()


def saved(review: Review) -> list[tuple[str | None, ...] | None]:
    return [trace.by.get("person") for trace in read_labelled(review.file)]


def waits(page: Any, selector: str, text: str) -> None:
    """Wait for a text; by a locator, since the page's policy lets no script be evaluated in it."""
    page.locator(selector).filter(has_text=text).wait_for(timeout=10_000)


def press(page: Any, key: str) -> None:
    page.evaluate("document.getElementById('state').textContent = ''")
    page.keyboard.press(key)
    waits(page, "#state", "saved")


def test_keys_walk_label_confirm_and_take_back(page: Any, review: Review) -> None:
    assert page.title() == "Review of labels" and "token" not in page.url
    assert page.inner_text("#id") == "t1", "the trace with most in dispute comes first"
    assert page.inner_text("#text").count("≠") == 2
    press(page, "6")
    assert saved(review) == [None, ("backtracking", None)]
    assert page.get_attribute(".sentence >> nth=0", "data-label") == "backtracking"
    page.keyboard.press("n")
    assert page.get_attribute(".sentence >> nth=1", "aria-selected") == "true"
    press(page, "Enter")
    assert saved(review)[1] == ("backtracking", "verification")
    page.keyboard.press("ArrowUp")
    press(page, "x")
    press(page, "0")
    assert saved(review)[1] == ("", "verification")
    page.keyboard.press("n")
    waits(page, "#id", "t0")
    page.click("text=deduction")
    waits(page, "#count", "3 of 4 sentences reviewed")
    assert saved(review)[0] == (None, "deduction") or saved(review)[0] == ("deduction", None)
    assert page.problems == []


def test_what_a_model_wrote_is_text_and_runs_nothing(page: Any) -> None:
    assert EVIL in page.inner_text("#text") and EVIL in page.inner_text("#prompt")
    assert page.query_selector("img") is None and page.problems == []
    # A place behind an emoji, which JavaScript counts as two, is cut where Python cuts it.
    assert page.inner_text(".sentence >> nth=1").endswith("Check it.")


def test_a_correction_that_fails_is_said_and_the_page_goes_on(page: Any, server: ReviewServer, monkeypatch) -> None:
    monkeypatch.setattr("reasonlens.traces.corrections.CorrectionLog.add", lambda *_: _full())
    page.keyboard.press("1")
    waits(page, "#state", "disk full")
    assert "failed" in page.get_attribute("#state", "class") and server.review.n_reviewed == 0
    monkeypatch.undo()
    press(page, "1")
    assert server.review.n_reviewed == 1


def _full() -> None:
    from reasonlens.rundir import InputError

    raise InputError("cannot write: disk full")


def test_the_button_ends_the_review(page: Any, server: ReviewServer, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, shutdown = threading.Event(), server.shutdown

    def end() -> None:
        shutdown()
        ended.set()

    monkeypatch.setattr(server, "shutdown", end)
    page.click("#end")
    waits(page, "body", "The review is ended")
    assert ended.wait(5)


def test_the_page_is_whole_on_a_telephone_in_the_dark_and_axe_finds_nothing_serious(page: Any) -> None:
    assert faults(page) == []
    page.set_viewport_size(NARROW)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    chosen, labels = page.locator(".sentence[aria-selected=true]").bounding_box(), page.locator("aside").bounding_box()
    assert chosen["y"] < labels["y"] < 844 > labels["y"] + 100, "the sentence and its labels are on one screen"
    assert faults(page) == [] and page.problems == []


def test_the_theme_is_switched_and_paper_shows_the_text_alone(page: Any) -> None:
    grounds = set()
    for _ in range(3):
        page.click("#theme")
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2
    page.emulate_media(media="print")
    assert page.is_visible("#text") and not page.is_visible("aside") and not page.is_visible("nav")
