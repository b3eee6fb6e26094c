"""Define the conditions under which a model is run: unsteered, with a behaviour's direction, or with a control.

    unsteered    the model without any change
    direction    a behaviour's direction at one layer and strength
    random       a random direction with the same strength
    token        the unembedding row of the behaviour's tell-tale word ("Wait"): the effect of merely writing the word

Strengths are in units of the mean residual norm, so that directions and controls move an activation equally far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from ...models import LanguageModel
from ...rundir import InputError, brief
from ...vectors import Direction, Directions

Kind = Literal["unsteered", "direction", "random", "token"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A way of running the model."""

    kind: Kind
    behaviour: str = ""  # of direction or token; empty for random ones, which are compared with every behaviour
    layer: int = -1  # 0-based block whose output is steered; -1 where unsteered
    strength: float = 0.0  # in units of the mean residual norm
    number: int = 0  # of the random direction

    __repr__ = brief

    @property
    def name(self) -> str:
        """A unique name, the key of the condition in logs."""
        return f"{self.kind} {self.behaviour} layer {self.layer} strength {self.strength} number {self.number}"

    def direction(
        self, directions: Directions, model: LanguageModel, tokens: Mapping[str, int], seed: int
    ) -> Direction:
        """Make the direction that this condition steers with.

        Args:
            directions: Directions of behaviours, with the mean residual norm at each layer.
            model: The model; its unembedding gives the direction of a token.
            tokens: Behaviour -> id of its tell-tale token.
            seed: Seed of random directions.

        Returns:
            The direction, float32 of shape (d_model,) at the layer.

        Raises:
            InputError: The condition is the unsteered one.
        """
        norms = directions.residual_norm[directions.layers.index(self.layer)]
        if self.kind == "direction":
            return directions[self.behaviour]
        if self.kind == "random":
            generator = np.random.default_rng([seed, self.layer, self.number])
            vector = torch.from_numpy(generator.standard_normal(directions.d_model)).float()
        elif self.kind == "token":
            head = model.model.get_output_embeddings().weight.detach().float()
            vector = (head[tokens[self.behaviour]] - head.mean(dim=0)).cpu()
        else:
            raise InputError("the unsteered condition has no direction")
        direction = Direction.of(vector, layers=self.layer, behaviour=f"{self.kind} {self.number}", residual_norm=norms)
        return replace(direction, behaviour=self.behaviour or direction.behaviour)


def all_conditions(
    behaviours: Sequence[str],
    layers: Sequence[int],
    strengths: Sequence[float],
    *,
    n_random: int,
    tokens: Mapping[str, int],
) -> list[Condition]:
    """List the conditions of a sweep: unsteered first, then by layer and strength directions, tokens and random ones.

    Args:
        behaviours: Behaviours whose directions are tried.
        layers: 0-based blocks.
        strengths: In units of the mean residual norm; 0 is left out.
        n_random: Number of random directions at each layer and strength.
        tokens: Behaviour -> id of its tell-tale token, for the behaviours that have one.

    Returns:
        The conditions, each once.
    """
    conditions = [Condition("unsteered")]
    for layer in layers:
        for strength in strengths:
            if strength == 0:
                continue
            conditions += [Condition("direction", behaviour, layer, strength) for behaviour in behaviours]
            conditions += [
                Condition("token", behaviour, layer, strength) for behaviour in behaviours if behaviour in tokens
            ]
            conditions += [Condition("random", "", layer, strength, number) for number in range(n_random)]
    return conditions
