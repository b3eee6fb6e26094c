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
from .conditions_frame import conditions_frame
from .in_words import of_effects
from .outcome import Outcome
from .tables import layers_table, strength_table
from .tried import TriedConditions

FORMAT = "reasonlens.effect/3"
FILES = (RESULTS, TABLE, REPORT)


@dataclass(frozen=True, eq=False, kw_only=True)
class StrengthCurves(TriedConditions):
    """The result of `steer_sweep`."""

    scores: dict[str, dict[str, list[float]]]  # behaviour -> measure -> value at each of score_layers
    score_layers: tuple[int, ...]
    about: dict[str, Any]  # model, directions, settings

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
        layers, strengths and behaviours tried in the sweep. wrong_way is the share of problems whose rate falls.
        rank_effect and rank_auroc are 1 for the best layer; where they differ, the layer that reads a behaviour best is
        not the one that steers it best. A layer with no strength within the limit of damage has no row.
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
                    for strength in self.strengths_of(behaviour, layer)
                }
                if not effects:
                    continue
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
            name: [self.outcome("direction", name, layer, strength) for strength in self.strengths_of(name, layer)]
            for name, layer in best.items()
        }
        return render(
            "effect.html.jinja",
            self.to_dict(),
            self.figures(),
            best=best,
            steered=steered,
            unsteered=self.unsteered,
            n_cells=self.n_cells,
            sentences=self.in_words(),
        )

    def in_words(self) -> list[str]:
        """Say which directions move their behaviour more than random ones do (`in_words.py` has the rules)."""
        n_random = int(self._by_layer["n_random"].min())
        return [of_effects(self._by_layer, model=str(self.about["model"]["name"]), n_random=n_random)]

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
