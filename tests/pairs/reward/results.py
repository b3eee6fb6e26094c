"""A result of trained vectors made by hand, with a hostile name in every place that a model or a user could fill."""

from __future__ import annotations

from math import nan

import torch

from reasonlens.pairs.reward import ArmFigures, RewardSettings, TrainedVectors
from reasonlens.pairs.reward.arms import BASE, OTHER_BLOCKS, THINKING, VECTORS, Role
from reasonlens.pairs.reward.cosines import Cosine
from reasonlens.pairs.reward.promoted import Promoted
from reasonlens.pairs.reward.result import trained_directions
from reasonlens.stats import Interval

EVIL = "<script>alert('x')</script>"
ROLES: dict[str, Role] = {
    BASE: "end",
    VECTORS: "vectors",
    "only 0": "only",
    "without 0": "without",
    "random 1": "control",
    OTHER_BLOCKS: "control",
    THINKING: "end",
}


def share(value: float) -> Interval:
    return Interval(value, value - 0.05, value + 0.07, 100)


def arm(name: str, role: Role, value: float, model: str = EVIL) -> ArmFigures:
    """An arm that solves so much."""
    return ArmFigures(
        model=model,
        arm=name,
        role=role,
        accuracy=share(value + 0.1),
        in_form=share(value),
        gain=share(value - 0.2),
        gain_in_form=share(value - 0.1),
        share_of_gain=Interval(nan, nan, nan, 100) if role == "end" else share(value),
        gap=share(value) if model == EVIL else None,
        tokens=12.5,
    )


def trained_vectors() -> TrainedVectors:
    """Vectors at two of three blocks, with another base and a training of three steps."""
    arms = [arm(name, role, 0.1 + 0.1 * number) for number, (name, role) in enumerate(ROLES.items())]
    arms += [arm(BASE, "end", 0.1, "other"), arm(VECTORS, "transfer", 0.3, "other")]
    steps = [
        {
            "step": number,
            "reward": 0.1 * number,
            "solved": 0.2,
            "in_form": 0.9,
            "kl": 0.01 * number,
            "norm": 2.0,
            "n_learnt": 3,
            "tokens": 100,
            "tokens_run": 450,
            "tokens_a_second": 50.0,
            "seconds": 2.0,
        }
        for number in (1, 2, 3)
    ]
    rows = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    return TrainedVectors(
        directions=trained_directions(
            rows,
            layers=(0, 2),
            residual_norm=(1.5, 2.5),
            model={"name": EVIL, "n_layers": 3},
            read="mean",
            method="test",
            n_problems=10,
        ),
        arms=arms,
        steps=steps,
        cosines=[Cosine(layer, name, 0.1 * layer) for layer in (0, 2) for name in (EVIL, "deduction")],
        promoted=[Promoted(EVIL, 1.5), Promoted("a", 0.5), Promoted("b", -0.5), Promoted("c", -1.5)],
        promoted_at=2,
        settings=RewardSettings(),
    )
