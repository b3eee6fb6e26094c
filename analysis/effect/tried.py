"""Hold the outcomes of a sweep over layers and strengths, and compare each direction with the random ones beside it.

A cell is a behaviour, a layer and a strength. Where damage is limited, cells beyond the limit were not tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from ...rundir import InputError
from ...stats import p_value_of_draws
from .condition import Kind
from .outcome import Outcome
from .significance import corrected_over_cells


@dataclass(frozen=True, eq=False, kw_only=True)
class TriedConditions:
    """The outcomes of a sweep, found by condition."""

    outcomes: tuple[Outcome, ...]
    behaviours: tuple[str, ...]
    layers: tuple[int, ...]
    strengths: tuple[float, ...]

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
        cells = self._cells
        effects = [self.outcome("direction", *cell).effect_value(cell[0], self.unsteered) for cell in cells]
        random = [self.random_effects(*cell) for cell in cells]
        numbers = np.array([self.behaviours.index(name) for name, _, _ in cells])
        p_values = corrected_over_cells(np.array(effects), np.array(random), numbers)
        return dict(zip(cells, p_values.tolist(), strict=True))

    @property
    def n_cells(self) -> int:
        """Number of layers, strengths and behaviours that corrected p-values are corrected over."""
        return len(self._cells)

    def strengths_of(self, behaviour: str, layer: int) -> tuple[float, ...]:
        """List the strengths that a direction was tried with at a layer.

        Args:
            behaviour: The behaviour of the direction.
            layer: 0-based block.

        Returns:
            The strengths, ascending; none where all were beyond the limit of damage.
        """
        return tuple(strength for strength in self.strengths if (behaviour, layer, strength) in self._cells)

    @cached_property
    def _cells(self) -> list[tuple[str, int, float]]:
        tried = {
            (outcome.condition.behaviour, outcome.condition.layer, outcome.condition.strength)
            for outcome in self.outcomes
            if outcome.condition.kind == "direction"
        }
        return [cell for cell in product(self.behaviours, self.layers, self.strengths) if cell in tried]

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
