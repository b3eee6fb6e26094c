"""Describe what to do to a model: a direction, the layers, how strongly, by which operation, and at which tokens.

Strength by operation, with n the mean norm of the residual stream at the layer, v the vector there and u = v / |v|:

    add, add-preserving-norm    moves by strength x n along u. absolute=True: by strength x v, which is what the
                                coefficient of other tools does
    clamp                       sets the projection on u to strength x n. absolute=True: to strength
    project-out                 removes this share of the projection: 1 removes all of it
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from ...models.device_copies import DeviceCopies
from ...models.handle import whole_layer
from ...models.sites import Site
from ...rundir import InputError, brief, truth_of
from ..direction import Direction
from .operations import operation_named
from .step import Step
from .when import When

# Receives the activations at a layer and the step that they belong to. Returns which tokens to steer (bool), or by how
# much of the strength (float; 0 leaves a token as it is). It is called at every layer of its steering, in order.
Controller = Callable[
    [Float[Tensor, "rows tokens d_model"], Step], Bool[Tensor, "rows tokens"] | Float[Tensor, "rows tokens"]
]


@dataclass(frozen=True, eq=False, kw_only=True)
class Steering:
    """One direction and how to apply it. A token is steered only if `when`, `mask` and `controller` all select it."""

    direction: Direction
    layers: tuple[int, ...]  # the 0-based blocks that are steered, each at the direction's site
    strength: float = 1.0  # in units of the mean residual norm, unless `absolute`
    operation: str = "add"  # add, add-preserving-norm, project-out, clamp
    absolute: bool = False  # strength in units of the vector itself, not of the residual stream's norm
    when: When = When.all()  # which tokens
    mask: Bool[Tensor, " rows"] | Bool[Tensor, "rows columns"] | Integer[Tensor, "*shape"] | None = None
    controller: Controller | None = None

    __repr__ = brief

    def __post_init__(self) -> None:
        operation_named(self.operation)
        if not self.layers:
            raise InputError(f"no layer to steer with {self.direction.behaviour!r}; name one")
        object.__setattr__(self, "layers", tuple(map(whole_layer, self.layers)))
        truth_of(self.absolute, "absolute")
        _check_types(self.strength, self.when, self.controller, self.mask)
        if self.mask is not None and self.mask.ndim not in (1, 2):
            raise InputError(
                f"a mask has one value for each row (rows,) or each token (rows, columns), not {tuple(self.mask.shape)}"
            )
        for layer in self.layers:
            self.direction.unit(layer)
            self.amount(layer)

    def amount(self, layer: int) -> float:
        """Compute the amount that the operation is called with at one layer.

        Args:
            layer: A 0-based block that the direction covers.

        Returns:
            A length in the units of the residual stream; for project-out a share.

        Raises:
            InputError: The strength is relative, and the norm of the residual stream is not known at this layer.
        """
        if self.operation == "project-out":
            return self.strength
        if self.absolute:
            return self.strength * (
                1.0 if self.operation == "clamp" else float(self.direction.at(layer).detach().norm())
            )
        norm = self.direction.norm_at(layer)
        if not norm > 0 or not math.isfinite(norm):
            raise InputError(
                f"the strength {self.strength} is relative to the mean norm of the residual stream at layer {layer}, "
                f"which is not known for {self.direction.behaviour!r}; give absolute=True (--absolute), or measure it: "
                "reasonlens.with_norms_of(directions, model, texts)"
            )
        return self.strength * norm

    @property
    def site(self) -> Site:
        """Where in each block it acts: where its direction was found."""
        return self.direction.site

    @property
    def is_idle(self) -> bool:
        """Whether it changes nothing, whatever the activations are."""
        return self.strength == 0 and self.operation != "clamp"

    def tokens(self, step: Step) -> Bool[Tensor, "rows tokens"]:
        """Mark the tokens that `when` and `mask` select; a controller can narrow them further.

        Args:
            step: The forward pass.

        Returns:
            True for the selected tokens.

        Raises:
            InputError: The mask does not fit the batch, or the end of the prompt is not known.
        """
        selected = self.when.of(step)
        return (
            selected if self.mask is None else selected & _mask_of_step(self._mask_copies.on(step.is_real.device), step)
        )

    @cached_property
    def _mask_copies(self) -> DeviceCopies:
        assert self.mask is not None
        return DeviceCopies(self.mask.bool())


def _check_types(strength: object, when: object, controller: object, mask: object) -> None:
    is_number = isinstance(strength, int | float | np.number) and not isinstance(strength, bool)
    if not is_number or not math.isfinite(strength):  # type: ignore[arg-type]
        raise InputError(f"a strength must be a finite number such as 1.5, and {strength!r:.60} is not")
    if not isinstance(when, When):
        raise InputError(f"when= takes a text such as 'response', or a reasonlens.When, not {when!r:.60}")
    if controller is not None and not callable(controller):
        raise InputError(f"a controller is a function of activations and step, not of type {type(controller).__name__}")
    if mask is not None and not isinstance(mask, Tensor):
        raise InputError(f"a mask is a tensor, not a {type(mask).__name__}; give torch.tensor(mask)")


def as_steerings(
    directions: Sequence[Direction | Steering],
    *,
    layer: int | Sequence[int] | None,
    n_layers: int,
    **options: object,
) -> list[Steering]:
    """Make a steering of every direction; steerings stay as they are.

    Args:
        directions: Directions and steerings, in the order in which they act.
        layer: The block or blocks to steer at, negative ones counted from the end. None means the only layer that a
            direction covers.
        n_layers: How many blocks the model has.
        **options: Other fields of the steerings.

    Returns:
        The steerings.

    Raises:
        InputError: There is nothing to steer with, or a layer does not exist or has to be named.
    """
    if not directions:
        raise InputError("nothing to steer with: give a direction, or a Steering")
    return [
        direction if isinstance(direction, Steering) else _make_steering(direction, layer, n_layers, options)
        for direction in directions
    ]


def _mask_of_step(mask: Tensor, step: Step) -> Bool[Tensor, "rows tokens"]:
    """Cut a user's mask to the tokens of a step; columns beyond the mask (tokens generated later) are False."""
    step.check_rows()
    if step.prompt_rows is not None:
        mask = mask[step.prompt_rows.to(mask.device)]
    last = step.first_column + step.n_tokens
    if len(mask) != step.n_rows or (mask.ndim == 2 and step.is_first_pass and mask.shape[1] < step.n_tokens):
        raise InputError(
            f"the mask has shape {tuple(mask.shape)} and the model is given {step.n_rows} rows of {step.n_tokens} "
            "tokens; give (rows,) or (rows, columns), padding included"
        )
    if mask.ndim == 1:
        return mask[:, None].expand(-1, step.n_tokens)
    if mask.shape[1] < last:
        mask = torch.nn.functional.pad(mask, (0, last - mask.shape[1]))
    return mask[:, step.first_column : last]


