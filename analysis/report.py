"""The page of `locate`: figures, tables, and the sentences that each probe finds, misses and mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..activations import Activations, Example
from ..figures.page import render
from ..probes import ProbeSweep

N_SHOWN = 3  # sentences of each kind


def report_html(
    results: Mapping[str, Any], figures: Mapping[str, go.Figure], sweep: ProbeSweep, activations: Activations
) -> str:
    """The page of `locate`. `results` is what results.json holds; every text in it and in the traces is escaped."""
    sentences = {name: _sentences(index, name, sweep, activations) for index, name in enumerate(sweep.behaviours)}
    return render("locate.html.jinja", results, figures, sentences=sentences)


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
