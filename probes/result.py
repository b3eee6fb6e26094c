"""Hold what a probe sweep measured: tidy tables, figures, and the probes themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float

from ..figures import FigureTable, draw_all, frame_table, render
from ..models.sites import Site, at_site
from ..rundir import ByBehaviour, InputError, brief, did_you_mean, listed, looked_at, restoring
from ..rundir.result_files import check_format, write_result
from ..stats import Interval
from .behaviour_sweep import BehaviourSweep
from .best_layer import best_slot
from .explorer import explorer, verdict
from .next_commands import next_commands
from .saved import SavedProbes
from .solver import METHODS
from .sweep_tables import CURVES_TITLE, EXCESS_TITLE, calibration_table, curves_table, excess_table, heatmap_table

FORMAT = "reasonlens.sweep/3"
PROBES = "probes.safetensors"
ABOUT = (
    *("estimator", "n_folds", "n_bootstrap", "n_shuffles", "n_permutations", "permuted", "n_problems", "n_examples"),
    *("seed", "model", "site", "read"),
)
FIRST_IN_HEADLINE = ("excess", "excess_low", "excess_high", "standing")
NOT_IN_HEADLINE = ("layers", "nested_calibration", "phrasings", "baselines")


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedProbes:
    """The weights, biases and scores of a sweep's probes; float32."""

    weights: Float[np.ndarray, "n_behaviours n_layers d_model"]  # fitted on all examples, for raw activations
    biases: Float[np.ndarray, "n_behaviours n_layers"]
    scores: Float[np.ndarray, "n_behaviours n_layers n_examples"]  # out of fold

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class ProbeSweep(ByBehaviour[BehaviourSweep]):
    """Linear probes for several behaviours at several layers, and how well they generalise to unseen problems.

    It has the manners of a dictionary: `sweep["backtracking"]` returns the figures of one behaviour, and
    `for behaviour in sweep`, `len`, `in`, `keys()`, `items()` go over the behaviours.
    """

    behaviours: dict[str, BehaviourSweep]
    layers: tuple[int, ...]
    estimator: str
    penalties: tuple[float, ...]  # that were chosen from
    n_folds: int
    n_bootstrap: int
    n_shuffles: int
    n_permutations: int
    permuted: str  # how labels were permuted
    n_problems: int
    n_examples: int
    seed: int
    model: dict[str, Any]
    site: str
    read: str
    control_tasks: dict[str, list[Interval]]  # by layer: mean, least and greatest AUROC over the draws of the labels
    fitted: FittedProbes | None  # None in a result that was restored from JSON

    @property
    def weights(self) -> Float[np.ndarray, "n_behaviours n_layers d_model"]:
        """Weights of the probes fitted on all examples, for raw activations."""
        return self._fitted().weights

    @property
    def biases(self) -> Float[np.ndarray, "n_behaviours n_layers"]:
        """Biases of the probes fitted on all examples."""
        return self._fitted().biases

    @property
    def scores(self) -> Float[np.ndarray, "n_behaviours n_layers n_examples"]:
        """Scores of every example by the probes of the folds without it."""
        return self._fitted().scores

    @property
    def caption(self) -> str:
        """The caption of every figure of the sweep: model, read, n and how it was validated."""
        return (
            f"{self.model['name']}{at_site(Site.parse(self.site))}, read {self.read}; n = {self.n_examples} spans of "
            f"{self.n_problems} problems, {self.n_folds} folds that never cut a problem"
        )

    def best_layer(self, behaviour: str) -> int:
        """Find the best layer of a behaviour: that of the highest cross-validated AUROC (`best_layer.py`).

        Args:
            behaviour: The behaviour.

        Returns:
            The number of the block.

        Raises:
            InputError: The behaviour was not probed.
        """
        return self.layers[self[behaviour].best]

    def __getitem__(self, behaviour: str) -> BehaviourSweep:
        """Return the figures of one behaviour.

        Args:
            behaviour: One of `behaviours`.

        Returns:
            Its figures; lists have one entry for each layer.

        Raises:
            InputError: The behaviour was not probed.
        """
        if behaviour not in self.behaviours:
            raise InputError(
                f"{behaviour!r:.60} was not probed; these were: {listed(self.behaviours, 10)}."
                f"{did_you_mean(behaviour, self.behaviours)}"
            )
        return self.behaviours[behaviour]

    def _by_behaviour(self) -> dict[str, BehaviourSweep]:
        return self.behaviours

    @property
    def common_layer(self) -> int:
        """The best layer of all behaviours together: that of the highest mean AUROC (`best_layer.py`)."""
        aurocs = [[estimate.value for estimate in behaviour.auroc] for behaviour in self.behaviours.values()]
        return self.layers[best_slot(np.array(aurocs))]

    def selectivity(self, behaviour: str, task: str = "first word") -> list[float]:
        """Subtract from the AUROC of a behaviour that of a control task (Hewitt & Liang 2019).

        Args:
            behaviour: The behaviour.
            task: A key of `control_tasks`.

        Returns:
            The selectivity at each layer.

        Raises:
            InputError: The behaviour was not probed, or there is no such control task.
        """
        if task not in self.control_tasks:
            raise InputError(
                f"there is no control task {task!r}; there are {', '.join(self.control_tasks)}."
                f"{did_you_mean(task, self.control_tasks)}"
            )
        pairs = zip(self[behaviour].auroc, self.control_tasks[task], strict=True)
        return [real.value - control.value for real, control in pairs]

    def to_frame(self) -> pd.DataFrame:
        """Tabulate one row for each behaviour and layer."""
        return pd.DataFrame(
            [
                {"behaviour": name, "layer": int(layer)} | row
                for name, content in self.behaviour_dicts().items()
                for layer, row in content["layers"].items()
            ]
        )

    def headline(self) -> pd.DataFrame:
        """Tabulate one row for each behaviour: the numbers to report, layer and penalty chosen on inner folds.

        The first is the excess over the strongest baseline; `standing` says in words what its interval allows to say.
        """
        return pd.DataFrame(
            [
                {"behaviour": name}
                | {key: row[key] for key in FIRST_IN_HEADLINE}
                | {key: value for key, value in row.items() if key not in NOT_IN_HEADLINE}
                for name, row in self.behaviour_dicts().items()
            ]
        )

    def tables(self) -> dict[str, FigureTable]:
        """Tabulate each figure by its name: excess, auroc, effect_size, curves, calibration."""
        frame, best = self.to_frame(), {name: self.best_layer(name) for name in self.behaviours}
        return {
            "excess": self.excess_table(),
            "auroc": heatmap_table(frame, "auroc", self.caption, best),
            "effect_size": heatmap_table(frame, "effect_size", self.caption, best),
            "curves": self.curves_table(),
            "calibration": calibration_table(self.behaviours, self.caption),
        }

    def curves_table(self, title: str = CURVES_TITLE) -> FigureTable:
        """Tabulate AUROC by layer with its control and its strongest baseline.

        Args:
            title: Title of the figure.

        Returns:
            The table of the figure.
        """
        return curves_table(self.behaviours, self.layers, title=title, caption=self.caption)

    def excess_table(self, title: str = EXCESS_TITLE) -> FigureTable:
        """Tabulate how far each probe is above its strongest baseline.

        Args:
            title: Title of the figure.

        Returns:
            The table of the figure.
        """
        return excess_table(self.behaviours, title, self.caption)

    def figures(self) -> dict[str, go.Figure]:
        """Draw every figure by its name."""
        return draw_all(self.tables())

    def figure(self) -> go.Figure:
        """Draw the heatmap of AUROC, behaviour by layer."""
        return self.tables()["auroc"].draw()

    def about(self) -> dict[str, Any]:
        """Collect plain values of what was swept, and how, without the figures."""
        return {name: getattr(self, name) for name in ABOUT} | {
            "layers": list(self.layers),
            "penalties": list(self.penalties),
            "control_tasks": self.control_task_columns(),
        }

    def behaviour_dicts(self) -> dict[str, dict[str, Any]]:
        """Collect plain values: behaviour -> best layer, counts, and the figures of every layer; None for NaN."""
        return {
            name: behaviour.to_dict(self.layers, {task: self.selectivity(name, task) for task in self.control_tasks})
            for name, behaviour in self.behaviours.items()
        }

    def control_task_columns(self) -> dict[str, dict[str, dict[str, float | None]]]:
        """Collect plain values: task -> layer -> mean, least and greatest AUROC."""
        return {
            task: {
                str(layer): control.json_columns("auroc") for layer, control in zip(self.layers, estimates, strict=True)
            }
            for task, estimates in self.control_tasks.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON; the probes themselves are in a separate file (`save_probes`)."""
        return {"format": FORMAT, **self.about(), "behaviours": self.behaviour_dicts()}

    @classmethod
    @restoring
    def from_dict(cls, content: Mapping[str, Any]) -> ProbeSweep:
        """Restore a sweep, without its probes, from what `to_dict` returned.

        Args:
            content: The dictionary.

        Returns:
            The sweep.

        Raises:
            InputError: The dictionary is of another format.
        """
        check_format(content, FORMAT)
        return cls.from_parts(content, content["behaviours"])

    @classmethod
    def from_parts(cls, about: Mapping[str, Any], behaviours: Mapping[str, Any]) -> ProbeSweep:
        """Restore a sweep, without its probes, from what `about` and `behaviour_dicts` returned.

        Args:
            about: The settings of the sweep.
            behaviours: Behaviour -> its figures.

        Returns:
            The sweep.
        """
        return cls(
            behaviours={name: BehaviourSweep.from_dict(row) for name, row in behaviours.items()},
            layers=tuple(about["layers"]),
            penalties=tuple(about["penalties"]),
            control_tasks={
                task: [Interval.from_columns(row, "auroc") for row in by_layer.values()]
                for task, by_layer in about["control_tasks"].items()
            },
            fitted=None,
            **{name: about[name] for name in ABOUT},
        )

    def in_words(self) -> list[str]:
        """Say what the probes found, with its interval and controls (`explorer.py` has the rules)."""
        name = str(self.model["name"])
        return [verdict(self.behaviours, self.layers, model=name, n_problems=self.n_problems)]

    def explorer(
        self, *, sentences: Mapping[str, Any] | None = None, vectors: str | None = None, probes: str = PROBES
    ) -> dict[str, Any]:
        """Collect what a page links: values by behaviour and layer, sentences, commands for the chosen cell.

        Args:
            sentences: Telling sentences of every behaviour and layer; None without.
            vectors: Name of the file of directions beside the page; None if there is none.
            probes: Name of the file of probes beside the page.

        Returns:
            Plain values.
        """
        shell, python = next_commands(str(self.model["name"]), self.read, probes=probes, vectors=vectors)
        return explorer(
            self.behaviours,
            self.layers,
            estimator=self.estimator,
            sentences=sentences,
            files=[probes] if vectors is None else [vectors, probes],
            shell=shell,
            python=python,
        )

    def report(self) -> str:
        """Write one self-contained HTML page."""
        explore = self.explorer()
        shown = {name: table.draw() for name, table in self.tables().items() if name != "auroc"}
        return render(
            "sweep.html.jinja",
            {"model": self.model, "behaviours": self.behaviour_dicts(), "caption": self.caption},
            shown,
            data={"explore": explore},
            scripts=("explore.js",),
            explore=explore,
            sentences=self.in_words(),
            table=frame_table("headline", self.headline()),
        )

    def write(self, directory: str | Path) -> None:
        """Write results.json, table.csv, tables/, report.html, and probes.safetensors if it holds the probes.

        Args:
            directory: Where to write them.
        """
        if self.fitted is not None:
            self.save_probes(Path(directory) / PROBES)
        write_result(directory, self, self.report())

    def probes(self) -> SavedProbes:
        """Return the probes fitted on all examples, to save or to score with."""
        return SavedProbes(
            weights={name: torch.from_numpy(self.weights[index]) for index, name in enumerate(self.behaviours)},
            biases={name: torch.from_numpy(self.biases[index]) for index, name in enumerate(self.behaviours)},
            layers=self.layers,
            site=self.site,
            read=self.read,
            model=self.model,
            method=f"{METHODS[self.estimator].about}, standardisation folded in",
            best_layers={name: self.best_layer(name) for name in self.behaviours},
            prevalence={
                name: behaviour.n_positive / (behaviour.n_positive + behaviour.n_negative)
                for name, behaviour in self.behaviours.items()
            },
            scores={
                name: {
                    "auroc": [estimate.value for estimate in behaviour.auroc],
                    "auroc_nested": behaviour.nested.auroc.value,
                    "penalty": behaviour.penalty,
                    "n_positive": behaviour.n_positive,
                }
                for name, behaviour in self.behaviours.items()
            },
            seed=self.seed,
            are_log_odds=METHODS[self.estimator].gives_log_odds,
        )

    def save_probes(self, path: str | Path) -> None:
        """Write the probes as safetensors, atomically (see `SavedProbes`).

        Args:
            path: The file to write.
        """
        self.probes().save(path)

    def _repr_html_(self) -> str:
        return self.headline().to_html(index=False, na_rep="–", float_format="{:.3f}".format)

    @looked_at(".figure(), .headline(), .to_frame(), .figures()")
    def __repr__(self) -> str:
        best = ", ".join(
            f"{name} {behaviour.comparison.excess.value:+.3f} ({behaviour.nested.auroc.value:.3f})"
            for name, behaviour in self.behaviours.items()
        )
        return f"ProbeSweep({self.model['name']}, {len(self.layers)} layers; excess (AUROC): {best})"

    def _fitted(self) -> FittedProbes:
        if self.fitted is None:
            raise InputError(
                f"this sweep was restored from JSON, which does not hold the probes; open {PROBES} beside it with "
                "SavedProbes.open"
            )
        return self.fitted
