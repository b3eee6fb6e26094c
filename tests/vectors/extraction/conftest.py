"""Activations with a planted truth: behaviours, problems with content of their own, dimensions of unlike spread."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from reasonlens import Activations, Example, Read

LABELS = ("backtracking", "deduction", "doubt")


@pytest.fixture(scope="session")
def planted() -> Callable[..., tuple[Activations, torch.Tensor]]:
    """`planted()` gives activations, and the unit direction (n_layers, d_model) of "backtracking" in them."""

    def make(
        n_problems: int = 60,
        per_problem: int = 12,
        d_model: int = 24,
        strength: float = 2.0,
        content: float = 0.0,
        confounded: bool = False,
        layers: tuple[int, ...] = (0, 3),
        seed: int = 0,
    ) -> tuple[Activations, torch.Tensor]:
        random = np.random.default_rng(seed)
        direction = random.normal(size=(len(layers), d_model))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        acts, examples = [], []
        topics = np.zeros((n_problems, d_model))
        topics[:, :2] = content * random.normal(size=(n_problems, 2))  # content lies along the first two axes
        for problem in range(n_problems):
            rate = (0.2 + 0.6 * (topics[problem, 0] > 0)) if confounded else 0.4
            for number in range(per_problem):
                label = LABELS[0] if random.random() < rate else LABELS[1 + number % 2]
                act = random.normal(size=(len(layers), d_model)) + topics[problem]
                acts.append(act + strength * (label == LABELS[0]) * direction)
                trace = f"t{problem}-{number % 2}"
                examples.append(Example(trace, f"p{problem}", label, number, number + 1, "x", None))
        array = np.stack(acts)
        return (
            Activations(
                values=torch.from_numpy(array).float(),
                examples=tuple(examples),
                layers=layers,
                read=Read.before(),
                model={"name": "planted"},
                overall_mean=torch.from_numpy(array.mean(axis=0)).float(),
                residual_norm=torch.from_numpy(np.linalg.norm(array, axis=2).mean(axis=0)).float(),
            ),
            torch.from_numpy(direction).float(),
        )

    return make
