"""One self-contained HTML page of a run: opens offline, holds its own plotly, escapes all model text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader
from plotly.offline import get_plotlyjs

from ..activations import Activations, Example
from ..probes import ProbeSweep

N_SHOWN = 3  # sentences of each kind


def report_html(
    results: Mapping[str, Any], figures: Mapping[str, go.Figure], sweep: ProbeSweep, activations: Activations
) -> str:
    """The page of `locate`. `results` is what results.json holds; every text in it and in the traces is escaped."""
    sentences = {name: _sentences(index, name, sweep, activations) for index, name in enumerate(sweep.behaviours)}
    return render("report.html.jinja", results, figures, sentences=sentences)


def render(page: str, results: Mapping[str, Any], figures: Mapping[str, go.Figure], **more: Any) -> str:
    """One of the templates beside this file, with its figures."""
    environment = Environment(loader=PackageLoader("reasonlens.analysis", "."), autoescape=True)
    environment.filters["figure"] = lambda value: "–" if value is None else f"{value:.3f}"
    options = {
        "full_html": False,
        "include_plotlyjs": False,
        "config": {"displaylogo": False},
    }
    return environment.get_template(page).render(
        results=results,
        plotly=get_plotlyjs(),
        figures={name: figure.to_html(div_id=name, **options) for name, figure in figures.items()},
        today=date.today().isoformat(),
        **more,
    )


def _sentences(index: int, behaviour: str, sweep: ProbeSweep, activations: Activations) -> dict[str, list[Example]]:
    """What the probe of the best layer finds most and least, among spans it was not trained on."""
    scores = sweep.scores[index, sweep.behaviours[behaviour].best]
    shows = activations.shows(behaviour)
    order = np.argsort(-scores)
    unmarked = [place for place in order if shows[place] and activations.examples[place].marked is False]
    chosen = {
        "found, without a tell-tale word": unmarked[:N_SHOWN],
        "missed": [place for place in order[::-1] if shows[place]][:N_SHOWN],
        "false alarms": [place for place in order if not shows[place]][:N_SHOWN],
    }
    return {kind: [activations.examples[place] for place in places] for kind, places in chosen.items()}
