"""Text coloured by probes, as HTML: what a browser would make of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reasonlens import Span, Trace
from reasonlens.analysis._score import score
from reasonlens.analysis.scored_text import ScoredText
from reasonlens.analysis.token_scores import TokenScores
from reasonlens.figures.palette import SECOND, SIGNAL
from reasonlens.figures.tokens import N_LEVELS, STRONGEST
from reasonlens.probes.saved import SavedProbes

from ..conftest import D_MODEL
from .test_score import MIXED, planted

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>\"></span></div>&lt;b&gt;"


class Page(HTMLParser):
    """What a browser would make of a page: its tags, what it loads, and the words inside each text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.texts: list[str] = []
        self.titles: list[str] = []
        self.classes: list[tuple[str, str]] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = dict(attrs)
        self.tags.append(tag)
        self.loads += [str(about[name]) for name in ("src", "href") if name in about]
        self.handlers += [name for name in about if name.startswith("on")]
        if self._depth:
            self._depth += 1
            self.titles.append(about.get("title") or "")
            self.classes.append((about.get("class") or "", ""))
        elif about.get("class") == "rl-text":
            self._depth = 1
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._depth = max(0, self._depth - 1)

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.texts[-1] += data
            if self._depth == 2:
                self.classes[-1] = (self.classes[-1][0], self.classes[-1][1] + data)


def page_of(html: str) -> Page:
    page = Page()
    page.feed(html)
    return page


def test_every_text_label_and_name_is_escaped_and_nothing_is_loaded(tiny) -> None:
    model = tiny()
    names = (EVIL, "deduction")
    probes = SavedProbes(
        weights={name: torch.ones(3, D_MODEL) for name in names},
        biases={name: torch.zeros(3) for name in names},
        layers=(0, 1, 2),
        read="mean",
        model=model.identity() | {"name": EVIL},
        method=EVIL,
        best_layers=dict.fromkeys(names, 1),
        prevalence={EVIL: None, "deduction": 0.3},
        scores={name: {} for name in names},
        seed=0,
    )
    text = f"One {EVIL}\n\n\tis  4.\r\nWait, {EVIL} no: 数é🙂."
    trace = Trace(EVIL, EVIL, text, (Span(0, 30, EVIL), Span(20, 60, "deduction")))
    scores = score(replace(model, name=EVIL), trace, probes, progress=False)
    html = scores._repr_html_()
    page = page_of(html)
    assert not {"script", "img", "b", "iframe", "link"} & set(page.tags)
    assert page.loads == [] and page.handlers == []
    assert page.texts == [text]  # white space, line ends and all
    assert any(f"labelled {EVIL}, deduction" in title for title in page.titles)
    assert "@import" not in html and "url(" not in html
    whole = page_of(scores.to_html())
    assert "img" not in whole.tags and whole.loads == ["#main"] and whole.handlers == []
    assert "default-src 'none'" in scores.to_html() and EVIL not in scores.to_html()


def test_a_page_shows_each_text_once_and_writes_what_it_returns(tiny, traces, tmp_path: Path) -> None:
    model = tiny()
    texts = [*traces[:2], MIXED]
    scores = score(model, texts, planted(model), progress=False)
    html = scores.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_bytes().decode() == html
    shown = json.loads(html.split('id="data-tokens">')[1].split("</script>")[0])["traces"]
    assert ["".join(one["tokens"]) for one in shown] == [traces[0].text, traces[1].text, MIXED]
    measures = [channel["measure"] for channel in shown[0]["channels"]]
    assert measures == ["probe score"] * 2 + ["probe score of the sentence"] * 2


def test_a_notebook_shows_the_first_texts_and_says_how_many_are_left(tiny) -> None:
    model = tiny()
    scores = score(model, ["It is 4."] * 25, planted(model), progress=False)
    shown = scores._repr_html_()
    assert len(page_of(shown).texts) == 10 and "… and 15 texts more: to_html() shows all" in shown
    assert "<html" not in shown


def made_up(log_odds: list[float], prior: float | None, labels: tuple[Span, ...] = ()) -> TokenScores:
    """Tokens of one letter each."""
    n = len(log_odds)
    text = ScoredText(
        trace=Trace("t", "", "abcdefghijklmnopqrstuvwxyz"[:n], labels),
        characters=np.stack([np.arange(n), np.arange(n) + 1], axis=1),
        log_odds=np.array([log_odds]),
        sentences=(),
        sentence_log_odds=np.empty((1, 0)),
    )
    about: dict[str, Any] = {"model": {"name": "m"}, "read": "mean", "method": "none"}
    return TokenScores(texts=(text,), layers={"x": 0}, priors={"x": prior}, **about)


def test_colours_lie_about_the_prior_and_grow_with_the_distance() -> None:
    scores = made_up([-2.0, -2.0 + 4, -2.0 - 4, -2.0 + 2, np.nan], prior=-2.0)
    shades = {letter: classes for classes, letter in page_of(scores._repr_html_()).classes}
    assert shades == {"a": "", "b": "t0p10", "c": "t0n10", "d": "t0p5"}
    assert page_of(made_up([0.0, 4.0, -4.0], prior=None)._repr_html_()).classes[0] == ("", "a")


def test_spans_labelled_with_the_behaviour_are_underlined() -> None:
    labels = (Span(1, 3, "x"), Span(2, 4, "y"))
    html = made_up([0.0, 0.0, 0.0, 0.0], prior=None, labels=labels)._repr_html_()
    assert [letter for classes, letter in page_of(html).classes if "l0" in classes.split()] == ["b", "c"]
    assert "underlined</span>: labelled x" in html
    assert "labelled" not in made_up([0.0], prior=None)._repr_html_()


def test_a_tooltip_says_the_numbers() -> None:
    (title,) = page_of(made_up([1.0986], prior=None)._repr_html_()).titles
    assert title == "x +1.10 (75%)"


def test_letters_can_be_read_on_the_strongest_colours_of_a_white_and_a_dark_page() -> None:
    def luminance(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (each / 255 for each in colour)]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    def rgb(colour: str) -> tuple[int, ...]:
        return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))

    for ink, page in (("#222222", "#ffffff"), ("#e6e6e6", "#16181c"), ("#000000", "#ffffff"), ("#dddddd", "#111111")):
        for colour in (SIGNAL, SECOND):
            mixed = tuple(STRONGEST * c + (1 - STRONGEST) * p for c, p in zip(rgb(colour), rgb(page), strict=True))
            light, dark = sorted((luminance(mixed), luminance(rgb(ink))), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, page, colour)


def test_every_shade_has_a_rule_for_every_behaviour_and_unit(tiny, traces) -> None:
    model = tiny()
    html = score(model, traces[:3], planted(model), progress=False)._repr_html_()
    rules = set(re.findall(r"\.([ts]\d+[pn]\d+) \{", html))
    assert len(rules) == 2 * 2 * 2 * N_LEVELS
    used = {name for classes, _ in page_of(html).classes for name in classes.split() if name[0] in "ts"}
    assert used <= rules and len(used) > 10
