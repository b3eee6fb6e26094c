"""Hold the result of a sweep over strengths: tables by strength and by layer, and figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all, render
from ...rundir import InputError, did_you_mean, from_row, listed, looked_at, restoring, to_row
from ...rundir.result_files import REPORT, RESULTS, TABLE, check_format, write_result
from ...stats import p_value_of_draws
from .condition import Kind
from .conditions_frame import conditions_frame
from .outcome import Outcome
from .significance import corrected_over_cells
from .tables import layers_table, strength_table

FORMAT = "reasonlens.effect/3"
FILES = (RESULTS, TABLE, REPORT)


@dataclass(frozen=True, eq=False, kw_only=True)
class StrengthCurves:
    """The result of `steer_sweep`."""

    outcomes: tuple[Outcome, ...]
    behaviours: tuple[str, ...]
    layers: tuple[int, ...]
    strengths: tuple[float, ...]
    scores: dict[str, dict[str, list[float]]]  # behaviour -> measure -> value at each of score_layers
    score_layers: tuple[int, ...]
    about: dict[str, Any]  # model, directions, settings

    @property
    def unsteered(self) -> Outcome:
        """Outcome of the unsteered model."""
        return self._outcomes("unsteered")[0]

    def outcome(self, kind: Kind, behaviour: str, layer: int, strength: float) -> Outcome:
        """Find the outcome of one condition.

        Args:
            kind: "unsteered", "direction", "random" or "token".
            behaviour: Behaviour of the direction or token; empty for random directions.
            layer: 0-based block that was steered.
            strength: In units of the mean residual norm.

        Returns:
            The outcome; of random directions the first.

        Raises:
            InputError: The condition was not tried.
        """
        outcomes = self._outcomes(kind, behaviour, layer, strength)
        if not outcomes:
            raise InputError(f"no {kind} for {behaviour!r} was tried at layer {layer} with strength {strength}")
        return outcomes[0]

    def random_effects(self, behaviour: str, layer: int, strength: float) -> list[float]:
        """Compute by how much each random direction raises the rate of a behaviour.

        Args:
            behaviour: The behaviour that is counted.
            layer: 0-based block that was steered.
            strength: In units of the mean residual norm.

        Returns:
            One effect for each random direction: sentences that show the behaviour, as a share of all sentences, minus
            that share of the unsteered model.
        """
        return [
            outcome.effect_value(behaviour, self.unsteered) for outcome in self._outcomes("random", "", layer, strength)
        ]

    def p_value(self, behaviour: str, layer: int, strength: float) -> float:
        """Compute the p-value of a direction's effect, from its rank among the random directions.

        Args:
            behaviour: The behaviour of the direction, which is also the one that is counted.
            layer: 0-based block that was steered.
            strength: In units of the mean residual norm.

        Returns:
            One-sided, for raising the rate: (1 + number of random directions with at least this effect) / (1 + number
            of random directions).
        """
        own = self.outcome("direction", behaviour, layer, strength).effect_value(behaviour, self.unsteered)
        return p_value_of_draws(own, np.array(self.random_effects(behaviour, layer, strength)))

    def corrected_p_value(self, behaviour: str, layer: int, strength: float) -> float:
        """Compute the p-value of a direction's effect, corrected over all layers, strengths and behaviours tried.

        Args:
            behaviour: The behaviour of the direction, which is also the one that is counted.
            layer: 0-based block that was steered.
            strength: In units of the mean residual norm.

        Returns:
            One-sided, for raising the rate: how often the largest standardised effect of a random direction, of all
            layers, strengths and behaviours, reaches this one (`significance.py`).
        """
        return self._corrected[behaviour, layer, strength]

    @cached_property
    def _corrected(self) -> dict[tuple[str, int, float], float]:
        cells = [
            (name, layer, strength) for name in self.behaviours for layer in self.layers for strength in self.strengths
        ]
        effects = [self.outcome("direction", *cell).effect_value(cell[0], self.unsteered) for cell in cells]
        random = [self.random_effects(*cell) for cell in cells]
        numbers = np.array([self.behaviours.index(name) for name, _, _ in cells])
        p_values = corrected_over_cells(np.array(effects), np.array(random), numbers)
        return dict(zip(cells, p_values.tolist(), strict=True))

    @property
    def n_cells(self) -> int:
        """Number of layers, strengths and behaviours that corrected p-values are corrected over."""
        return len(self.behaviours) * len(self.layers) * len(self.strengths)

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each condition and counted behaviour; 95% intervals in `_low` and `_high`.

        Columns:
            kind, steered, layer, strength, number: The condition; `steered` is the behaviour of its direction or token,
                `number` that of the random direction.
            measured, rate, effect, n_problems: The counted behaviour, its share of the sentences, the same minus that
                of the unsteered model, and the number of problems.
            wrong_way: Share of problems whose rate is lower than that of the unsteered model.
            kl_nats, perplexity: On neutral text; KL in nats a token.
            accuracy: Share of problems solved; NaN without a grader.
            unsure: Share of responses whose grade cannot be told; accuracy is higher by it, were all of them right.
            answered_in_thoughts: Share of responses with an answer in a box of thoughts that never ended.
            truncated: Share of responses that did not end.
            share_steered: Share of the tokens run whose activation was changed.
        """
        return self._frame.copy()

    @cached_property
    def _frame(self) -> pd.DataFrame:
        return conditions_frame(self.outcomes, self.unsteered, self.behaviours)

    def by_layer(self) -> pd.DataFrame:
        """Tabulate for each behaviour and layer the strength with the largest effect, that effect, and the AUROC.

        p_value is that of this layer and strength, not corrected for any choice; p_corrected is corrected over all
        layers, strengths and behaviours of the sweep. wrong_way is the share of problems whose rate falls. rank_effect
        and rank_auroc are 1 for the best layer; where they differ, the layer that reads a behaviour best is not the one
        that steers it best.
        """
        return self._by_layer.copy()

    @cached_property
    def _by_layer(self) -> pd.DataFrame:
        rows = []
        for behaviour in self.behaviours:
            aurocs = dict(zip(self.score_layers, self.scores.get(behaviour, {}).get("auroc", ()), strict=False))
            for layer in self.layers:
                effects = {
                    strength: self.outcome("direction", behaviour, layer, strength).effect(behaviour, self.unsteered)
                    for strength in self.strengths
                }
                best = max(effects, key=lambda strength: effects[strength].value)
                random = self.random_effects(behaviour, layer, best)
                rows.append(
                    {
                        "behaviour": behaviour,
                        "layer": layer,
                        "strength": best,
                        **effects[best].columns("effect"),
                        "random_mean": float(np.mean(random)),
                        "random_max": max(random),
                        "n_random": len(random),
                        "p_value": self.p_value(behaviour, layer, best),
                        "p_corrected": self.corrected_p_value(behaviour, layer, best),
                        **self.outcome("direction", behaviour, layer, best)
                        .wrong_way(behaviour, self.unsteered)
                        .columns("wrong_way"),
                        "kl_nats": self.outcome("direction", behaviour, layer, best).damage.kl_nats,
                        "auroc": aurocs.get(layer, math.nan),
                        "n_problems": effects[best].n,
                    }
                )
        frame = pd.DataFrame(rows)
        for name, column in (("rank_effect", "effect"), ("rank_auroc", "auroc")):
            frame[name] = frame.groupby("behaviour")[column].rank(ascending=False, method="min")
        return frame

    def strongest_layer(self, behaviour: str) -> int:
        """Find the layer at which the direction raises the rate of its behaviour most.

        Args:
            behaviour: The behaviour.

        Returns:
            A 0-based layer.

        Raises:
            InputError: No direction of this behaviour was tried.
        """
        if behaviour not in self.behaviours:
            raise InputError(
                f"no direction of {behaviour!r:.60} was tried; there are {listed(self.behaviours, 10)}."
                f"{did_you_mean(behaviour, self.behaviours)}"
            )
        frame = self._by_layer
        own = frame[frame["behaviour"] == behaviour]
        return int(own["layer"].iloc[int(own["effect"].to_numpy().argmax())])

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name."""
        return {
            "strength": strength_table(self._frame, {name: self.strongest_layer(name) for name in self.behaviours}),
            "layers": layers_table(self._by_layer, len(self.strengths)),
        }

    def figures(self) -> dict[str, go.Figure]:
        """Draw every figure by its name."""
        return draw_all(self.tables())

    def figure(self, behaviours: Sequence[str] | None = None) -> go.Figure:
        """Draw rate, damage and accuracy by strength, each behaviour at its strongest layer.

        Args:
            behaviours: Behaviours to draw, a column each; None means all.

        Returns:
            The figure.
        """
        layers = {name: self.strongest_layer(name) for name in behaviours or self.behaviours}
        return strength_table(self._frame, layers).draw()

    def layer_figure(self) -> go.Figure:
        """Draw effect by layer above AUROC by layer."""
        return self.tables()["layers"].draw()

    def to_dict(self) -> dict[str, Any]:
        """Convert to the plain values of results.json; None for NaN."""
        frame, layers = self._frame, self._by_layer
        return {
            "format": FORMAT,
            **self.about,
            "n_problems": len(set(self.unsteered.problems)),
            "unsteered": {
                "accuracy": None if (accuracy := self.unsteered.accuracy()) is None else accuracy.to_dict(),
                "rates": {name: self.unsteered.rate(name).to_dict() for name in self.behaviours},
                "perplexity": self.unsteered.damage.perplexity,
                "examples": self.unsteered.examples,
            },
            "conditions": frame.astype(object).where(frame.notna(), None).to_dict("records"),
            "layers": layers.astype(object).where(layers.notna(), None).to_dict("records"),
            "scores": {
                name: {
                    score: [None if math.isnan(value) else value for value in values] for score, values in own.items()
                }
                for name, own in self.scores.items()
            },
            "score_layers": list(self.score_layers),
            "outcomes": [to_row(outcome) for outcome in self.outcomes],
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> StrengthCurves:
        """Build a result from plain values: the inverse of `to_dict`.

        Args:
            content: What `to_dict` returned, or the same as read from results.json.

        Returns:
            The result.

        Raises:
            InputError: The format is another.
        """
        check_format(content, FORMAT)
        settings = content["settings"]
        return cls(
            outcomes=tuple(from_row(Outcome, row) for row in content["outcomes"]),
            behaviours=tuple(settings["behaviours"]),
            layers=tuple(settings["layers"]),
            strengths=tuple(sorted({*settings["strengths"]} - {0.0})),
            scores={
                name: {
                    score: [math.nan if value is None else value for value in values] for score, values in own.items()
                }
                for name, own in content["scores"].items()
            },
            score_layers=tuple(content["score_layers"]),
            about={name: content[name] for name in ("model", "directions", "settings")},
        )

    def report(self) -> str:
        """Write one self-contained HTML page with figures, tables and example responses."""
        best = {name: self.strongest_layer(name) for name in self.behaviours}
        steered = {
            name: [self.outcome("direction", name, best[name], strength) for strength in self.strengths]
            for name in best
        }
        return render(
            "effect.html.jinja",
            self.to_dict(),
            self.figures(),
            best=best,
            steered=steered,
            unsteered=self.unsteered,
            n_strengths=len(self.strengths),
        )

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/ and report.html.

        Args:
            directory: Created if it does not exist; files of these names are replaced.

        Raises:
            InputError: A file cannot be written.
        """
        write_result(directory, self, self.report())

    def _repr_html_(self) -> str:
        return self._by_layer.to_html(index=False, na_rep="–", float_format="{:.3f}".format)

    @looked_at(".figure(), .to_frame(), .by_layer()")
    def __repr__(self) -> str:
        best = ", ".join(f"{name} layer {self.strongest_layer(name)}" for name in self.behaviours)
        return (
            f"StrengthCurves({self.about['model']['name']}, {len(self.outcomes)} conditions; largest effects: {best})"
        )

    def _outcomes(self, kind: Kind, behaviour: str = "", layer: int = -1, strength: float = 0.0) -> list[Outcome]:
        return [
            outcome
            for outcome in self.outcomes
            if (
                outcome.condition.kind,
                outcome.condition.behaviour,
                outcome.condition.layer,
                outcome.condition.strength,
            )
            == (kind, behaviour, layer, strength)
        ]
