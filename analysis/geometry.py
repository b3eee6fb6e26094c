"""Compare directions with each other."""

from __future__ import annotations

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from ..vectors import Directions


def cosine_matrix(directions: Directions, layer: int) -> Float[Tensor, "n_behaviours n_behaviours"]:
    """Compute the cosine between the directions of every two behaviours at one layer, in their order."""
    stacked = torch.stack([directions.at(behaviour, layer) for behaviour in directions.behaviours])
    unit = normalize(stacked.double(), dim=-1)
    return (unit @ unit.T).float()


def cosine_frame(directions: Directions, layer: int) -> pd.DataFrame:
    """Tabulate `cosine_matrix`: one row for each ordered pair, `behaviour`, `other`, `cosine`."""
    cosines = cosine_matrix(directions, layer).tolist()
    return pd.DataFrame(
        [
            {"behaviour": behaviour, "other": other, "cosine": cosine}
            for behaviour, row in zip(directions.behaviours, cosines, strict=True)
            for other, cosine in zip(directions.behaviours, row, strict=True)
        ]
    )
