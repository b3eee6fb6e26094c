"""The HTML of pages: one layout, plotly once and packed, hostile text inert, tables whole without a script."""

from __future__ import annotations

import gzip
import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import pandas as pd
import plotly.graph_objects as go
import pytest

from reasonlens.figures import FIGURES, result_page
from reasonlens.figures.page import PLOTLY, frame_table, json_block
from reasonlens.figures.shades import shade, stops

from .conftest import made

EVIL = "</script><script>alert('x')</script>\"'><img src=x onerror=alert(1)>\u202eabc"
FRAME = pd.DataFrame(
    {
        "name": [EVIL, "=1+1"],
        "value": [0.25, float("nan")],
        "value_low": [0.125, 0.1],
        "value_high": [0.5, 0.2],
        "n": [3, 4],
    }
)


class Elements(HTMLParser):
    """The elements of a page, with what stands in scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.scripts.append((self.tags[-1][1], data))


@pytest.fixture(scope="module")
def page() -> str:
    figures = {"heat": made("layer_heatmap").draw(), "bars": made("excess_bars").draw()}
    return result_page(f"Title {EVIL}", f"Lead {EVIL}", figures, FRAME, [f"First {EVIL}", "Second"])


def test_hostile_text_makes_no_element_and_commands_nothing(page: str) -> None:
    elements = Elements(page)
    assert not {tag for tag, _ in elements.tags} & {"img", "iframe", "object", "form"}
    assert not [attrs for _, attrs in elements.tags if any(name.startswith("on") for name in attrs)]
    assert "\u202e" not in page and "alert('x')</script>" not in page
    assert "&lt;/script&gt;" in page


def test_only_our_script_may_run_and_nothing_is_asked_for(page: str) -> None:
    elements = Elements(page)
    policy = next(attrs["content"] for tag, attrs in elements.tags if attrs.get("http-equiv"))
    nonce = re.search(r"script-src 'nonce-(\w+)'", str(policy))
    assert nonce is not None and str(policy).startswith("default-src 'none'") and "unsafe-eval" not in str(policy)
    running = [attrs for tag, attrs in elements.tags if tag == "script" and not attrs.get("type")]
    assert running == [{"nonce": nonce.group(1)}]
    assert not [attrs for _, attrs in elements.tags if attrs.get("src")]


def test_figures_are_data_that_is_read_back_whole(page: str) -> None:
    block = next(text for attrs, text in Elements(page).scripts if attrs.get("id") == "data-figures")
    content = json.loads(block)
    assert list(content["figures"]) == ["heat", "bars"] and "template" not in content["figures"]["heat"]["layout"]
    drawn = go.Figure(content["figures"]["heat"])
    assert drawn.data[0].type == "heatmap" and "data" in content["template"]


def test_plotly_is_on_a_page_once_packed_and_not_where_nothing_is_drawn(page: str) -> None:
    packed = [text for attrs, text in Elements(page).scripts if attrs.get("id") == "plotly" and text.strip()]
    assert len(packed) == 1 and len(packed[0]) > 500_000 and len(page) < 900_000
    assert len(result_page("t", "l", {}, FRAME, ["s"])) < 100_000


def test_the_packed_plotly_can_draw_every_kind_of_trace_that_figures_have() -> None:
    code = gzip.decompress(files("reasonlens.figures").joinpath("pages", PLOTLY).read_bytes()).decode()
    assert code.startswith("/**\n* plotly.js (cartesian - minified)") and "MIT license" in code[:400]
    kinds = {trace.type for figure in FIGURES for trace in made(figure).draw().data}
    assert kinds >= {"scatter", "heatmap", "bar"}
    for kind in kinds:
        assert f'name:"{kind}"' in code or f'name: "{kind}"' in code, kind


def test_tables_hold_every_digit_beside_what_is_shown_and_an_interval_shares_a_cell() -> None:
    html = str(frame_table("results", FRAME))
    assert '<span data-v="0.25" data-low="0.125" data-high="0.5">0.250 <span class="interval">[0.125, 0.500]' in html
    assert html.count("<th") == 1 + 3 and "value low" not in html and "<td>–</td>" in html


def test_the_verdict_comes_before_the_figures_and_these_before_the_table(page: str) -> None:
    order = [page.index(part) for part in ('class="verdict"', 'class="contents"', 'data-figure="heat"', "<table")]
    assert order == sorted(order)
    for place in re.findall(r'href="#(at-[\w-]+)"', page):
        assert f'id="{place}"' in page


def test_the_same_result_gives_the_same_bytes() -> None:
    assert result_page("t", "l", {}, FRAME, ["s"]) == result_page("t", "l", {}, FRAME, ["s"])


def test_json_in_a_script_ends_no_script() -> None:
    text = json_block({"a": EVIL, "b": [float("nan"), float("inf"), 1.5]})
    assert "<" not in text and "&" not in text
    assert json.loads(text) == {"a": EVIL.replace("\u202e", "\ufffd"), "b": [None, None, 1.5]}


def test_shades_run_from_the_first_colour_to_the_last_and_none_is_for_what_is_not_known() -> None:
    assert shade(0.0, 0.5, 1) == stops()[0] and shade(2.0, 0.5, 1) == stops()[-1] and shade(0.75, 0.5, 1) == stops()[4]
    assert shade(None, 0, 1) == shade(float("nan"), 0, 1) == ""


def test_layers_and_steps_are_whole_numbers_truth_is_yes_or_no_and_shares_keep_their_digits() -> None:
    frame = pd.DataFrame({"layer": [0.0, 12.0], "is_sure": [True, False], "share": [0.0, 1.0], "empty": [3.0, None]})
    html = str(frame_table("t", frame))
    rows = re.findall(r"<tr>(<td.*?)</tr>", html)
    cells = [[re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>.*?</td>", row)] for row in rows]
    assert cells == [["0", "yes", "0.000", "3"], ["12", "no", "1.000", "–"]]


def test_the_verdict_stands_first_with_full_stops_and_code_and_a_long_table_is_folded() -> None:
    page = result_page("T", "How", {}, FRAME, [f"Try `reasonlens locate` {EVIL}", "Done."])
    assert page.index("<h1>T") < page.index('class="verdict"') < page.index(">How. Made on")
    assert "<code>reasonlens locate</code>" in page and "abc.</li>" in page and "<li>Done.</li>" in page
    assert '<section id="at-table">' in page
    long = pd.DataFrame({"n": range(25)})
    assert '<details class="fold" id="at-table">' in result_page("T", "How", {}, long, ["s"])
