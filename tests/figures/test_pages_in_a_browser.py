"""Pages in Chromium: figures are drawn, what is linked moves together, no address is asked, axe is content."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reasonlens import LocateSettings, Location, Span, Trace, locate, traces_show
from reasonlens.figures import Result
from reasonlens.figures.token_view import TokenChannel, TokenView, ViewedTrace

from .test_results import EVIL, hostile, result

__all__ = ["hostile", "result"]  # fixtures
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.browser
WIDE, NARROW = {"width": 1400, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def opened(browser: Any, file: Path, size: dict[str, int], scheme: str = "light") -> Any:
    """Open a page, listening to everything that goes wrong or out."""
    page = browser.new_page(viewport=size, color_scheme=scheme, bypass_csp=False)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda line: page.problems.append(line.text) if line.type in ("error", "warning") else None)
    page.on("dialog", lambda dialog: page.problems.append("a dialog"))
    page.on("request", lambda asked: page.problems.append(asked.url) if asked.url.startswith(("http", "ws")) else None)
    page.goto(file.as_uri())
    return page


def until(page: Any, condition: str) -> None:
    """Wait for a condition; by asking again, since the policy of a page lets it evaluate nothing itself."""
    for _ in range(600):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"not so within a minute: {condition}")


def all_shown(page: Any) -> None:
    """Open what is folded and wait until every figure is drawn."""
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    for plot in page.query_selector_all(".plot"):
        plot.scroll_into_view_if_needed()
    until(page, "[...document.querySelectorAll('.plot')].every(plot => plot.dataset.width)")
    page.evaluate("scrollTo(0, 0)")


def faults(page: Any) -> list[str]:
    """What axe calls serious or critical."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in ("serious", "critical")
    ]


