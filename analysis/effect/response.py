"""Let a model answer a prompt twice, unsteered and steered, with the same random numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ...generation import Sampling, encode_prompts, write
from ...models import load
from ...models._load import ModelLike
from ...rundir import InputError, brief
from ...traces import Template
from ...vectors import Directions, steer
from ...vectors.residual_norms import with_known_norms
from .damage import texts_for_norms
from .strength_limit import strongest_within_limit

BY_DISTANCE = ("add", "add-preserving-norm")  # operations whose strength is a distance


@dataclass(frozen=True, kw_only=True)
class SteeredResponse:
    """The responses of a model without and with steering."""

    unsteered: str
    steered: str
    layer: int  # 0-based block
    strength: float  # in units of the mean residual norm, or of the vector where it is absolute
    kl_nats: float | None  # on neutral text, where the strength was chosen by it
    n_steered: int  # tokens whose activation was changed
    n_tokens: int  # tokens that were run, those of the prompt included

    LOOK = ".unsteered, .steered, .to_dict()"
    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON: the texts and counts."""
        return asdict(self)


def steer_write(
    model: ModelLike,
    directions: Directions,
    prompt: str,
    *,
    behaviour: str,
    layer: int | None = None,
    strength: float | None = None,
    operation: str = "add",
    when: str | None = None,
    absolute: bool = False,
    sampling: Sampling | None = None,
    template: Template = "auto",
    seed: int = 0,
    force: bool = False,
) -> SteeredResponse:
    """Answer `prompt` unsteered and steered.

    Args:
        model: The model that writes.
        directions: Directions of the model, or with `force` of another of the same shape.
        prompt: The prompt.
        behaviour: The behaviour whose direction steers.
        layer: Block whose output is steered, from 0; negative ones count from the end. None: the one that `steer_find`
            found, with the strength that it found where none is given.
        strength: In units of the mean residual norm at the layer, which is measured if `directions` do not hold it.
            None: the strongest that moves neutral text by at most 0.1 nats a token; 1 where the strength is absolute or
            the operation is project-out or clamp.
        operation: add, add-preserving-norm, project-out or clamp.
        when: Tokens that are steered, as for `steer`. None: where the layer is the found one those of its search, else
            the response.
        absolute: Whether the strength is in units of the vector itself.
        sampling: Length and temperature; None: at most 120 tokens, greedy.
        template: Whether the prompt goes through the chat template.
        seed: Seed of sampling, the same for both.
        force: Accept directions of another model.

    Returns:
        Both responses, the strength, and how many tokens were steered.

    Raises:
        InputError: Directions, layer, strength, operation or tokens cannot be used.
    """
    loaded = load(model)
    if layer is None:
        choice = directions.choices.get(behaviour)
        if choice is None:
            raise InputError(
                f"no layer is given, and none was found for {behaviour!r:.60}: give one (--layer, layer=), or the "
                "vectors.safetensors of `reasonlens steer find`"
            )
        layer = choice.layer
        if strength is None and not absolute and operation in BY_DISTANCE:
            strength = choice.strength
        when = when or choice.when
    layer = loaded.layer_index(layer)
    if not absolute and operation != "project-out":
        directions = with_known_norms(directions, loaded, [layer], texts_for_norms)
    kl_nats = None
    if strength is None and not absolute and operation in BY_DISTANCE:
        within = strongest_within_limit(loaded, directions[behaviour], layer, operation=operation, force=force)
        strength, kl_nats = within.strength, within.kl_nats
    strength = 1.0 if strength is None else strength
    sampling = sampling or Sampling(n_samples=1, temperature=0.0, max_new_tokens=120)
    prompts = encode_prompts(loaded, [prompt], template)
    with steer(
        loaded,
        directions[behaviour],
        layer=layer,
        strength=strength,
        operation=operation,
        when=when or "response",
        absolute=absolute,
        force=force,
    ) as counted:
        (steered,) = write(loaded, prompts, sampling, seed=seed)
    (unsteered,) = write(loaded, prompts, sampling, seed=seed)
    return SteeredResponse(
        unsteered=unsteered.text,
        steered=steered.text,
        layer=layer,
        strength=strength,
        kl_nats=kl_nats,
        n_steered=counted.n_steered,
        n_tokens=counted.n_tokens,
    )
