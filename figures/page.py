"""Write pages that open offline in one file: they load nothing, run their own script alone, escape all text.

1. A page is `pages/layout.html.jinja` around the blocks of its own template (every value escaped unless it is marked
   safe), with `page.css` and `page.js`: title, verdict, contents, then the body.
2. Figures are placed as elements and drawn from one JSON block when they come into view. A policy in the page lets no
   script run but that with its nonce, and no address be asked.
3. Plotly is on the page once: the bundle for charts with axes, packed; the browser unpacks it.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from hashlib import sha256
from html import unescape
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from ._text import neutral, page_text
from .shades import shade

PAGES = "pages"
PLOTLY = "plotly-cartesian.min.js.gz"
MOST_ROWS = 24  # of a table that is not folded
SCRIPTS = ("page.js", "start.js")  # what every page runs, first and last
SECTION = re.compile(r'<(?:section|details)[^>]* id="(at-[\w-]+)"[^>]*>\s*(?:<summary>)?<h2[^>]*>(.*?)</h2>', re.DOTALL)


def render(
    page: str,
    results: Mapping[str, Any],
    figures: Mapping[str, go.Figure],
    *,
    data: Mapping[str, Any] | None = None,
    scripts: Sequence[str] = (),
    **more: Any,
) -> str:
    """Fill one of the templates in `pages/` and put its figures into it.

    Args:
        page: File name of the template, as "locate.html.jinja".
        results: What the template shows as `results`: plain values, as `to_dict()` of a result gives them.
        figures: Name -> figure; the template places each as `figures.NAME`, in an element of that id.
        data: Name -> plain values for the page's script.
        scripts: Further files of `pages/` to run.
        **more: Further values by the names that the template uses.

    Returns:
        The whole page. All text in `results` and `more` is escaped, except where the template says `safe`.
    """
    environment = Environment(loader=PackageLoader("reasonlens.figures", PAGES), autoescape=True, finalize=_neutral)
    environment.filters |= {
        "figure": lambda value: "–" if value is None or value != value else f"{value:.3f}",
        "contents": _contents,
        "said": _said,
        "shade": shade,
    }
    blocks = {"figures": _drawings(figures), **({} if data is None else data)}
    packed = {name: json_block(values) for name, values in blocks.items()}
    first, *last = SCRIPTS
    values = {
        "results": results,
        "figures": {name: _place(name, figure) for name, figure in figures.items()},
        "today": date.today().isoformat(),
        "data": packed,
        "nonce": sha256("".join(packed.values()).encode()).hexdigest()[:24],
        "style": asset("page.css"),
        "script": Markup("\n").join(map(asset, (first, *scripts, *last))),
        "plotly": _plotly() if figures else "",
    }
    return environment.get_template(page).render(values | more)


def result_page(
    title: str, lead: str, figures: Mapping[str, go.Figure], frame: pd.DataFrame, sentences: Sequence[str]
) -> str:
    """Write the page of a result that has no template of its own: its figures, then a table.

    Args:
        title: Title and heading.
        lead: How the result came about, under the verdict.
        figures: Name -> figure, in their order.
        frame: The rows to show, with intervals in the columns `NAME_low` and `NAME_high`; folded where they are many.
        sentences: What is concluded: the verdict, above all else.

    Returns:
        The whole page, every text in it escaped.
    """
    verdict = [sentence if sentence.endswith((".", "!", "?")) else f"{sentence}." for sentence in sentences]
    results = {"title": title, "lead": lead, "sentences": verdict, "is_long": len(frame) > MOST_ROWS}
    return render("result.html.jinja", results, figures, table=frame_table("results", frame))


def frame_table(name: str, frame: pd.DataFrame) -> Markup:
    """Write a frame as a table of a page: a value and its interval share a cell.

    Args:
        name: What the table is called where it is downloaded.
        frame: Intervals in the columns `NAME_low` and `NAME_high`.

    Returns:
        The table, every text in it escaped.
    """
    columns = [str(column) for column in frame.columns]
    ends = {
        column for column in columns for end in ("_low", "_high") if column.removesuffix(end) in {*columns} - {column}
    }
    shown = [column for column in columns if column not in ends]
    wide = {column for column in shown if f"{column}_low" in ends}
    is_text = {column: any(isinstance(value, str) for value in frame[column]) for column in shown}
    head = "".join(f"<th{_text_class(is_text[column])}>{page_text(column.replace('_', ' '))}</th>" for column in shown)
    counts = {name for name in shown if name not in wide and _is_whole(frame[name])}
    frame = frame.astype({name: "Int64" for name in counts})
    rows = []
    for row in frame.to_dict("records"):
        cells = "".join(f"<td{_text_class(is_text[name])}>{_cell(row, name)}</td>" for name in shown)
        rows.append(f"<tr>{cells}</tr>")
    return Markup(
        f'<table class="data" data-name="{page_text(name)}"><thead><tr>{head}</tr></thead>\n<tbody>'
        + "\n".join(rows)
        + "</tbody></table>"
    )


def json_block(values: Any) -> Markup:
    """Write plain values as JSON that can stand in a script element: no tag in it begins or ends.

    Args:
        values: Plain values; NaN and infinity become null.
    """
    text = json.dumps(_plain(values), allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


@cache
def asset(name: str) -> Markup:
    """Read one of our own style sheets or scripts, to stand in a page as it is.

    Args:
        name: A file of `pages/`.
    """
    return Markup(files("reasonlens.figures").joinpath(PAGES, name).read_text("utf-8"))


@cache
def _plotly() -> Markup:
    return Markup(b64encode(files("reasonlens.figures").joinpath(PAGES, PLOTLY).read_bytes()).decode())


def _drawings(figures: Mapping[str, go.Figure]) -> dict[str, Any]:
    """Collect data and layout of each figure, and their template, which all share, once."""
    drawings = {name: json.loads(figure.to_json()) for name, figure in figures.items()}
    templates = [drawing["layout"].pop("template", None) for drawing in drawings.values()]
    return {"template": templates[0] if templates else None, "figures": drawings}


def _place(name: str, figure: go.Figure) -> Markup:
    title = figure.layout.title
    heading, caption = _words(title.text), _words(title.subtitle.text)
    return Markup(
        f'<figure class="figure" id="{page_text(name)}"><figcaption><b>{heading}</b><span>{caption}</span>'
        f'</figcaption><div class="plot" data-figure="{page_text(name)}" role="group" '
        f'aria-label="{heading}. {caption}"></div></figure>'
    )


def _words(markup: str | None) -> str:
    """Convert a text in plotly's markup to HTML without markup."""
    lines = re.sub(r"([.;:]?)\s*(?:<br>|\n)+", lambda end: f"{end[1] or '.'} ", markup or "")
    return page_text(unescape(re.sub(r"</?(?:b|i|sub|sup)>", " ", lines)))