def test_every_page_is_drawn_whole_at_any_width_and_axe_finds_nothing_serious(
    browser: Any, result: Result, tmp_path: Path
) -> None:
    result.write(tmp_path)
    for size, scheme in ((WIDE, "light"), (NARROW, "dark")):
        page = opened(browser, tmp_path / "report.html", size, scheme)
        all_shown(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert page.problems == [] and faults(page) == []
        for plot in page.query_selector_all(".plot"):
            assert plot.query_selector("svg.main-svg") is not None
        titles = page.evaluate(
            """[...document.querySelectorAll('.plot')].map(plot => [...plot.querySelectorAll('.annotation-text')]
            .map(text => text.getBoundingClientRect()).map(box => [box.left, box.top, box.right, box.bottom]))"""
        )
        for boxes in titles:  # titles of panels lie beside each other, and not on each other
            for place, one in enumerate(boxes):
                for other in boxes[place + 1 :]:
                    assert not (
                        one[0] < other[2] - 2
                        and other[0] < one[2] - 2
                        and one[1] < other[3] - 2
                        and other[1] < one[3] - 2
                    )
        page.close()


@pytest.fixture(scope="module")
def location(tiny: Any) -> Location:
    """Three labels in twelve problems, one label hostile."""
    traces = []
    for number in range(12):
        parts = [f"So {EVIL} is {number}.", f"Wait, {number} is not that.", f"Now {number + 1} follows."]
        text, spans = "", []
        for part, name in zip(parts, (EVIL, "backtracking", "deduction"), strict=True):
            spans.append(Span(len(text), len(text) + len(part), name))
            text += part + " "
        traces.append(Trace(f"t{number}", f"p{number}", text, tuple(spans)))
    settings = LocateSettings(n_folds=3, n_bootstrap=20, n_shuffles=2, n_permutations=9, penalties=(0.01,))
    return locate(tiny(), traces, settings=settings, progress=False)


@pytest.fixture
def page(browser: Any, location: Location, tmp_path: Path) -> Iterator[Any]:
    location.write(tmp_path)
    shown = opened(browser, tmp_path / "report.html", WIDE)
    until(shown, "document.getElementById('explore-curve').dataset.width")
    yield shown
    assert shown.problems == []
    shown.close()


def selected(page: Any) -> tuple[str, str]:
    """The behaviour and the layer that the controls show."""
    return (
        page.evaluate("document.getElementById('pick-behaviour').selectedOptions[0].textContent"),
        page.evaluate("document.getElementById('pick-layer').selectedOptions[0].textContent"),
    )


def test_a_click_on_a_cell_moves_everything(page: Any, location: Location) -> None:
    name, layer = "backtracking", location.sweep.layers[2]
    place = list(location.sweep.behaviours).index(name)
    page.click(f'[role="gridcell"][data-b="{place}"][data-l="2"]')
    assert selected(page) == (name, str(layer))
    assert page.get_attribute(f'tr[data-b="{place}"]', "aria-selected") == "true"
    assert page.locator('[role="gridcell"][aria-selected="true"]').count() == 1
    auroc = location.sweep[name].auroc[2]
    assert f"AUROC {auroc.value:.3f}" in page.inner_text("#explore-head")
    assert f"--behaviour {name} --layer {layer}" in page.inner_text("#explore-shell")
    assert f'behaviour="{name}", layer={layer}' in page.inner_text("#explore-python")
    cell = location.sentences["cells"][name][str(layer)]
    shown = page.inner_text("#explore-sentences")
    for rows in cell.values():
        for number, score in rows:
            assert location.sentences["spans"][number]["text"] in shown
            assert f"{score:+.2f}".replace("-", "−") in shown
    until(page, "document.getElementById('explore-legend').innerText.includes('baseline')")
    legend = page.inner_text("#explore-legend")
    assert all(f"baseline: {baseline}" in legend for baseline in location.sweep[name].comparison.aurocs)


def test_arrow_keys_lead_through_the_heatmap(page: Any, location: Location) -> None:
    page.click('[role="gridcell"][data-b="0"][data-l="0"]')
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    names, layers = list(location.sweep.behaviours), location.sweep.layers
    assert selected(page) == (names[1], str(layers[1]))
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")  # there is nothing beyond
    assert selected(page) == (names[1], str(layers[-1]))
    assert page.evaluate("document.activeElement.dataset.l") == str(len(layers) - 1)


def test_a_command_for_a_hostile_name_is_one_quoted_word(page: Any, location: Location) -> None:
    place = list(location.sweep.behaviours).index(EVIL)
    page.click(f'[role="gridcell"][data-b="{place}"][data-l="0"]')
    assert "--behaviour '<script>alert('\\''x'\\'')</script>' --layer 0" in page.inner_text("#explore-shell")


def test_other_colours_show_other_measures(page: Any, location: Location) -> None:
    page.select_option("#measure", label="Cohen's d")
    effect = next(iter(location.sweep.behaviours.values())).effect_size[0].value
    label = page.get_attribute('[role="gridcell"][data-b="0"][data-l="0"]', "aria-label")
    assert f"Cohen's d {effect:.3f}".replace("-", "−") in label


def test_a_table_is_sorted_and_downloaded_with_every_digit(page: Any, location: Location) -> None:
    table = page.locator('table[data-name="summary"]')
    table.locator("th button", has_text="n, spans").click()
    table.locator("th button", has_text="AUROC").click()
    assert table.locator('th[aria-sort="descending"]').inner_text().strip().startswith("AUROC")
    values = [
        float(cell)
        for cell in table.locator("td:nth-child(4) [data-v]").evaluate_all("all => all.map(one => one.dataset.v)")
    ]
    assert values == sorted(values, reverse=True)
    with page.expect_download() as waiting:
        page.click('[aria-label="Download the table summary as CSV"]')
    rows = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text("utf-8"))))
    expected = {name: one.nested.auroc.value for name, one in location.sweep.behaviours.items()}
    assert {row["behaviour"]: float(row["AUROC"]) for row in rows} == expected


def test_a_link_opens_what_is_folded(page: Any) -> None:
    assert page.evaluate("document.getElementById('at-controls').open") is False
    page.click('nav a[href="#at-controls"]')
    until(page, "document.getElementById('at-controls').open")


def test_the_switch_goes_from_the_system_to_light_to_dark(page: Any) -> None:
    grounds = set()
    for _ in range(3):
        page.click("#theme")
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


def test_printing_opens_what_is_folded(page: Any) -> None:
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("[...document.querySelectorAll('details')].every(fold => fold.open)")


N_TOKENS = 32_000


