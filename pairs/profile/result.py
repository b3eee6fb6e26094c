"""The result of a profile: rates and transitions of each model, what differs from the base, figures and a page."""

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
from .model_profile import RATE, ModelProfile
from .policy import ALL
from .settings import ProfileSettings
from .tables import policy_table, rates_table

FORMAT = "reasonlens.profile/1"
TITLE = "Which behaviours a model shows, and which follows which"
LEAD = (
    "Rates are shares of a model's sentences, transitions shares of what follows a behaviour. Differences are from the "
    "base on the same problems. The control compares the base with other samples of itself: 5% of its differences are "
    "expected to be away from 0 by their intervals. Right and wrong responses of two models are to different problems."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class ProfileResult:
    """What `profile` measured, pair by pair."""

    pairs: dict[str, tuple[ModelProfile, ...]]
    settings: ProfileSettings

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each rate and transition; intervals in `_low` and `_high`."""
        return pd.DataFrame(
            [
                {
                    "pair": name,
                    "model": profile.model,
                    "responses": profile.responses,
                    "n_responses": profile.n_responses,
                    "before": share.before,
                    "behaviour": share.behaviour,
                    **share.share.columns("share"),
                    **share.difference.columns("difference"),
                    "n": share.share.n,
                }
                for name, profiles in self.pairs.items()
                for profile in profiles
                for share in profile.shares
            ]
        )

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        return {"policy": policy_table(self.pairs), "rates": rates_table(self.pairs)}

    def figures(self) -> dict[str, go.Figure]:
        """Draw all figures of the report, by name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw each model's policy as a graph."""
        return self.figures()["policy"]

    def to_dict(self) -> dict[str, Any]:
        """Return what `results.json` holds; None for NaN."""
        return {
            "format": FORMAT,
            "pairs": {name: [to_row(profile) for profile in profiles] for name, profiles in self.pairs.items()},
            "settings": asdict(self.settings),
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> ProfileResult:
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
            pairs={name: tuple(from_row(ModelProfile, row) for row in rows) for name, rows in content["pairs"].items()},
            settings=from_row(ProfileSettings, content["settings"]),
        )

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

    def in_words(self) -> list[str]:
        """Say of each pair how many shares differ, beside the control, and which rates differ most."""
        return [
            f"{name}. {_differing(profile)}"
            for name, profiles in self.pairs.items()
            for profile in profiles
            if profile.responses == ALL and profile.n_differing[1]
        ] or ["Nothing can be compared: too few problems have sentences of both models."]

    @looked_at(".figure(), .to_frame(), .in_words()")
    def __repr__(self) -> str:
        return f"ProfileResult({', '.join(self.pairs)})"

    def _repr_html_(self) -> str:
        """Show what differs in words; `figures()` draws it, `report()` is the whole page."""
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.in_words())
        return f"<p>{escape(TITLE)}</p><ul>{items}</ul>"


def _differing(profile: ModelProfile) -> str:
    n, n_compared = profile.n_differing
    rates = [share for share in profile.shares if share.before == RATE]
    largest = sorted(rates, key=lambda share: -abs(share.difference.value))[:3]
    named = "; ".join(f"{share.behaviour} {share.share.value:.3f} ({share.difference.value:+.3f})" for share in largest)
    return (
        f"{profile.model}: {n} of {n_compared} rates and transitions differ from the base's. Rates, and in brackets "
        f"how far from the base's: {named}."
    )