def _said(sentence: str) -> Markup:
    """Write a sentence, and what stands in backticks in it as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", page_text(sentence)))


def _contents(body: str) -> Markup:
    """Write links to the sections of a page, whose headings are escaped already."""
    links = "".join(f'<li><a href="#{place}">{heading}</a></li>' for place, heading in SECTION.findall(body))
    return Markup(f'<nav class="contents" aria-label="Contents"><ul>{links}</ul></nav>' if links else "")


def _cell(row: Mapping[Any, Any], name: str) -> str:
    value = row[name]
    if isinstance(value, str):
        return page_text(value)
    if value is None or value is pd.NA or value != value:
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return page_text(str(value))
    if isinstance(value, int):
        return str(value)
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    if low is None or high is None or low != low or high != high:
        return f'<span data-v="{value!r}">{value:.3f}</span>'
    return (
        f'<span data-v="{value!r}" data-low="{low!r}" data-high="{high!r}">{value:.3f} '
        f'<span class="interval">[{low:.3f}, {high:.3f}]</span></span>'
    )


def _is_whole(column: pd.Series) -> bool:
    """Tell whether numbers with a fraction part are none, as those of layers and steps."""
    known = column.dropna()
    return pd.api.types.is_float_dtype(column) and len(known) > 0 and bool((known % 1 == 0).all()) and known.max() > 1


def _text_class(is_text: bool) -> str:
    return ' class="text"' if is_text else ""


def _plain(values: Any) -> Any:
    """Replace NaN by None and the control characters of texts by visible ones."""
    if isinstance(values, Mapping):
        return {neutral(str(name)): _plain(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_plain(value) for value in values]
    if isinstance(values, float):
        return values if abs(values) < float("inf") else None
    return neutral(values) if isinstance(values, str) else values


def _neutral(value: Any) -> Any:
    """Replace the control characters of text that a template shows; what is marked safe has none."""
    return neutral(value) if type(value) is str else value
