"""The result of pass@k: curves, crossover, sets of k and of problems, figures and a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all, result_page
from ...rundir import expanded, from_row, looked_at, restoring, to_row
from ...rundir.result_files import check_format, write_result
from .attempts import AttemptCurves, ranges
from .chance import Chance
from .counts import ProblemCounts
from .coverage import Coverage
from .findings import crossover_text, findings
from .grading import ANSWERS, STEPS, Graded
from .settings import PasskSettings
from .tables import all_right_table, attempts_table, cover_table, rates_table

FORMAT = "reasonlens.passk/1"
TITLE = "pass@k: who is ahead with how many samples"
LEAD = (
    "pass@k: the chance that at least one of k samples of a problem is right, estimated from all of its samples. "
    "Crossover: where the base catches up with the thinking model."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class PasskResult:
    """What `passk` estimated.

    Attributes:
        base: Name of the model without the training.
        thinking: Name of the model with it.
        answers: Estimates where a sample is right if its answer is.
        steps: Estimates where every step has to be right too; None: not known.
        chance: What guesses reach; None: not known.
        base_counts: Samples of the base, problem by problem.
        thinking_counts: Samples of the thinking model.
        notes: What was left out or has to be known, in words.
        settings: How was sampled and estimated.
    """

    base: str
    thinking: str
    answers: Graded
    steps: Graded | None
    chance: Chance | None
    base_counts: tuple[ProblemCounts, ...]
    thinking_counts: tuple[ProblemCounts, ...]
    notes: tuple[str, ...]
    settings: PasskSettings

    @property
    def curves(self) -> AttemptCurves:
        """The curves of answers: `crossover`, `crossover_set`, `gain_k`, `loss_k`."""
        return self.answers.curves

    @property
    def coverage(self) -> Coverage:
        """The problems by which model has a right answer among its samples."""
        return self.answers.coverage

    @property
    def gradings(self) -> dict[str, Graded]:
        """The estimates by grading, those that are known."""
        return {ANSWERS: self.answers} | ({} if self.steps is None else {STEPS: self.steps})

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each grading and k: both models, difference, pass^k and chance; the ends of bands."""
        rows = []
        for name, graded in self.gradings.items():
            curves = graded.curves
            crossing = set(curves.crossover_set)
            for place, k in enumerate(curves.k):
                rows.append(
                    {
                        "grading": name,
                        "k": k,
                        **curves.base_band[place].columns("base"),
                        **curves.thinking_band[place].columns("thinking"),
                        **curves.difference_band[place].columns("difference"),
                        "standing": curves.standing(place),
                        "can_cross": k in crossing,
                        "chance": float("nan") if self.chance is None else self.chance.pass_at[place],
                        **curves.base_all[place].columns("base_all"),
                        **curves.thinking_all[place].columns("thinking_all"),
                        "n": curves.base[place].n,
                    }
                )
        return pd.DataFrame(rows)

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        n = self._n_problems
        caption = f"{self.thinking} against {self.base}; n = {n} problems"
        bands = f"{caption}; 95% bands over problems, for all k at once"
        return {
            "attempts": attempts_table(self.gradings, self.chance, TITLE, bands),
            "rates": rates_table(self.base_counts, self.thinking_counts, f"{caption}; area: problems at a point"),
            "cover": cover_table(self.answers, f"{caption}; 95% intervals over problems, of each tau alone"),
            "all_right": all_right_table(self.gradings, f"{caption}; 95% intervals over problems, of each k alone"),
        }

    def figures(self) -> dict[str, go.Figure]:
        """Draw all figures of the report, by name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw pass@k of both models with bands and chance, and below the difference with the possible crossovers."""
        return self.tables()["attempts"].draw()

    def sentences(self) -> list[str]:
        """Say what was found, and what must not be read into it."""
        return [*findings(self.answers, self.steps, self.chance), *self.notes]

    def to_dict(self) -> dict[str, Any]:
        """Return what `results.json` holds: curves as columns, sets of k, coverage, and the counts of every problem."""
        return {
            "format": FORMAT,
            "base_model": self.base,
            "thinking_model": self.thinking,
            "n_problems": self._n_problems,
            **self.answers.to_dict(),
            "steps": None if self.steps is None else self.steps.to_dict(),
            "chance": None if self.chance is None else to_row(self.chance),
            "problems": [
                {"base": to_row(one), "thinking": to_row(other)}
                for one, other in zip(self.base_counts, self.thinking_counts, strict=True)
            ],
            "notes": list(self.notes),
            "settings": asdict(self.settings),
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> PasskResult:
        """Read what `to_dict` returned.

        Args:
            content: Plain values.

        Returns:
            The result.

        Raises:
            InputError: It is no result of this version.
        """
        check_format(content, FORMAT)
        n = int(content["n_problems"])
        steps, chance = content["steps"], content["chance"]
        return cls(
            base=str(content["base_model"]),
            thinking=str(content["thinking_model"]),
            answers=Graded.from_dict(content, n),
            steps=None if steps is None else Graded.from_dict(steps, n),
            chance=None if chance is None else from_row(Chance, chance),
            base_counts=tuple(from_row(ProblemCounts, row["base"]) for row in content["problems"]),
            thinking_counts=tuple(from_row(ProblemCounts, row["thinking"]) for row in content["problems"]),
            notes=tuple(str(note) for note in content["notes"]),
            settings=from_row(PasskSettings, content["settings"]),
        )

    def report(self) -> str:
        """Write one page that opens offline."""
        return result_page(
            TITLE,
            LEAD,
            self.figures(),
            self._shown(),
            [f"{sentence[:1].upper()}{sentence[1:]}." for sentence in self.sentences()],
        )

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/ and report.html.

        Args:
            directory: Made if there is none.

        Raises:
            InputError: It cannot be written.
        """
        write_result(expanded(directory), self, self.report())

    @looked_at(".sentences(), .figure(), .to_frame()")
    def __repr__(self) -> str:
        curves = self.curves
        return (
            f"PasskResult({self._n_problems} problems, k to {curves.k[-1]}: thinking model surely ahead at k = "
            f"{ranges(curves.gain_k, curves.k)}, surely behind at {ranges(curves.loss_k, curves.k)}; crossover "
            f"{crossover_text(curves)})"
        )

    def _repr_html_(self) -> str:
        """Show pass@k at the powers of two, and what was found; `figure()` draws it, `report()` is the whole page."""
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.sentences())
        return f"<ul>{items}</ul>{self._shown().to_html(index=False, float_format='{:.3f}'.format, na_rep='–')}"

    @property
    def _n_problems(self) -> int:
        return self.curves.base[0].n

    def _shown(self) -> pd.DataFrame:
        """Choose the rows that a table shows: powers of two and the largest k."""
        frame = self.to_frame()
        is_shown = [k & (k - 1) == 0 or k == self.curves.k[-1] for k in frame["k"]]
        return frame[is_shown] if len(frame) > 12 * len(self.gradings) else frame
