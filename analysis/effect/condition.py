"""One way of running a model: unsteered, with a behaviour's direction, or with a control in its place.

    unsteered    the model as it is
    direction    a behaviour's direction at one layer and strength
    random       a random direction of the same strength: as long a push, to nowhere in particular
    token        the row of the unembedding of a word that gives the behaviour away: what merely saying it would do

Strengths are relative, so that all of them move an activation equally far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from ...models import LanguageModel
from ...rundir import InputError
from ...vectors import Direction, Directions

Kind = Literal["unsteered", "direction", "random", "token"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What is done to the model."""

    kind: Kind
    behaviour: str = ""  # of the direction or the token; a random direction is held against every behaviour
    layer: int = -1
    strength: float = 0.0
    number: int = 0  # of the random direction

    @property
    def name(self) -> str:
        """A name of its own, for logs."""
        return f"{self.kind} {self.behaviour} layer {self.layer} strength {self.strength} number {self.number}"

    def direction(
        self, directions: Directions, model: LanguageModel, tokens: Mapping[str, int], seed: int
    ) -> Direction:
        """The direction that this condition steers with. Raises InputError for the unsteered one."""
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
        found = Direction.of(vector, layers=self.layer, behaviour=f"{self.kind} {self.number}", residual_norm=norms)
        return replace(found, behaviour=self.behaviour or found.behaviour)


def all_conditions(
    behaviours: Sequence[str],
    layers: Sequence[int],
    strengths: Sequence[float],
    *,
    n_random: int,
    tokens: Mapping[str, int],
) -> list[Condition]:
    """The unsteered one first, then for each layer and strength the directions, their tokens and the random ones."""
    found = [Condition("unsteered")]
    for layer in layers:
        for strength in strengths:
            if strength == 0:
                continue
            found += [Condition("direction", behaviour, layer, strength) for behaviour in behaviours]
            found += [Condition("token", behaviour, layer, strength) for behaviour in behaviours if behaviour in tokens]
            found += [Condition("random", "", layer, strength, number) for number in range(n_random)]
    return found