@pytest.fixture(scope="module")
def view_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    words = np.array(["Wait", " so", " the", " 42", ".\n", " שלום", "<b>"])
    tokens = tuple(words[random.integers(len(words), size=N_TOKENS)].tolist())
    channels = [
        TokenChannel(measure=measure, behaviour=name, layer=layer, values=random.normal(size=N_TOKENS))
        for measure in ("probe score", "projection on a direction")
        for name in ("backtracking", EVIL)
        for layer in (1, 2)
    ]
    kinds = TokenChannel(
        measure="who decided", values=(random.random(N_TOKENS) < 0.01).astype(float), categories=("base", "thinking")
    )
    trace = ViewedTrace(
        name=EVIL,
        prompt=EVIL,
        tokens=tokens,
        channels=(*channels, kinds),
        bands=((3, 9, "backtracking"), (20_000, 20_100, EVIL)),
    )
    file = tmp_path_factory.mktemp("view") / "view.html"
    TokenView(traces=(trace,), title="A view", caption="A caption").to_html(file)
    return file


def test_a_long_trace_is_shown_in_parts_and_every_control_works(browser: Any, view_file: Path) -> None:
    page = opened(browser, view_file, WIDE)
    page.wait_for_selector("#view-text span")
    assert page.evaluate("document.querySelectorAll('#view-text span').length") < N_TOKENS / 10
    assert (
        page.evaluate("document.getElementById('view-text').textContent.length") > 2 * N_TOKENS
    )  # whole, to be searched
    before = page.evaluate("document.querySelector('[data-p=\"5\"]').style.background")
    page.select_option("#view-layer", "2")
    assert page.evaluate("document.querySelector('[data-p=\"5\"]').style.background") != before
    page.hover('[data-p="5"]')
    state = page.inner_text("#view-state")
    assert "token 5" in state and "labelled backtracking" in state and "projection on a direction" in state
    page.select_option("#view-measure", "who decided")
    assert not page.is_visible("#view-behaviour-of") and "thinking" in page.inner_text("#view-key")
    page.click("#view-next")
    assert "who decided thinking" in page.inner_text("#view-state")
    page.evaluate("go(31999)")
    page.wait_for_selector('[data-p="31999"].at')
    box = page.locator('[data-p="31999"]').bounding_box()
    assert box is not None and 0 <= box["y"] < WIDE["height"]
    page.focus("#view-text")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#view-state").startswith("token 31998")
    assert page.problems == [] and faults(page) == []
    page.close()


def test_labelled_traces_are_whole_at_any_width_and_what_models_wrote_is_text(browser: Any, tmp_path: Path) -> None:
    traces = [
        Trace(f"{EVIL} {number}", EVIL, f"So {EVIL}. Wait.", (Span(0, 6, EVIL), Span(3, 9, "b"))) for number in (1, 2)
    ]
    traces_show(traces).to_html(tmp_path / "traces.html")
    for size, scheme in ((WIDE, "light"), (NARROW, "dark")):
        page = opened(browser, tmp_path / "traces.html", size, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert "the most frequent label" in page.inner_text(".verdict")
        assert page.locator("nav a").count() == 3 and page.query_selector("img") is None
        page.locator("th button", has_text="spans").click()
        assert page.locator('th[aria-sort="descending"]').count() == 1
        assert page.problems == [] and faults(page) == []
        page.close()


def test_a_view_stands_in_a_notebook_and_on_a_telephone(browser: Any, view_file: Path, tmp_path: Path) -> None:
    page = opened(browser, view_file, NARROW, "dark")
    page.wait_for_selector("#view-text span")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.problems == [] and faults(page) == []
    page.close()
    channel = TokenChannel(measure="m", values=np.arange(3.0))
    trace = ViewedTrace(name="t", prompt="", tokens=("a ", EVIL, " c"), channels=(channel,))
    html = TokenView(traces=(trace,), title="t", caption="c")._repr_html_()
    (tmp_path / "notebook.html").write_text(f"<!doctype html><title>n</title>{html}", "utf-8")
    page = opened(browser, tmp_path / "notebook.html", WIDE)
    page.frame_locator("iframe").locator('[data-p="1"]').wait_for()
    assert page.problems == []
    page.close()
