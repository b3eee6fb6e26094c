"""The result of a comparison of ways to elicit reasoning: a row for each arm, figures, a sentence and a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all, result_page
from ...rundir import InputError, did_you_mean, expanded, from_row, looked_at, restoring, to_row
from ...rundir.result_files import check_format, write_result
from ..verdict_sentence import Verdict
from .measure import ArmComparison, ControlPoint, ElicitFigures
from .settings import ElicitSettings
from .tables import cost_table, gains_table, off_task_table, wordings_table
from .verdict_rules import elicit_verdict

FORMAT = "reasonlens.elicit/1"
TITLE = "Ways to elicit reasoning, side by side"
LEAD = (
    "All arms answer the same problems with the same random numbers. Beside each stands the strongest cheap control: "
    "the plain prompt, the majority of as many plain samples as cost at least as much, and the prompt to reason step "
    "by step. What an arm gains over that is its excess."
)
INTERVALS = (
    *("accuracy", "gain", "excess", "excess_among", "control_accuracy", "truncated", "prompt_tokens"),
    *("output_tokens", "passes", "prompt_flops", "output_flops", "flops", "loss", "loss_change", "spread"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class ElicitResult:
    """What `elicit` measured.

    Attributes:
        base: Name of the base.
        thinking: Name of the thinking model; None: there was none.
        arms: Figures of each arm; the plain prompt is the first.
        control: What the majority of 1, 2, 4, ... plain samples reaches.
        comparisons: Of arms that leave the weights alone with arms that change them.
        refused: Arm -> why it did not run.
        settings: How it was measured.
    """

    base: str
    thinking: str | None
    arms: tuple[ElicitFigures, ...]
    control: tuple[ControlPoint, ...]
    comparisons: tuple[ArmComparison, ...]
    refused: dict[str, str]
    settings: ElicitSettings

    def arm(self, name: str) -> ElicitFigures:
        """Return the figures of an arm.

        Args:
            name: Its name.

        Returns:
            Its figures.

        Raises:
            InputError: It did not run.
        """
        names = [one.arm for one in self.arms]
        if name not in names:
            reason = f": {self.refused[name]}" if name in self.refused else f".{did_you_mean(name, names)}"
            raise InputError(f"there are no figures of the arm {name!r}, only of {', '.join(names)}{reason}")
        return self.arms[names.index(name)]

    @property
    def verdict(self) -> Verdict:
        """What the figures say by the rules of docs/elicit.md; `str()` of it is the sentence."""
        return elicit_verdict(self.arms, self.comparisons)

    def sentences(self) -> list[str]:
        """Say what was found: each arm over its control, what did not run, and the conclusion."""
        lines = [
            f"{one.arm} solves {one.excess} more than its strongest cheap control, {one.control}"
            + ("" if one.is_matched else " (which costs less than the arm)")
            for one in self.arms[1:]
        ]
        lines += [f"{name} did not run: {reason}" for name, reason in self.refused.items()]
        return [*lines, str(self.verdict)]

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each arm; intervals in `_low` and `_high`."""
        rows = []
        for one in self.arms:
            row: dict[str, Any] = {"arm": one.arm, "role": one.role, "n": one.n, "n_problems": one.accuracy.n}
            for name in INTERVALS:
                row |= getattr(one, name).columns(name)
            row |= {
                "control": one.control,
                "is_matched": one.is_matched,
                "unsure": one.unsure,
                "calls": one.calls,
                "problems": one.training.n_problems,
                "examples": one.training.n_examples,
                "training_flops": one.training.flops,
                "training": one.training.about,
                "needs_thinking": one.needs_thinking,
                "spread_shuffled": one.spread_shuffled,
                "spread_p": one.spread_p,
                "least_by_wording": min(one.by_wording),
                "note": one.note,
            }
            rows.append(row)
        return pd.DataFrame(rows)

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        n, n_texts = self.arms[0].accuracy.n, self.arms[0].loss.n
        problems = f"n = {n} problems, 95% intervals over them"
        tables = {
            "cost": cost_table(self.arms, self.control, f"{problems}; training is not in the cost of a response"),
            "gains": gains_table(self.arms, problems),
            "off_task": off_task_table(self.arms, f"n = {n_texts} texts, 95% intervals over them"),
        }
        if not isnan(self.arms[0].spread.value):
            n_reworded, n_wordings = self.arms[0].spread.n, len(self.arms[0].by_wording)
            caption = f"n = {n_reworded} problems in {n_wordings} wordings, 95% intervals over problems"
            tables["wordings"] = wordings_table(self.arms, caption)
        return tables

    def figures(self) -> dict[str, go.Figure]:
        """Draw all figures of the report, by name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw accuracy against the cost of a response."""
        return self.figures()["cost"]

    def to_dict(self) -> dict[str, Any]:
        """Return what `results.json` holds; None for NaN."""
        return {
            "format": FORMAT,
            "base": self.base,
            "thinking": self.thinking,
            "verdict": self.verdict.to_dict(),
            "arms": [to_row(one) for one in self.arms],
            "control": [to_row(point) for point in self.control],
            "comparisons": [to_row(row) for row in self.comparisons],
            "refused": self.refused,
            "settings": asdict(self.settings),
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> ElicitResult:
        """Read what `to_dict` returned.

        Args:
            content: Plain values.

        Returns:
            The result.

        Raises:
            InputError: It is no result of this version.
        """
        check_format(content, FORMAT)
        return cls(
            base=str(content["base"]),
            thinking=None if content["thinking"] is None else str(content["thinking"]),
            arms=tuple(from_row(ElicitFigures, row) for row in content["arms"]),
            control=tuple(from_row(ControlPoint, row) for row in content["control"]),
            comparisons=tuple(from_row(ArmComparison, row) for row in content["comparisons"]),
            refused={str(name): str(reason) for name, reason in content["refused"].items()},
            settings=from_row(ElicitSettings, content["settings"]),
        )

    def report(self) -> str:
        """Write one page that opens offline."""
        return result_page(TITLE, LEAD, self.figures(), self._shown(), self.sentences())

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/ and report.html.

        Args:
            directory: Made if there is none.

        Raises:
            InputError: It cannot be written.
        """
        write_result(expanded(directory), self, self.report())

    @looked_at(".sentences(), .figure(), .to_frame(), .arm(name)")
    def __repr__(self) -> str:
        beyond = [f"{one.arm} {one.excess.value:+.3f}" for one in self.arms[1:]]
        return f"ElicitResult({self.base}, {self.arms[0].accuracy.n} problems; excess: {', '.join(beyond) or 'none'})"

    def _repr_html_(self) -> str:
        """Show the arms and what is concluded; `figure()` draws them, `report()` is the whole page."""
        return f"{self._shown().to_html(index=False, na_rep='–')}<p>{escape(str(self.verdict))}</p>"

    def _shown(self) -> pd.DataFrame:
        """Tabulate cost and robustness of each arm as a page shows them."""

        def count(value: float | None) -> str:
            return "–" if value is None or isnan(value) else f"{value:.3g}"

        return pd.DataFrame(
            [
                {
                    "arm": one.arm,
                    "accuracy": str(one.accuracy),
                    "over plain": str(one.gain),
                    "excess": str(one.excess),
                    "control": one.control if one.is_matched else f"{one.control} (costs less)",
                    "tokens of prompt, output": f"{one.prompt_tokens.value:.0f}, {one.output_tokens.value:.0f}",
                    "passes": f"{one.passes.value:.0f}",
                    "FLOPs of prompt, output": f"{one.prompt_flops.value:.2e}, {one.output_flops.value:.2e}",
                    "examples": count(one.training.n_examples),
                    "training FLOPs": count(one.training.flops) + (" + thinking model" if one.needs_thinking else ""),
                    "loss off the task": str(one.loss_change),
                    "spread over wordings": "–" if isnan(one.spread.value) else str(one.spread),
                    "shuffled": count(one.spread_shuffled),
                    "cut off": f"{one.truncated.value:.2f}",
                    "chosen": one.note,
                }
                for one in self.arms
            ]
        )
