"""Steer every target model with the directions of every source model.

If a direction of the base model steers the thinking model but not the base model itself, the two represent the same
feature and differ in how they use it (Ward et al. 2025, arXiv 2507.12638). Strengths are in units of the target's own
mean residual norm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ...figures import FigureTable, draw_all, result_page
from ...models import LanguageModel, load
from ...models._load import ModelLike
from ...models.content import weights_digest
from ...rundir import InputError, RunDirectory, looked_at, restoring, settings_of, write_csv
from ...rundir.result_files import REPORT, RESULTS, TABLE, check_format, write_result
from ...vectors import Directions
from ...vectors.residual_norms import with_known_norms
from .curves import StrengthCurves
from .damage import texts_for_norms
from .in_words import of_effects
from .settings import EffectSettings
from .sweep import digest_of, steer_sweep
from .tables import matrix_table

FORMAT = "reasonlens.steering-matrix/2"
EFFECTS = "effects.csv"
CELLS = "cells"
FILES = (RESULTS, TABLE, REPORT, EFFECTS)
TITLE = "Whose directions steer whom"


@dataclass(frozen=True, eq=False, kw_only=True)
class SteeringMatrix:
    """The result of `steer_matrix`: curves over strength for every source and target."""

    cells: dict[tuple[str, str], StrengthCurves]  # (source, target)

    def to_frame(self) -> pd.DataFrame:
        """Tabulate the rows of every cell (`StrengthCurves.to_frame`) with its `source` and `target`."""
        frames = [cell.to_frame().assign(source=source, target=target) for (source, target), cell in self.cells.items()]
        return pd.concat(frames, ignore_index=True)

    def effects(self) -> pd.DataFrame:
        """Tabulate the effect of every direction on its own behaviour, p-values, and the share that falls."""
        frame = self.to_frame()
        own = frame[(frame["kind"] == "direction") & (frame["steered"] == frame["measured"])].copy()
        keys = own[["source", "target", "steered", "layer", "strength"]].to_numpy().tolist()
        own["p_value"] = [
            self.cells[source, target].p_value(behaviour, int(layer), strength)
            for source, target, behaviour, layer, strength in keys
        ]
        own["p_corrected"] = [
            self.cells[source, target].corrected_p_value(behaviour, int(layer), strength)
            for source, target, behaviour, layer, strength in keys
        ]
        columns = ["source", "target", "steered", "layer", "strength", "rate", "effect", "effect_low", "effect_high"]
        columns += ["p_value", "p_corrected", "wrong_way", "wrong_way_low", "wrong_way_high", "kl_nats", "n_problems"]
        return own[columns].reset_index(drop=True)

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate a matrix of effects for each behaviour and layer."""
        effects = self.effects()
        cells = effects[["steered", "layer"]].drop_duplicates().itertuples(index=False)
        return {
            f"{number}-{_file_name(behaviour)}-layer-{int(layer)}": matrix_table(effects, behaviour, int(layer))
            for number, (behaviour, layer) in enumerate(cells)
        }

    def figures(self) -> dict[str, go.Figure]:
        """Draw the matrix of each behaviour and layer."""
        return draw_all(self.tables())

    def figure(self, behaviour: str | None = None, layer: int | None = None) -> go.Figure:
        """Draw effects as a matrix of source by target, a panel for each strength.

        Args:
            behaviour: Behaviour of the directions; None means the first.
            layer: 0-based block that was steered; None means the first.

        Returns:
            The figure.
        """
        first = next(iter(self.cells.values()))
        chosen = first.layers[0] if layer is None else layer
        return matrix_table(self.effects(), behaviour or first.behaviours[0], chosen).draw()

    def to_dict(self) -> dict[str, Any]:
        """Convert to the plain values of results.json; None for NaN."""
        effects = self.effects()
        return {
            "format": FORMAT,
            "effects": effects.astype(object).where(effects.notna(), None).to_dict("records"),
            "cells": [
                {"source": source, "target": target, "curves": cell.to_dict()}
                for (source, target), cell in self.cells.items()
            ],
        }

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> SteeringMatrix:
        """Build a result from plain values: the inverse of `to_dict`.

        Args:
            content: What `to_dict` returned, or the same as read from results.json.

        Returns:
            The result.

        Raises:
            InputError: The format is another.
        """
        check_format(content, FORMAT)
        return cls(
            cells={
                (cell["source"], cell["target"]): StrengthCurves.from_dict(cell["curves"]) for cell in content["cells"]
            }
        )

    def report(self) -> str:
        """Write one self-contained HTML page."""
        lead = (
            "Rows: whose direction; columns: which model is steered; p among random directions of the same strength; "
            "p corrected: over the layers, strengths and behaviours of one source and target; "
            "wrong way: share of problems whose rate falls."
        )
        return result_page(TITLE, lead, self.figures(), self.effects(), self.in_words())

    def in_words(self) -> list[str]:
        """Say for each source and target which directions move their behaviour (`in_words.py` has the rules)."""
        effects = self.effects().rename(columns={"steered": "behaviour"})
        return [
            of_effects(
                effects[(effects["source"] == source) & (effects["target"] == target)],
                model=f"{target}, steered with the directions of {source}",
                n_random=int(cell.about["settings"]["n_random"]),
                corrected="what was tried with this pair",
            )
            for (source, target), cell in self.cells.items()
        ]

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, effects.csv, tables/ and report.html.

        Args:
            directory: Created if it does not exist; files of these names are replaced.

        Raises:
            InputError: A file cannot be written.
        """
        write_csv(Path(directory) / EFFECTS, self.effects())
        write_result(directory, self, self.report())

    def _repr_html_(self) -> str:
        return self.effects().to_html(index=False, na_rep="–", float_format="{:.3f}".format)

    @looked_at(".figure(), .to_frame()")
    def __repr__(self) -> str:
        sources, targets = (dict.fromkeys(pair[place] for pair in self.cells) for place in (0, 1))
        return f"SteeringMatrix(directions of {', '.join(sources)} in {', '.join(targets)})"


def steer_matrix(
    models: Mapping[str, ModelLike],
    directions: Mapping[str, Directions],
    *,
    settings: EffectSettings | None = None,
    out: str | Path | None = None,
    **options: Any,
) -> SteeringMatrix:
    """Steer every model with the directions of every source, with all controls of `steer_sweep`.

    Args:
        models: Name -> model to be steered. Each needs directions of its own, which hold the mean residual norms that
            are its unit of strength; missing norms are measured on neutral text.
        directions: Name of a model -> its directions.
        settings: As for `steer_sweep`.
        out: The run directory: outcomes of each cell, effects, results and page. An interrupted run is resumed. None
            writes nothing.
        **options: Further options of `steer_sweep`.

    Returns:
        A sweep over strengths for every source and target.

    Raises:
        InputError: A model has no directions of its own, or they lack a layer; else as for `steer_sweep`.
    """
    loaded = {target: load(model) for target, model in models.items()}
    known = {
        name: with_known_norms(own, loaded[name], own.layers, texts_for_norms) if name in loaded else own
        for name, own in directions.items()
    }
    scaled = {(source, target): _in_units_of(known, source, target) for target in models for source in directions}
    cells: dict[tuple[str, str], StrengthCurves] = {}
    with _open_run(out, loaded, directions, settings_of(settings, EffectSettings)) as run:
        for number, ((source, target), own) in enumerate(scaled.items()):
            place = run.file(f"{CELLS}/{number}")
            run.record()
            cells[source, target] = steer_sweep(
                loaded[target], own, settings=settings, out=place, force=True, **options
            )
        matrix = SteeringMatrix(cells=cells)
        if run.has_directory:
            matrix.write(run.path)
            run.finish(FILES)
    return matrix


def _file_name(behaviour: str) -> str:
    """Replace the characters of a behaviour that not every file system allows in a name."""
    return re.sub(r"\W+", "-", behaviour).strip("-")


def _in_units_of(directions: Mapping[str, Directions], source: str, target: str) -> Directions:
    """Replace the residual norms of a source's directions by those of a target."""
    if target not in directions:
        raise InputError(f"there are no directions of {target!r} itself, whose residual norm is the unit of strength")
    norms = dict(zip(directions[target].layers, directions[target].residual_norm, strict=True))
    missing = [layer for layer in directions[source].layers if layer not in norms]
    if missing:
        raise InputError(f"the directions of {target!r} do not cover layer {missing[0]}, and those of {source!r} do")
    return replace(directions[source], residual_norm=tuple(norms[layer] for layer in directions[source].layers))


def _open_run(
    out: str | Path | None,
    models: Mapping[str, LanguageModel],
    directions: Mapping[str, Directions],
    settings: EffectSettings,
) -> RunDirectory:
    """Open the run directory; each cell compares its questions itself."""
    if out is None:
        return RunDirectory(None, "steer matrix")
    return RunDirectory(
        out,
        "steer matrix",
        settings=asdict(settings),
        inputs={f"model {number}": weights_digest(model) for number, model in enumerate(models.values())}
        | {f"directions {number}": digest_of(own) for number, own in enumerate(directions.values())},
        options={"models": list(models), "directions": list(directions)},
    )
