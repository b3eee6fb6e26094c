"""A table for every figure, each value of it found nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, product

import pandas as pd
import pytest

from reasonlens.figures import FIGURES, FigureTable

MEASURED = {  # the column whose values must be seen, of each figure
    "attempt_curves": "value",
    "arm_points": "value",
    "before_after_curves": "value",
    "budget_curves": "value",
    "calibration_curves": "observed",
    "cosine_heatmap": "cosine",
    "cost_points": "value",
    "cover_curves": "value",
    "difference_heatmap": "value",
    "strength_figure": "value",
    "effect_layers": "effect",
    "excess_bars": "value",
    "gap_bars": "gap",
    "steered_line": "base_logprob",
    "interval_points": "value",
    "label_points": "value",
    "layer_curves": "value",
    "layer_heatmap": "value",
    "null_curves": "value",
    "lorenz_curves": "value",
    "rate_points": "thinking",
    "similarity_heatmap": "value",
    "policy_graph": "share",
    "outcome_bars": "value",
    "return_rates": "value",
    "search_lines": "objective",
    "share_points": "share",
    "site_heatmap": "value",
    "step_panels": "value",
    "steering_matrix_figure": "effect",
    "token_strip": "value",
    "training_curves": "value",
    "transfer_heatmap": "auroc",
    "truth_points": "share",
}


def numbers() -> Iterator[float]:
    """Numbers between 0.5 and 1 that differ from each other."""
    return (0.5 + number / 9973 for number in count(1))


def rows(**keys: list[object]) -> pd.DataFrame:
    """A row for every combination of some keys."""
    return pd.DataFrame([dict(zip(keys, values, strict=True)) for values in product(*keys.values())])


def made(figure: str) -> FigureTable:
    """A table of a figure with two or three of everything that it tells apart."""
    two, layers = ["deduction", "backtracking"], [0, 2, 5]
    keys = {
        "attempt_curves": {
            "grading": ["answers", "steps too"],
            "measure": ["pass@k", "difference"],
            "series": ["base", "thinking model less base", "a series of one's own"],
            "k": [1.0, 2.0, 8.0],
        },
        "arm_points": {"arm": ["base + vectors", "only 0", "random 1"], "measure": ["right answers", "gain"]},
        "before_after_curves": {
            "behaviour": two,
            "measure": ["AUROC", "cosine"],
            "series": ["all spans", "stable spans", "a series of one's own"],
            "layer": layers,
        },
        "budget_curves": {
            "panel": ["rl", "sft"],
            "measure": ["accuracy", "gap"],
            "series": ["divergence", "random"],
            "budget": [0.0, 0.04, 1.0],
        },
        "calibration_curves": {"behaviour": two, "n": [11, 12, 13]},
        "cost_points": {"arm": ["plain", "hybrid", "a control"]},
        "cover_curves": {"series": ["base", "a series of one's own"], "tau": [0.1, 0.5, 1.0]},
        "cosine_heatmap": {"behaviour": two, "other": two},
        "strength_figure": {
            "behaviour": two,
            "measure": ["rate", "accuracy"],
            "series": ["random directions", "direction", "a series of one's own"],
            "strength": [1.0, 0.0, -0.5],
        },
        "difference_heatmap": {"behaviour": two, "layer": layers},
        "effect_layers": {"behaviour": two, "layer": layers},
        "excess_bars": {"behaviour": [*two, "verification"]},
        "gap_bars": {"pair": ["rl", "sft"], "arm": ["base", "thinking", "hybrid", "bias"]},
        "interval_points": {"panel": ["rl", "sft"], "name": two, "series": ["read by the base", "another"]},
        "label_points": {"line": two, "series": ["keywords", "rules"]},
        "layer_curves": {"behaviour": two, "series": ["all spans", "a series of one's own"], "layer": [*layers, None]},
        "layer_heatmap": {"behaviour": two, "layer": layers},
        "lorenz_curves": {"panel": ["rl", "sft"], "series": ["base", "another"], "share": [0.1, 0.5, 1.0]},
        "rate_points": {"solved_by": ["both", "base only", "a set of one's own"]},
        "policy_graph": {"model": ["base", "rl"], "before": [*two, "(start)"], "after": [*two, "(end)"]},
        "null_curves": {
            "behaviour": two,
            "series": ["between the models", "shuffled labels", "a series of one's own"],
            "layer": layers,
        },
        "similarity_heatmap": {"pair": ["rl", "sft"], "layer": layers, "thinking_layer": [0, 1]},
        "outcome_bars": {"outcome": ["right", "wrong", "truncated"]},
        "return_rates": {
            "behaviour": two,
            "measure": ["stable", "returns"],
            "series": ["at its own boundaries", "a series of one's own"],
        },
        "search_lines": {"search": two, "layer": layers, "strength": [0.5, 1.0], "n": [10, 20]},
        "share_points": {"pair": ["rl", "sft"], "reading": ["when-share", "truth"]},
        "site_heatmap": {"site": ["hook_attn_out", "hook_mlp_out"], "layer": layers},
        "step_panels": {
            "panel": ["accuracy", "times a response"],
            "series": ["accuracy", "a series of one's own"],
            "mark": ["line", "level", "band"],
            "step": [0.0, 10.0],
        },
        "steered_line": {"position": [0, 1, 2, 3]},
        "steering_matrix_figure": {"source": ["base", "rl"], "target": ["base", "rl"], "strength": [1.0, 0.5]},
        "token_strip": {"number": [0, 1], "behaviour": two, "position": [0, 1, 2]},
        "training_curves": {"measure": ["reward", "KL"], "step": [1, 2, 3]},
        "transfer_heatmap": {"behaviour": two, "trained_on": ["a", "b"], "tested_on": ["a", "b"]},
        "truth_points": {"pair": ["rl", "sft"], "reading": ["when-share", "random order"]},
    }[figure]
    table = rows(**keys)
    draw = numbers()
    for name, kind in FIGURES[figure][1].items():
        if name in table:
            continue
        if kind is float:
            table[name] = [next(draw) for _ in range(len(table))]
        else:
            table[name] = table.index == 1 if kind is bool else [f"{name} {number}" for number in range(len(table))]
    if figure == "gap_bars":
        roles = {"base": "end", "thinking": "end", "hybrid": "hybrid", "bias": "control"}
        table["role"] = table["arm"].map(roles)
    options = {"title": "A title", "caption": "A caption with n = 3"}
    if figure == "step_panels":
        options["axis"] = "step"
    if figure in ("budget_curves", "interval_points", "label_points", "lorenz_curves", "null_curves"):
        options["axis"] = "a unit"
    if figure == "token_strip":
        options["measure"] = "log odds"
    if figure == "search_lines":
        options["objective"] = "accuracy"
    return FigureTable(figure=figure, rows=table, options=options)


@pytest.fixture(params=sorted(FIGURES))
def table(request: pytest.FixtureRequest) -> FigureTable:
    """The table of one figure after the other."""
    return made(request.param)
