"""Write pages that open offline: they load nothing, hold their own plotly, and escape what models wrote.

Templates lie in `pages/` (Jinja, every value escaped unless a template marks it safe).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader
from plotly.offline import get_plotlyjs

from ._text import neutral

PAGES = "pages"


def render(page: str, results: Mapping[str, Any], figures: Mapping[str, go.Figure], **more: Any) -> str:
    """Fill one of the templates in `pages/` and put its figures into it.

    Args:
        page: File name of the template, as "locate.html.jinja".
        results: What the template shows as `results`: plain values, as `to_dict()` of a result gives them.
        figures: Name -> figure; the template places each as `figures.NAME`, in an element of that id.
        **more: Further values by the names that the template uses.

    Returns:
        The whole page. All text in `results` and `more` is escaped, except where the template says `safe`.
    """
    environment = Environment(loader=PackageLoader("reasonlens.figures", PAGES), autoescape=True, finalize=_neutral)
    environment.filters["figure"] = lambda value: "–" if value is None else f"{value:.3f}"
    options = {"full_html": False, "include_plotlyjs": False, "config": {"displaylogo": False}}
    return environment.get_template(page).render(
        results=results,
        plotly=get_plotlyjs(),
        figures={name: figure.to_html(div_id=name, **options) for name, figure in figures.items()},
        today=date.today().isoformat(),
        **more,
    )


def result_page(
    title: str, lead: str, figures: Mapping[str, go.Figure], frame: pd.DataFrame, sentences: Sequence[str] = ()
) -> str:
    """Write the page of a result that has no template of its own: its figures, then a table.

    Args:
        title: Title and heading.
        lead: A sentence under it.
        figures: Name -> figure, in their order.
        frame: The rows to show, with intervals in the columns `NAME_low` and `NAME_high`.
        sentences: What is concluded, between the lead and the figures.

    Returns:
        The whole page, every text in it escaped.
    """
    table = neutral(frame.to_html(index=False, border=0, na_rep="–", float_format="{:.3f}".format))
    return render("result.html.jinja", {"title": title, "lead": lead, "sentences": sentences}, figures, table=table)


def offline_page(title: str, style: str, body: str) -> str:
    """Put a body of HTML into a page in which no script may run.

    Args:
        title: Title of the page, escaped already.
        style: Style sheet.
        body: HTML, put in as it is: what models wrote in it must have been escaped.

    Returns:
        The whole page.
    """
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _neutral(value: Any) -> Any:
    """Replace the control characters of text that a template shows; what is marked safe has none."""
    return neutral(value) if type(value) is str else value
