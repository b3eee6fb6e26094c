"""The result of a hybrid experiment: a row for each pair and arm, a verdict for each pair, a figure and a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ...figures import render
from ...figures.steered import STYLE, legend, steered_tokens
from ...stats import accuracy_difference_over_groups
from .arms import ARMS, CONTROLS
from .judging import Judged
from .measure import ArmResult, measure_arm
from .run import PairRun, plain
from .settings import HybridSettings
from .tables import gap_table
from .tuning import named_strengths
from .verdict import verdict_of

FORMAT = "reasonlens.hybrid/2"
N_EXAMPLES = 4
SHOWN = (  # in notebooks
    *("arm", "accuracy", "gap", "gap_low", "gap_high", "steered", "effective", "p_mcnemar", "truncated", "n"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class HybridResult:
    """What `hybrid` found."""

    pairs: tuple[PairRun, ...]
    settings: HybridSettings
    judged: Mapping[str, Judged] = field(default_factory=dict)  # pair -> what a judge says of it

    def arms(self) -> dict[str, dict[str, ArmResult]]:
        """Pair -> arm -> its figures."""
        return {run.pair.name: measured(run) for run in self.pairs}

    def verdicts(self) -> dict[str, str]:
        """Pair -> what its arms say, in a sentence with the numbers that decide it."""
        return {run.pair.name: verdict_of(measured(run), not_beaten(run)) for run in self.pairs}

    def to_frame(self) -> pd.DataFrame:
        """One row for each pair and arm; intervals in `_low` and `_high`."""
        return pd.DataFrame(
            [{"pair": pair, **result.to_json()} for pair, arms in self.arms().items() for result in arms.values()]
        )

    def figure(self) -> go.Figure:
        """Gap recovered by every arm, with intervals."""
        return gap_table(self.to_frame()).draw()

    def to_dict(self) -> dict[str, Any]:
        """What `results.json` holds: pair -> arm -> figures, and how they were come by."""
        arms, verdicts = self.arms(), self.verdicts()
        return {
            "format": FORMAT,
            "pairs": {
                run.pair.name: {
                    "base": run.pair.base.identity(),
                    "thinking": run.pair.thinking.identity(),
                    "verdict": verdicts[run.pair.name],
                    "tuned": asdict(run.tuned),
                    "grid": plain(run.grid),
                    "parts": _about(run),
                    "next_sentence": plain(run.next_sentence),
                    "judge": self.judged[run.pair.name].to_json() if run.pair.name in self.judged else None,
                    "arms": {name: result.to_json() for name, result in arms[run.pair.name].items()},
                }
                for run in self.pairs
            },
            "settings": asdict(self.settings),
        }

    def report(self) -> str:
        """One page that opens offline."""
        arms, verdicts = self.arms(), self.verdicts()
        pairs = [
            {
                "name": run.pair.name,
                "base": run.pair.base.name,
                "thinking": run.pair.thinking.name,
                "verdict": verdicts[run.pair.name],
                "arms": [{**result.to_json(), "about": ARMS[name]} for name, result in arms[run.pair.name].items()],
                "tuned": asdict(run.tuned),
                "strengths": named_strengths(run.parts.behaviours, run.tuned),
                "has_network": "network-strength" in run.arms,
                "grid": plain(run.grid),
                "parts": _about(run),
                "next_sentence": plain(run.next_sentence),
                "judge": self.judged.get(run.pair.name),
                "n_validation": len(run.pair.validation),
                "examples": examples(run),
            }
            for run in self.pairs
        ]
        results = {"pairs": pairs, "settings": asdict(self.settings)}
        return render("hybrid.html.jinja", results, {"gap": self.figure()}, steered_style=STYLE)

    def _repr_html_(self) -> str:
        """The verdicts and the arms of each pair; `figure()` draws them, `report()` is the whole page."""
        from html import escape

        figures = self.to_frame()
        shown = {name: "{:.3f}".format for name in SHOWN[1:-1]} | {"p_mcnemar": "{:.2g}".format}
        parts = []
        for pair, verdict in self.verdicts().items():
            rows = figures[figures["pair"] == pair][list(SHOWN)].to_html(index=False, formatters=shown, na_rep="–")
            parts.append(f"<p><b>{escape(pair)}</b>: {escape(verdict)}</p>{rows}")
        return "".join(parts)


def measured(run: PairRun) -> dict[str, ArmResult]:
    """The figures of every arm of one pair; of an arm with several seeds, over all of them."""
    solved = {name: np.array(arm.is_solved) for name, arm in run.arms.items()}  # (seed, problem)
    base, thinking = solved["base"][0], solved["thinking"][0]
    problems = [question.problem for question in run.pair.test]
    return {
        name: measure_arm(name, base, thinking, solved[name], [list(records) for records in arm.records], problems)
        for name, arm in run.arms.items()
    }


def not_beaten(run: PairRun) -> list[str]:
    """The controls that the hybrid is not shown to be better than, problems paired."""
    problems = [question.problem for question in run.pair.test]
    hybrid = np.array(run.arms["hybrid"].is_solved).mean(axis=0)
    return [
        name
        for name in CONTROLS
        if name in run.arms
        and accuracy_difference_over_groups(hybrid, np.array(run.arms[name].is_solved).mean(axis=0), problems).low <= 0
    ]


def _about(run: PairRun) -> dict[str, Any]:
    probes = run.parts.probes
    auroc = probes.auroc_when[run.tuned.layer]
    return {
        "problems_digest": run.pair.digest,
        "n_rollouts": len(run.parts.traces),
        "n_disagreements": probes.n_disagreements,
        "n_gate_tokens": probes.n_tokens,
        "auroc_when": None if math.isnan(auroc) else auroc,
        "behaviours": list(run.parts.behaviours),
    }


def examples(run: PairRun) -> list[dict[str, Any]]:
    """Some problems side by side: first those that the hybrid solves and the base does not, then others it steers."""
    base, hybrid = run.arms["base"], run.arms["hybrid"]
    gained = [
        (not base.is_solved[0][number] and hybrid.is_solved[0][number], record.n_gated > 0)
        for number, record in enumerate(hybrid.records[0])
    ]
    order = sorted(range(len(gained)), key=lambda number: gained[number], reverse=True)[:N_EXAMPLES]
    found = []
    for number in order:
        traces = [run.trace(number, arm) for arm in ("base", "hybrid", "thinking")]
        columns = [
            {
                "arm": each.arm,
                "is_right": each.is_right,
                "n_gated": each.record.n_gated,
                "n_tokens": each.record.n_tokens,
                "tokens": steered_tokens(each.figure_table(), each.colour_order()),
            }
            for each in traces
        ]
        found.append(
            {
                "question": run.pair.test[number].prompt,
                "columns": columns,
                "legend": legend(traces[1].figure_table(), traces[1].colour_order()),
            }
        )
    return found
