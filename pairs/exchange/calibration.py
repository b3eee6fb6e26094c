"""How well readings of a pair agree with its truth, over a family of pairs of which the truth is known.

    mean absolute error     of a reading, over the pairs
    concordance             share of the pairs of pairs, whose truths differ by more than 0.1, that it orders rightly

Beside the when-share stands what it has to beat: a constant, one margin of the exchange alone, what words and vectors
recover, and rates of moves and of right steps put into the machine that planted the truth, which no real pair shows.
Each is counted on the pairs for which there is such a reading, and so is by how much it errs more than the when-share;
pairs of one base err alike, so the interval of that resamples bases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from html import escape
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all, result_page
from ...figures.shares import TRUTH
from ...rundir import InputError, expanded, from_row, looked_at, restoring, to_row
from ...rundir.result_files import check_format, write_result
from ...stats import Interval, concordance, mean_over_groups
from .calibrated_pair import CalibratedPair
from .settings import ExchangeSettings

FORMAT = "reasonlens.calibration/4"
TITLE = "What a when-share reads where the truth is known"
LEAD = (
    "Of every pair it is known by construction, and measured by cross-play, which share of its gap is timing. The "
    "when-share is read without that knowledge, from the two models, their texts and the behaviours of sentences. "
    "On the dotted line a reading is the truth; hollow points have an interval that misses it."
)
WHEN_SHARE, CONSTANT = "when-share", "constant"
WHEN_MARGIN, HOW_MARGIN = "when alone", "what how alone leaves"
MARGIN = 0.1  # by which two truths differ that are to be told apart
MIDDLE = 0.5  # what the constant reads


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibration:
    """What `calibrate` measured."""

    pairs: dict[str, CalibratedPair]
    settings: ExchangeSettings

    @classmethod
    def joined(cls, parts: Mapping[str, Calibration]) -> Calibration:
        """Put the pairs of several families into one.

        Args:
            parts: Name of the family -> what was measured, with the same settings.

        Returns:
            All pairs, named `PAIR (FAMILY)`.

        Raises:
            InputError: There are none, or settings differ.
        """
        settings = [part.settings for part in parts.values()]
        if not settings or any(one != settings[0] for one in settings):
            raise InputError(f"what is joined has the same settings, and of {', '.join(parts) or 'none'} they differ")
        pairs = {
            f"{name} ({family})": replace(pair, base=f"{pair.base} ({family})")
            for family, part in parts.items()
            for name, pair in part.pairs.items()
        }
        return cls(pairs=pairs, settings=settings[0])

    @property
    def names(self) -> list[str]:
        """The readings that there are, the constant last."""
        return [*dict.fromkeys(name for pair in self.pairs.values() for name in pair.readings), CONSTANT]

    def mean_abs_error(self, reading: str = WHEN_SHARE) -> float:
        """Compute the mean distance between a reading and the truth, over the pairs that have it; NaN without any."""
        errors = self.errors(reading)
        return float(np.mean(errors)) if errors else float("nan")

    def errors(self, reading: str = WHEN_SHARE) -> list[float]:
        """List the distances between a reading and the truth, of the pairs that have it."""
        return [abs(share - truth) for truth, share in self._points(reading)]

    def concordance(self, reading: str = WHEN_SHARE) -> tuple[float, int]:
        """Compute the share of pairs of pairs in the right order, and their number."""
        points = self._points(reading)
        return concordance([truth for truth, _ in points], [share for _, share in points], MARGIN)

    def excess(self, reading: str) -> Interval:
        """Compute by how much more a reading errs than the when-share, over the pairs that have both.

        Args:
            reading: Its name.

        Returns:
            Mean difference of the two distances to the truth, with a 95% interval over bases; above 0: the when-share
            is nearer. NaN ends with fewer than two bases.
        """
        differences, bases = [], []
        for pair in self.pairs.values():
            truth, read, share = pair.truth.value, _read(pair, reading), pair.readings[WHEN_SHARE].value
            if not (isnan(truth) or isnan(read) or isnan(share)):
                differences.append(abs(read - truth) - abs(share - truth))
                bases.append(pair.base)
        if len(set(bases)) < 2:
            return Interval(float(np.mean(differences)) if differences else nan, nan, nan, len(differences))
        return mean_over_groups(np.array(differences), groups=bases)

    def scores(self) -> pd.DataFrame:
        """Tabulate error and concordance of every reading, and how much more it errs than the when-share."""
        rows = []
        for name in self.names:
            share, n_compared = self.concordance(name)
            excess = self.excess(name)
            rows.append(
                {
                    "reading": name,
                    "mean_abs_error": self.mean_abs_error(name),
                    "concordance": share,
                    "n_compared": n_compared,
                    "n_pairs": len(self._points(name)),
                    **({} if name == WHEN_SHARE else excess.columns("excess")),
                }
            )
        return pd.DataFrame(rows)

    def in_words(self) -> list[str]:
        """Say of every reading how far it lies from the truth, on how many pairs, and in which order it puts them."""
        sentences = []
        for name in self.names:
            (share, n_compared), n_pairs = self.concordance(name), len(self._points(name))
            order = f", and puts {share:.0%} of {n_compared} pairs of pairs in the right order" if n_compared else ""
            pairs = "1 pair" if n_pairs == 1 else f"{n_pairs} pairs"
            more = "" if name == WHEN_SHARE else f", {self.excess(name)} more than the when-share"
            sentences.append(f"{name}: errs by {self.mean_abs_error(name):.3f} on average over {pairs}{more}{order}.")
        return sentences

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each pair and reading, the truth among them; intervals in `low` and `high`."""
        return pd.DataFrame(
            [
                {
                    "pair": name,
                    "reading": reading,
                    "share": share.value,
                    "low": share.low,
                    "high": share.high,
                    "n": share.n,
                }
                for name, pair in self.pairs.items()
                for reading, share in {TRUTH: pair.truth, **pair.readings}.items()
            ]
        )

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        share, n_compared = self.concordance()
        caption = (
            f"{len(self.pairs)} pairs, 95% intervals over problems; when-share: mean absolute error "
            f"{self.mean_abs_error():.3f}, {share:.0%} of {n_compared} pairs of pairs in the right order"
        )
        frame = self.to_frame().astype(dict.fromkeys(("share", "low", "high"), float))
        options = {"title": TITLE, "caption": caption}
        return {
            "truths": FigureTable(figure="truth_points", rows=self._against_truth(), options=options),
            "shares": FigureTable(figure="share_points", rows=frame, options={"title": "Pair by pair", "caption": ""}),
        }

    def figures(self) -> dict[str, go.Figure]:
        """Draw all figures of the report, by name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw every reading of every pair against its truth."""
        return self.figures()["truths"]

    def to_dict(self) -> dict[str, Any]:
        """Return what `results.json` holds: the scores, and of each pair truth and readings; None for NaN."""
        share, n_compared = self.concordance()
        return {
            "format": FORMAT,
            "mean_abs_error": _plain(self.mean_abs_error()),
            "concordance": _plain(share),
            "n_compared": n_compared,
            "n_pairs": len(self.pairs),
            "pairs": {
                name: _summary(pair) | to_row(pair) | {"truth": pair.truth.value} for name, pair in self.pairs.items()
            },
            "truths": {name: to_row(pair.truth) for name, pair in self.pairs.items()},
            "scores": [
                {name: _plain(value) for name, value in row.items()} for row in self.scores().to_dict("records")
            ],
            "settings": asdict(self.settings),
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> Calibration:
        """Read what `to_dict` returned.

        Args:
            content: Plain values.

        Returns:
            The result.

        Raises:
            InputError: It is no result of this version.
        """
        check_format(content, FORMAT)
        pairs = {
            name: from_row(
                CalibratedPair,
                {field: row[field] for field in ("base", "gap", "readings", "led_tokens")}
                | {"truth": content["truths"][name]},
            )
            for name, row in content["pairs"].items()
        }
        return cls(pairs=pairs, settings=from_row(ExchangeSettings, content["settings"]))

    def report(self) -> str:
        """Write one page that opens offline."""
        return result_page(TITLE, LEAD, self.figures(), self.to_frame(), self.in_words())

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/ and report.html.

        Args:
            directory: Made if there is none.

        Raises:
            InputError: It cannot be written.
        """
        write_result(expanded(directory), self, self.report())

    @looked_at(".figure(), .to_frame(), .scores()")
    def __repr__(self) -> str:
        share, n_compared = self.concordance()
        return (
            f"Calibration({len(self.pairs)} pairs, mean absolute error {self.mean_abs_error():.3f}, {share:.0%} of "
            f"{n_compared} in order)"
        )

    def _repr_html_(self) -> str:
        """Show error and concordance of every reading; `figure()` draws the pairs."""
        return f"<p>{escape(TITLE)}</p>{self.scores().to_html(index=False, float_format='{:.3f}'.format, na_rep='–')}"

    def _against_truth(self) -> pd.DataFrame:
        rows = [
            {
                "pair": name,
                "reading": reading,
                **{"truth": pair.truth.value, "truth_low": pair.truth.low, "truth_high": pair.truth.high},
                **{"share": share.value, "low": share.low, "high": share.high},
            }
            for name, pair in self.pairs.items()
            for reading, share in pair.readings.items()
        ]
        return pd.DataFrame(rows)

    def _points(self, reading: str) -> list[tuple[float, float]]:
        points = [(pair.truth.value, _read(pair, reading)) for pair in self.pairs.values()]
        return [(truth, share) for truth, share in points if not (isnan(truth) or isnan(share))]


def _read(pair: CalibratedPair, reading: str) -> float:
    if reading == CONSTANT:
        return MIDDLE
    return pair.readings[reading].value if reading in pair.readings else nan


def _summary(pair: CalibratedPair) -> dict[str, Any]:
    share = pair.readings[WHEN_SHARE]
    return {"when_share": _plain(share.value), "low": _plain(share.low), "high": _plain(share.high)}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and isnan(value) else value
