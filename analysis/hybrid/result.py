"""The result of a hybrid experiment: a row for each pair and arm, a verdict for each pair, a figure and a page."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ...models import LanguageModel
from .arms import ARMS, CONTROLS
from .gap import difference
from .measure import ArmResult, measure_arm
from .record import RowRecord
from .run import PairRun
from .settings import HybridSettings
from .verdict import verdict_of

FORMAT = "reasonlens.hybrid/1"
N_EXAMPLES = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class HybridResult:
    """What `hybrid` found."""

    pairs: tuple[PairRun, ...]
    settings: HybridSettings

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
        from ..figures.gap import gap_bars

        return gap_bars(self.arms())

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
                    "grid": _plain(run.grid),
                    "parts": _about(run),
                    "arms": {name: result.to_json() for name, result in arms[run.pair.name].items()},
                }
                for run in self.pairs
            },
            "settings": asdict(self.settings),
        }

    def report(self) -> str:
        """One page that opens offline."""
        from ..report import render

        arms, verdicts = self.arms(), self.verdicts()
        pairs = [
            {
                "name": run.pair.name,
                "base": run.pair.base.name,
                "thinking": run.pair.thinking.name,
                "verdict": verdicts[run.pair.name],
                "arms": [{**result.to_json(), "about": ARMS[name]} for name, result in arms[run.pair.name].items()],
                "tuned": asdict(run.tuned),
                "grid": _plain(run.grid),
                "parts": _about(run),
                "n_validation": len(run.pair.validation),
                "examples": examples(run),
            }
            for run in self.pairs
        ]
        return render("hybrid.html.jinja", {"pairs": pairs, "settings": asdict(self.settings)}, {"gap": self.figure()})


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
        if name in run.arms and difference(hybrid, np.array(run.arms[name].is_solved).mean(axis=0), problems).low <= 0
    ]


def _about(run: PairRun) -> dict[str, Any]:
    auroc = run.parts.auroc_when[run.tuned.layer]
    return {
        "n_rollouts": run.parts.n_rollouts,
        "n_disagreements": run.parts.n_disagreements,
        "n_gate_tokens": run.parts.n_gate_tokens,
        "auroc_when": None if math.isnan(auroc) else auroc,
        "categories": list(run.parts.categories),
    }


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def examples(run: PairRun) -> list[dict[str, Any]]:
    """Some problems side by side: first those that the hybrid solves and the base does not, then others it steers."""
    base, hybrid, thinking = (run.arms[name] for name in ("base", "hybrid", "thinking"))
    gained = [
        (not base.is_solved[0][number] and hybrid.is_solved[0][number], record.n_gated > 0)
        for number, record in enumerate(hybrid.records[0])
    ]
    order = sorted(range(len(gained)), key=lambda number: gained[number], reverse=True)[:N_EXAMPLES]
    return [
        {
            "question": run.pair.test[number].prompt,
            "base": base.records[0][number].text,
            "thinking": thinking.records[0][number].text,
            "base_is_right": base.is_solved[0][number],
            "is_right": hybrid.is_solved[0][number],
            "thinking_is_right": thinking.is_solved[0][number],
            "n_steered": hybrid.records[0][number].n_gated,
            "n_tokens": hybrid.records[0][number].n_tokens,
            "tokens": coloured(run.pair.base, hybrid.records[0][number], run.parts.categories),
        }
        for number in order
    ]


def coloured(model: LanguageModel, record: RowRecord, categories: tuple[str, ...]) -> list[dict[str, Any]]:
    """The tokens of a response with what was done at each; half a character goes with the token that ends it."""
    pieces, before = [], ""
    for place in range(record.n_tokens):
        whole = _decoded(model, record.tokens[: place + 1])
        text = "" if whole.endswith("\N{REPLACEMENT CHARACTER}") else whole[len(before) :]
        before = before if not text else whole
        is_gated = record.gated[place]
        said = (
            f"base: {_decoded(model, [record.base[place]])!r}, thinking: {_decoded(model, [record.thinking[place]])!r}"
        )
        category = categories[record.category[place]] if record.category[place] >= 0 else "taken over"
        pieces.append(
            {
                "text": text,
                "gated": is_gated,
                "changed": record.tokens[place] != record.base[place],
                "title": f"{category}, dose {record.dose[place]:g}; {said}" if is_gated else "",
            }
        )
    return pieces


def _decoded(model: LanguageModel, ids: list[int] | tuple[int, ...]) -> str:
    return str(model.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))
