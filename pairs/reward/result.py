"""The result of training vectors by reward: what they solve and why, the course of the training, a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from ...figures import FigureTable, draw_all, result_page
from ...models.sites import BLOCK_OUTPUT
from ...rundir import expanded, from_row, looked_at, restoring, to_row
from ...rundir.result_files import check_format, write_result
from ...stats import Interval
from ...vectors import Directions
from .arms import BASE, VECTORS
from .cosines import Cosine
from .measure import ArmFigures
from .promoted import Promoted
from .settings import RewardSettings
from .tables import arms_table, cosine_table, training_table

FORMAT = "reasonlens.trained_vectors/2"
BEHAVIOUR = "reward"  # the name of the vectors in their file
TITLE = "Vectors trained by reward in a frozen base"
LEAD = (
    "One vector a block is added to the base's residual stream at every token, and only these vectors are trained, by "
    "the policy gradient on the reward of sampled responses. Each block's vector is tried alone and left out; random "
    "vectors of the same norms and the same vectors at other blocks are the controls. Right answers count in whatever "
    "form; right answers in form are what was rewarded. What is gained in the second and not in the first is format."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedVectors:
    """What `train_vectors` trained and measured.

    Attributes:
        directions: The vectors, as `vectors.safetensors` holds them; at blocks with zeros nothing is added.
        arms: What base, vectors, ablations, controls and other models solved.
        steps: Rows of the training's log.
        cosines: With directions of behaviours, block by block.
        promoted: What the vector of the last trained block does to logits; those raised first.
        promoted_at: That block.
        settings: How it was trained.
    """

    directions: Directions
    arms: list[ArmFigures]
    steps: list[dict[str, Any]]
    cosines: list[Cosine]
    promoted: list[Promoted]
    promoted_at: int
    settings: RewardSettings

    def arm(self, name: str, model: str | None = None) -> ArmFigures:
        """Return the figures of an arm.

        Args:
            name: Of the arm, such as `only 3`.
            model: The base that it ran on; None: the one that was trained on.

        Returns:
            Its figures.
        """
        of = self.arms[0].model if model is None else model
        return next(one for one in self.arms if (one.model, one.arm) == (of, name))

    @property
    def vectors(self) -> Float[Tensor, "n_layers d_model"]:
        """One row a block of the base, zeros at those without a vector, as `LanguageModel.with_vectors` takes them."""
        return rows_of(self.directions)

    @property
    def gain(self) -> Interval:
        """The gain in right answers in form, which was rewarded."""
        return self.arm(VECTORS).gain_in_form

    @property
    def gain_beyond_format(self) -> Interval:
        """The gain in right answers, in whatever form."""
        return self.arm(VECTORS).gain

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each model and arm; intervals in `_low` and `_high`."""
        rows = []
        for one in self.arms:
            row: dict[str, Any] = {"model": one.model, "arm": one.arm, "role": one.role}
            for name in ("accuracy", "in_form", "gain", "gain_in_form", "share_of_gain", "gap"):
                interval: Interval | None = getattr(one, name)
                if interval is not None:
                    row |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
            rows.append(row | {"tokens": one.tokens, "n": one.accuracy.n})
        return pd.DataFrame(rows)

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        tables = {"arms": arms_table(self.arms), "training": training_table(self.steps)}
        if self.cosines:
            tables["cosines"] = cosine_table(self.cosines, self.directions.d_model)
        return tables

    def figures(self) -> dict[str, go.Figure]:
        """Draw all figures of the report, by name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw what every arm solves."""
        return self.figures()["arms"]

    def to_dict(self) -> dict[str, Any]:
        """Return what `results.json` holds; the vectors themselves too, so that it is read back whole."""
        directions = self.directions
        return {
            "format": FORMAT,
            "gain": to_row(self.gain),
            "gain_beyond_format": to_row(self.gain_beyond_format),
            "arms": [to_row(one) for one in self.arms],
            "promoted_at": self.promoted_at,
            "promoted": [to_row(one) for one in self.promoted],
            "cosines": [to_row(one) for one in self.cosines],
            "steps": self.steps,
            "settings": asdict(self.settings),
            "vectors": {
                "layers": list(directions.layers),
                "rows": [[float(f"{value:.9g}") for value in row] for row in directions.vectors[BEHAVIOUR].tolist()],
                "residual_norm": list(directions.residual_norm),
                "model": directions.model,
                "read": directions.read,
                "method": directions.method,
                "n_problems": directions.n_problems,
            },
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> TrainedVectors:
        """Read what `to_dict` returned.

        Args:
            content: Plain values.

        Returns:
            The result.

        Raises:
            InputError: It is no result of this version.
        """
        check_format(content, FORMAT)
        held = content["vectors"]
        return cls(
            directions=trained_directions(torch.tensor(held["rows"]), **{k: v for k, v in held.items() if k != "rows"}),
            arms=[from_row(ArmFigures, row) for row in content["arms"]],
            steps=list(content["steps"]),
            cosines=[from_row(Cosine, row) for row in content["cosines"]],
            promoted=[from_row(Promoted, row) for row in content["promoted"]],
            promoted_at=content["promoted_at"],
            settings=from_row(RewardSettings, content["settings"]),
        )

    def report(self) -> str:
        """Write one page that opens offline."""
        return result_page(TITLE, LEAD, self.figures(), self.to_frame(), self.in_words())

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/*.json and report.html.

        Args:
            directory: Made if there is none.

        Raises:
            InputError: It cannot be written.
        """
        write_result(expanded(directory), self, self.report())

    @looked_at(".figure(), .to_frame(), .arm(name), .directions")
    def __repr__(self) -> str:
        base, full = self.arm(BASE), self.arm(VECTORS)
        return (
            f"TrainedVectors({base.model}: in form {base.in_form.value:.3f} -> {full.in_form.value:.3f}, gain "
            f"{self.gain}; beyond format {self.gain_beyond_format})"
        )

    def _repr_html_(self) -> str:
        """Show the figures of each arm; `figure()` draws them, `report()` is the whole page."""
        table = self.to_frame().to_html(index=False, float_format="{:.3f}".format, na_rep="–")
        return f"<p>{escape(TITLE)}</p>{table}<p>{escape(self._promotion())}</p>"

    def in_words(self) -> list[str]:
        """Say what the vectors gain, in form and beyond, and which tokens one of them raises."""
        return [
            f"The vectors gain {self.gain} in right answers in form, which was rewarded, and "
            f"{self.gain_beyond_format} in right answers of whatever form.",
            self._promotion(),
        ]

    def _promotion(self) -> str:
        half = len(self.promoted) // 2
        raised, lowered = (
            ", ".join(f"{one.token!r} {one.shift:+.2f}" for one in part)
            for part in (self.promoted[:half], self.promoted[half:][::-1])
        )
        return (
            f"The vector of block {self.promoted_at} alone raises the logits of {raised}, and lowers {lowered} (nats)."
        )


def trained_directions(
    rows: Float[Tensor, "n_trained d_model"],
    *,
    layers: list[int] | tuple[int, ...],
    residual_norm: list[float] | tuple[float, ...],
    model: dict[str, Any],
    read: str,
    method: str,
    n_problems: int,
) -> Directions:
    """Hold trained vectors as directions, which can be saved and exported.

    Args:
        rows: One for each of `layers`.
        layers: 0-based blocks.
        residual_norm: Mean norm of the residual stream at each of them.
        model: Identity of the base.
        read: On which tokens the norm was measured.
        method: How they were trained, in words.
        n_problems: That they were trained on.

    Returns:
        The directions.
    """
    return Directions(
        vectors={BEHAVIOUR: rows.float()},
        layers=tuple(layers),
        method=method,
        model=model,
        read=read,
        residual_norm=tuple(residual_norm),
        n_examples={BEHAVIOUR: n_problems},
        n_problems=n_problems,
        site=BLOCK_OUTPUT,
    )


def rows_of(directions: Directions) -> Float[Tensor, "n_layers d_model"]:
    """Lay out trained vectors with one row a block of their model, zeros at those without one."""
    rows = torch.zeros(directions.model["n_layers"], directions.d_model)
    rows[list(directions.layers)] = directions.vectors[BEHAVIOUR]
    return rows
