"""What to do to a model: a direction, the layers, how strongly, by which operation, and at which tokens.

Strength, by operation (n = mean norm of the residual stream at the layer, v = the vector there, u = v / |v|):

    add, add-preserving-norm    moves by strength x n along u: a relative dose. absolute=True: by strength x v, which
                                is what the coefficient of other tools does
    clamp                       sets the projection on u to strength x n; absolute=True: to strength
    project-out                 removes this share of the projection: 1 all of it
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from ...rundir import InputError
from ..direction import Direction
from .operations import operation_named
from .step import Step
from .when import When

# Given the activations and the step that they belong to, says which tokens to steer (bool) or by how much of the
# strength (float; 0 leaves a token as it is). It is asked at every layer of its steering, in order.
Controller = Callable[
    [Float[Tensor, "rows tokens d_model"], Step], Bool[Tensor, "rows tokens"] | Float[Tensor, "rows tokens"]
]


@dataclass(frozen=True, eq=False, kw_only=True)
class Steering:
    """One direction at work. Everything that narrows the tokens (when, mask, controller) holds together."""

    direction: Direction
    layers: tuple[int, ...]  # the 0-based blocks whose output is changed
    strength: float = 1.0
    operation: str = "add"  # add, add-preserving-norm, project-out, clamp
    absolute: bool = False  # strength in units of the vector itself, not of the residual stream's norm
    when: When = When.all()  # which tokens
    mask: Bool[Tensor, " rows"] | Bool[Tensor, "rows columns"] | Integer[Tensor, "*shape"] | None = None
    controller: Controller | None = None

    def __post_init__(self) -> None:
        operation_named(self.operation)
        if not self.layers:
            raise InputError(f"no layer to steer with {self.direction.behaviour!r}; name one")
        if not math.isfinite(self.strength):
            raise InputError(f"a strength must be a finite number, and {self.strength} is not")
        if self.mask is not None and self.mask.ndim not in (1, 2):
            raise InputError(
                f"a mask has one value for each row (rows,) or each token (rows, columns), not {tuple(self.mask.shape)}"
            )
        for layer in self.layers:
            self.direction.unit(layer)
            self.amount(layer)

    def amount(self, layer: int) -> float:
        """What the operation is given at `layer`, in the units of the residual stream (project-out: a share).

        Raises InputError for a relative dose where the norm of the residual stream is not known.
        """
        if self.operation == "project-out":
            return self.strength
        if self.absolute:
            return self.strength * (1.0 if self.operation == "clamp" else float(self.direction.at(layer).norm()))
        norm = self.direction.norm_at(layer)
        if not norm > 0 or not math.isfinite(norm):
            raise InputError(
                f"the strength {self.strength} is relative to the mean norm of the residual stream at layer {layer}, "
                f"which is not known for {self.direction.behaviour!r}; give absolute=True (--absolute), or measure it: "
                "reasonlens.with_norms_of(directions, model, texts)"
            )
        return self.strength * norm

    @property
    def is_idle(self) -> bool:
        """Whether it changes nothing whatever the activations are."""
        return self.strength == 0 and self.operation != "clamp"

    def tokens(self, step: Step) -> Bool[Tensor, "rows tokens"]:
        """The tokens of a step that are steered if no controller says otherwise."""
        chosen = self.when.of(step)
        return chosen if self.mask is None else chosen & _masked(self.mask, step)


def _masked(mask: Tensor, step: Step) -> Bool[Tensor, "rows tokens"]:
    """A user's mask on the tokens of a step; what lies beyond its columns (tokens generated later) is left alone."""
    last = step.first_column + step.n_tokens
    begins = step.first_column == 0 and step.n_new == step.n_tokens
    if len(mask) != step.n_rows or (mask.ndim == 2 and begins and mask.shape[1] < step.n_tokens):
        raise InputError(
            f"the mask has shape {tuple(mask.shape)} and the model is given {step.n_rows} rows of {step.n_tokens} "
            "tokens; give (rows,) or (rows, columns), padding included"
        )
    mask = mask.to(step.positions.device).bool()
    if mask.ndim == 1:
        return mask[:, None].expand(-1, step.n_tokens)
    if mask.shape[1] < last:
        mask = torch.nn.functional.pad(mask, (0, last - mask.shape[1]))
    return mask[:, step.first_column : last]


def as_steerings(
    what: Sequence[Direction | Steering],
    *,
    layer: int | Sequence[int] | None,
    n_layers: int,
    **options: object,
) -> list[Steering]:
    """Steerings as they are, and directions with the given layer and options. Raises InputError where they do not fit.

    layer: one or more, negative ones from the end; default the only one that a direction covers.
    """
    if not what:
        raise InputError("nothing to steer with: give a direction, or a Steering")
    return [each if isinstance(each, Steering) else _of(each, layer, n_layers, options) for each in what]


def _of(direction: Direction, layer: int | Sequence[int] | None, n_layers: int, options: dict[str, object]) -> Steering:
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
    given = direction.layers if layer is None else [layer] if isinstance(layer, int) else list(layer)
    layers = []
    for each in given:
        if not -n_layers <= each < n_layers:
            raise InputError(
                f"layer {each} does not exist: the model has {n_layers} blocks (0..{n_layers - 1}). Negative layers "
                "count from the end."
            )
        layers.append(each % n_layers)
    operation = {} if options.get("operation") else {"operation": direction.operation}
    return Steering(direction=direction, layers=tuple(layers), **{**options, **operation})  # type: ignore[arg-type]
