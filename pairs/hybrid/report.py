"""One page of a hybrid experiment that opens offline: figures, searches and some responses side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import plotly.graph_objects as go

from ...figures import render
from ...figures.steered import STYLE, legend, steered_tokens
from .arms import BASE, HYBRID, NETWORK, PROBE_GATED, THINKING, arm_of
from .pair_result import PairResult
from .pair_run import PairRun
from .search import named_strengths
from .settings import HybridSettings
from .steered_trace import grade_name

N_EXAMPLES = 4


def report_html(pairs: Mapping[str, PairResult], settings: HybridSettings, figures: Mapping[str, go.Figure]) -> str:
    """Write the page.

    Args:
        pairs: Pair -> what came of it; examples are shown of those whose run is there.
        settings: Of the experiment.
        figures: "gap" is shown.
    """
    results = {"pairs": [_section(pair) for pair in pairs.values()], "settings": asdict(settings)}
    return render("hybrid.html.jinja", results, figures, steered_style=STYLE)


def examples(run: PairRun) -> list[dict[str, Any]]:
    """Choose problems to show side by side: first those that only the hybrid solves, then others that it steers."""
    base, hybrid = run.arms[BASE], run.arms[HYBRID]
    worth = [
        (base.is_solved[0][number] is False and hybrid.is_solved[0][number] is True, record.n_gated > 0)
        for number, record in enumerate(hybrid.records[0])
    ]
    chosen = sorted(range(len(worth)), key=lambda number: worth[number], reverse=True)[:N_EXAMPLES]
    return [_example(run, number) for number in chosen]


def _section(pair: PairResult) -> dict[str, Any]:
    return {
        "name": pair.name,
        "base": pair.base["name"],
        "thinking": pair.thinking["name"],
        "verdict": pair.verdict.to_dict(),
        "arms": [arm.to_dict() | {"about": _about(name)} for name, arm in pair.arms.items()],
        "tuned": asdict(pair.tuned),
        "strengths": named_strengths(pair.components["behaviours"], pair.tuned),
        "has_network": NETWORK in pair.arms,
        "has_probe_gate": PROBE_GATED in pair.arms,
        "search": pair.to_dict()["search"],
        "components": pair.components,
        "next_sentence": pair.to_dict()["next_sentence"],
        "judge": pair.judged,
        "examples": [] if pair.run is None else examples(pair.run),
    }


def _about(arm: str) -> str:
    try:
        return arm_of(arm).about
    except KeyError:  # of the session that made the result
        return ""


def _example(run: PairRun, number: int) -> dict[str, Any]:
    traces = {arm: run.trace(number, arm) for arm in (BASE, HYBRID, THINKING)}
    columns = [
        {
            "arm": arm,
            "grade": grade_name(trace.is_right),
            "n_gated": trace.record.n_gated,
            "n_tokens": trace.record.n_tokens,
            "tokens": steered_tokens(trace.to_frame(), trace.colour_order()),
        }
        for arm, trace in traces.items()
    ]
    key = legend(traces[HYBRID].to_frame(), traces[HYBRID].colour_order())
    return {"question": run.pair.test[number].prompt, "columns": columns, "legend": key}
