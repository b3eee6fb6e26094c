"""Choose how strongly to steer: the strongest that leaves the model's predictions on neutral text nearly as they were.

A strength that acts in one model breaks the language of another. So none is fixed: strengths are tried upwards, with
every token of neutral text steered, until KL(unsteered || steered) exceeds a limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...models import LanguageModel
from ...rundir import InputError
from ...vectors import Direction, steer
from .damage import NeutralText, neutral_texts

STRENGTHS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)  # in units of the mean residual norm
KL_LIMIT_NATS = 0.1  # a token
N_NEUTRAL_TOKENS = 300


@dataclass(frozen=True, kw_only=True)
class StrengthWithinLimit:
    """A strength, and what it does to neutral text."""

    strength: float  # in units of the mean residual norm
    kl_nats: float  # KL(unsteered || steered), nats a token


def strongest_within_limit(
    model: LanguageModel,
    direction: Direction,
    layer: int,
    *,
    operation: str = "add",
    kl_limit_nats: float = KL_LIMIT_NATS,
    force: bool = False,
) -> StrengthWithinLimit:
    """Find the strongest steering that keeps to a limit on neutral text.

    Args:
        model: The model.
        direction: A direction with a known residual norm at the layer.
        layer: Block whose output is steered, from 0.
        operation: add or add-preserving-norm; what the strength of another operation means is no distance.
        kl_limit_nats: The largest KL(unsteered || steered), in nats a token.
        force: Accept a direction of another model of the same shape.

    Returns:
        The last of `STRENGTHS` before the first that exceeds the limit, and its KL.

    Raises:
        InputError: The weakest exceeds the limit.
    """
    texts = NeutralText(model, neutral_texts(model), max_tokens=N_NEUTRAL_TOKENS)
    within = None
    for strength in STRENGTHS:
        steering = steer(model, direction, layer=layer, strength=strength, operation=operation, force=force)
        kl_nats = texts.damage(steering).kl_nats
        if not kl_nats <= kl_limit_nats:
            if within is None:
                raise InputError(
                    f"steering {direction.behaviour!r} at layer {layer} with the weakest strength that is tried, "
                    f"{strength:g}, moves neutral text by {kl_nats:.2g} nats a token, and the limit is "
                    f"{kl_limit_nats:g}: give a strength (--strength, strength=), or another layer"
                )
            break
        within = StrengthWithinLimit(strength=strength, kl_nats=kl_nats)
    assert within is not None
    return within
