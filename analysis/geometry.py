"""How directions lie to each other."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from ..vectors import Directions


def cosine_matrix(directions: Directions, layer: int) -> Float[Tensor, "n_behaviours n_behaviours"]:
    """Cosine similarity of every two behaviours' directions at one layer, in the order of `directions.behaviours`."""
    stacked = torch.stack([directions.at(behaviour, layer) for behaviour in directions.behaviours])
    unit = normalize(stacked.double(), dim=-1)
    return (unit @ unit.T).float()
