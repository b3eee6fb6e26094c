"""The result of a verdict: a sentence, lines of evidence, what is lacking, and a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all, render
from ...rundir import InputError, expanded, from_row, looked_at, restoring, to_row
from ...rundir.result_files import REPORT, check_format, write_result
from ...stats import Interval
from ..verdict_sentence import Verdict
from .budget import DONE, FAILED, LEFT_OUT, Climb, duration
from .evidence_line import EvidenceLine
from .looks import Look, looks_in_words
from .pieces import EXCHANGE
from .sentence_rules import sentence_of, stance_of
from .settings import VerdictSettings

FORMAT = "reasonlens.verdict/2"
NO_TIME = "no size of it fits in the budget"
SETTLERS = {  # rule that lets nothing be said -> what could settle it
    "interval": "more problems, which make the interval of the when-share narrower",
    "open": "longer responses (--max-new-tokens), or grades where the rule is unsure",
    "lost": "more problems, if what an exchange with itself may cost is then known more narrowly",
    "moments": "more problems, if the moments are then shown to matter",
    "missing": "the controls of the exchange",
    "not exchanged": "an exchange of sentences",
    "unlabelled": "a labeller that knows behaviours of these texts",
}
REFUTERS = {  # control that would have refuted a sentence -> in words
    "other moments": "behaviours in random order that solve as much: then it is no matter of moments",
    "itself": "an exchange with itself that surely costs the thinking model more than 0.15 of its gap: then the "
    "exchange is no fair comparison",
    "thinking": "a gap: more problems, or harder or easier ones, of which the thinking model surely solves more",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class VerdictResult:
    """What `verdict` came to about a pair.

    Attributes:
        pair: Its name.
        base: Name of the model without the training.
        thinking: Name of the model with it.
        lines: What was measured, the exchange first.
        climbs: What the budget was spent on, and what did not fit.
        looks: Sentences said of this pair so far, this one last, over which the level of the exchange is spent.
        truth: Share of the gap that is timing, where it is known: of organisms and their bases.
        settings: How much time there was, and how models wrote.
    """

    pair: str
    base: str
    thinking: str
    lines: tuple[EvidenceLine, ...]
    climbs: tuple[Climb, ...]
    looks: tuple[Look, ...]
    truth: Interval | None
    settings: VerdictSettings

    @property
    def verdict(self) -> Verdict:
        """The sentence, by the rules of docs/verdicts.md; `str()` of it is all of it."""
        return sentence_of(self.lines, self.unmeasured)

    @property
    def unmeasured(self) -> dict[str, str]:
        """Piece -> why there is no line of it."""
        measured = {line.piece for line in self.lines}
        reasons = {climb.piece: climb.reason or NO_TIME for climb in self.climbs if climb.state != DONE}
        return {piece: reason for piece, reason in reasons.items() if piece not in measured}

    @property
    def seconds(self) -> float:
        """How long all pieces took, by the clock of the settings."""
        return sum(climb.seconds for climb in self.climbs if climb.state != LEFT_OUT)

    def line(self, piece: str) -> EvidenceLine:
        """Return the line of a piece.

        Args:
            piece: Its name, such as `hybrid`.

        Raises:
            InputError: It was not measured; the message says why.
        """
        for line in self.lines:
            if line.piece == piece:
                return line
        raise InputError(
            f"there is no line of {piece!r} ({self.unmeasured.get(piece, 'no such piece')}); there are "
            f"{', '.join(line.piece for line in self.lines) or 'none'}"
        )

    def stances(self) -> dict[str, str]:
        """Say of each line whether it decides, agrees with the exchange's sentence, contradicts it or is silent."""
        exchange = next((line for line in self.lines if line.piece == EXCHANGE), None)
        headline = "" if exchange is None or exchange.verdict is None else exchange.verdict.headline
        return {line.piece: stance_of(line, headline) for line in self.lines}

    def lacking(self) -> list[str]:
        """Say what could not be measured, or not at a larger size, and why."""
        sentences = [f"{piece}: {reason}" for piece, reason in self.unmeasured.items()]
        for climb in self.climbs:
            if climb.state == FAILED and climb.piece not in self.unmeasured:
                sentences.append(f"{climb.piece} at {climb.size}: {climb.reason}")
        return sentences

    def would_change(self) -> list[str]:
        """Say what would change the sentence."""
        verdict = self.verdict
        if verdict.rule in SETTLERS:
            sentences = [SETTLERS[verdict.rule]]
        else:
            sentences = [REFUTERS.get(name, name) for name in verdict.refutable_by]
        for climb in self.climbs:
            if climb.state == LEFT_OUT and climb.rung == self._height(climb.piece):
                spends = "; a further look, with wider intervals" if climb.piece == EXCHANGE and self.looks else ""
                sentences.append(
                    f"a larger --budget: {climb.piece} at {climb.size} would take about "
                    f"{duration(climb.estimate_seconds)} more{spends}"
                )
        return sentences

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each number of each line; intervals in `value_low` and `value_high`."""
        stances = self.stances()
        columns = ["piece", "stance", "reading", "role", "value", "value_low", "value_high", "unit", "n"]
        rows = [row | {"stance": stances[line.piece]} for line in self.lines for row in line.rows]
        return pd.DataFrame(rows, columns=columns)

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate the small figure of each line."""
        return {line.piece: table for line in self.lines if (table := line.table()) is not None}

    def figures(self) -> dict[str, go.Figure]:
        """Draw the small figure of each line, by piece."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw the figure of the first line: the when-share beside its controls."""
        tables = self.tables()
        if not tables:
            raise InputError("nothing was measured, so there is no figure: `.lacking()` says why")
        return next(iter(tables.values())).draw()

    def to_dict(self) -> dict[str, Any]:
        """Return what `results.json` holds; None for NaN."""
        return {
            "format": FORMAT,
            "pair": self.pair,
            "base": self.base,
            "thinking": self.thinking,
            "verdict": self.verdict.to_dict(),
            "lines": [to_row(line) | {"stance": self.stances()[line.piece]} for line in self.lines],
            "lacking": self.lacking(),
            "would_change": self.would_change(),
            "climbs": [to_row(climb) for climb in self.climbs],
            "looks": [to_row(look) for look in self.looks],
            "truth": None if self.truth is None else self.truth.to_dict(),
            "settings": asdict(self.settings),
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> VerdictResult:
        """Read what `to_dict` returned.

        Args:
            content: Plain values.

        Returns:
            The result; what each piece measured lies in the folder of its line.

        Raises:
            InputError: It is no result of this version.
        """
        check_format(content, FORMAT)
        truth = content["truth"]
        return cls(
            pair=str(content["pair"]),
            base=str(content["base"]),
            thinking=str(content["thinking"]),
            lines=tuple(from_row(EvidenceLine, line) for line in content["lines"]),
            climbs=tuple(from_row(Climb, climb) for climb in content["climbs"]),
            looks=tuple(from_row(Look, look) for look in content["looks"]),
            truth=None if truth is None else Interval.from_dict(truth),
            settings=from_row(VerdictSettings, content["settings"]),
        )

    def report(self) -> str:
        """Write one page that opens offline; it links to the pages of the pieces where it lies beside them."""
        verdict, stances = self.verdict, self.stances()
        results = {
            "pair": self.pair,
            "base": self.base,
            "thinking": self.thinking,
            "headline": verdict.headline,
            "because": verdict.because,
            "rule": verdict.rule,
            "truth": None if self.truth is None else str(self.truth),
            "looks": looks_in_words(self.looks),
            "lines": [
                {
                    "piece": line.piece,
                    "title": line.title,
                    "stance": stances[line.piece],
                    "size": line.size,
                    "percent": line.percent,
                    "says": line.says,
                    "decides": line.decides,
                    "page": f"{line.folder}/{REPORT}",
                    "readings": [
                        {"name": one.name, "role": one.role, "share": number_text(one.share), "unit": one.unit}
                        for one in line.readings
                    ],
                }
                for line in self.lines
            ],
            "lacking": self.lacking(),
            "would_change": self.would_change(),
            "budget": f"{duration(self.settings.budget_seconds)} ({self.settings.clock} time)",
            "spent": duration(self.seconds),
            "climbs": [
                {
                    "piece": climb.piece,
                    "size": climb.size,
                    "estimate": duration(climb.estimate_seconds),
                    "taken": "" if climb.state == LEFT_OUT else duration(climb.seconds),
                    "state": climb.state,
                }
                for climb in self.climbs
            ],
        }
        return render("verdict.html.jinja", results, self.figures())

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/ and report.html.

        Args:
            directory: Made if there is none.

        Raises:
            InputError: It cannot be written.
        """
        write_result(expanded(directory), self, self.report())

    @looked_at(".verdict, .lines, .figures(), .lacking(), .would_change()")
    def __repr__(self) -> str:
        truth = "" if self.truth is None else f"; planted truth {self.truth}"
        return f"VerdictResult({self.pair}: {self.verdict.headline}; {len(self.lines)} lines of evidence{truth})"

    def _repr_html_(self) -> str:
        """Show the sentence and the lines; `figures()` draws them, `report()` is the whole page."""
        verdict, stances = self.verdict, self.stances()
        rows = "".join(
            f"<tr><td>{escape(line.piece)}</td><td>{escape(stances[line.piece])}</td><td>"
            + "<br>".join(f"{escape(one.name)}: {number_text(one.share)}" for one in line.readings)
            + f"</td><td>{escape(line.says)}</td></tr>"
            for line in self.lines
        )
        truth = "" if self.truth is None else f"<p>Planted truth: {self.truth} of the gap is timing.</p>"
        looks = f"<p>{escape(looks_in_words(self.looks))}.</p>" if self.looks else ""
        lacking = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.lacking())
        lacking = f"<p>Could not be measured:</p><ul>{lacking}</ul>" if lacking else ""
        changes = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.would_change())
        return (
            f"<p><b>{escape(verdict.headline)}</b>: {escape(verdict.because)}.</p>{looks}{truth}"
            f"<table><tr><th>evidence</th><th>of the sentence</th><th>numbers</th><th>says</th></tr>{rows}</table>"
            f"{lacking}"
            f"<p>What would change this:</p><ul>{changes}</ul>"
        )

    def _height(self, piece: str) -> int:
        return sum(climb.piece == piece and climb.state == DONE for climb in self.climbs)


def number_text(share: Interval) -> str:
    """Write a number with its interval, where it has one."""
    return str(share) if share.low == share.low else f"{share.value:.3f}"
