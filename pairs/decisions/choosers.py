"""Choose the positions at which a token is swapped: where a score exceeds a threshold (`thresholds.py`).

    divergence   Jensen-Shannon divergence of the two models: what is tested
    random       a number drawn for each position: a control, any positions would do
    early        minus the position in the response: a control, the first tokens would do
    entropy      entropy of the base: a control, wherever the base is unsure would do (forking tokens, arXiv 2506.01939)

A new chooser is one function from a comparison and a seed to a score, and an entry of CHOOSERS. Scores do not depend
on the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...rundir import brief
from .comparison import Compared

Score = Callable[[Compared, int], Float[Tensor, " rows"]]  # of a comparison and a seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Chooser:
    """One way to choose positions."""

    name: str
    about: str  # for tables and pages
    role: Literal["tested", "control"]
    score: Score

    __repr__ = brief


def _divergence(compared: Compared, seed: int) -> Float[Tensor, " rows"]:
    return compared.js


def _random(compared: Compared, seed: int) -> Float[Tensor, " rows"]:
    # With 1 and 2 in the seed: the numbers that tokens are drawn by go by seed and row alone.
    rows = compared.rows.tolist()
    draws = [np.random.default_rng([seed, 1, row, compared.step]).random() for row in rows]
    return torch.tensor(draws, dtype=torch.float64, device=compared.js.device)


def _early(compared: Compared, seed: int) -> Float[Tensor, " rows"]:
    # A part of a position for each row, so that budgets between two whole positions can be met.
    parts = [np.random.default_rng([seed, 2, row]).random() for row in compared.rows.tolist()]
    return -(compared.step + torch.tensor(parts, dtype=torch.float64, device=compared.js.device))


def _entropy(compared: Compared, seed: int) -> Float[Tensor, " rows"]:
    return compared.base_entropy


_ENTRIES = (
    Chooser(name="divergence", about="where the models diverge most", role="tested", score=_divergence),
    Chooser(name="random", about="random positions", role="control", score=_random),
    Chooser(name="early", about="the first positions", role="control", score=_early),
    Chooser(name="entropy", about="where the base is least sure", role="control", score=_entropy),
)
CHOOSERS: dict[str, Chooser] = {chooser.name: chooser for chooser in _ENTRIES}
TESTED = "divergence"
CONTROLS = tuple(name for name, chooser in CHOOSERS.items() if chooser.role == "control")