def _make_steering(
    direction: Direction, layer: int | Sequence[int] | None, n_layers: int, options: dict[str, object]
) -> Steering:
    if not isinstance(direction, Direction):
        raise InputError(
            f"cannot steer with a {type(direction).__name__}; give directions['backtracking'], or "
            "reasonlens.Direction.of(vector, layers=12, residual_norm=...)"
        )
    if layer is None and len(direction.layers) > 1:
        raise InputError(
            f"the direction for {direction.behaviour!r} covers {len(direction.layers)} layers "
            f"({direction.layers[0]}..{direction.layers[-1]}); say which to steer at: layer="
        )
    is_list = isinstance(layer, Iterable) and not isinstance(layer, str | Tensor)
    requested = direction.layers if layer is None else list(layer) if is_list else [layer]  # type: ignore[arg-type]
    layers = []
    for number in map(whole_layer, requested):
        if not -n_layers <= number < n_layers:
            raise InputError(
                f"layer {number} does not exist: the model has {n_layers} blocks (0..{n_layers - 1}). Negative layers "
                "count from the end."
            )
        layers.append(number % n_layers)
    operation = {} if options.get("operation") else {"operation": direction.operation}
    return Steering(direction=direction, layers=tuple(layers), **{**options, **operation})  # type: ignore[arg-type]
