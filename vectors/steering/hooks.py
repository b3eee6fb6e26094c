"""Hook a model for steering: one hook watches its forward passes, one on each steered block changes the output.

torch.compile cannot trace the bookkeeping of these hooks, so they are excluded from tracing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ...models.blocks import block_output
from ...rundir import InputError
from .operations import Operation, add, operation_named
from .passes import Passes
from .steered import Steered
from .steering import Steering
from .step import Step


class PassWatch:
    """Holds the step that is being run. Its hooks are excluded from tracing, since torch.compile cannot trace them."""

    def __init__(self, passes: Passes, steered: Steered) -> None:
        self._passes, self.steered = passes, steered
        self.step: Step | None = None
        self._outermost: nn.Module | None = None
        self._is_open = True
        self.before = _untraced(self._before)
        self.after = _untraced(self._after)

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._is_open and self._outermost is None:  # the body runs inside the model
            self.step = self._passes.begin(module, args, kwargs)
            self._outermost = module

    def _after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if module is not self._outermost:
            return
        step, self.step, self._outermost = self.step, None, None
        if step is not None and output is not None:
            self._passes.end(step, output)
            self.steered.count(step)

    def close(self) -> None:
        """Stop counting: compiled code may call the hooks even after they are removed from the model."""
        self._is_open, self.step, self._outermost = False, None, None


def block_hook(watch: PassWatch, number: int, steering: Steering, layer: int) -> Callable[..., Any]:
    operation: Operation = operation_named(steering.operation)
    unit, amount = steering.direction.unit(layer), steering.amount(layer)

    def unit_on(device: torch.device) -> Float[Tensor, " d_model"]:
        return unit.to(device)  # not cached: a copy made without gradients would hide them from a later pass

    @functools.cache
    def shift_on(device: torch.device, dtype: torch.dtype) -> Float[Tensor, " d_model"]:
        return (amount * unit_on(device)).to(dtype)

    def steered_output(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        step = watch.step
        if step is None or steering.is_idle:
            return None
        activations = block_output(output)
        mask, scale = _select_tokens(steering, activations, step)
        if scale is None and operation is add and not unit.requires_grad:  # the same sum, with its vector made once
            changed = activations + shift_on(activations.device, activations.dtype)
        elif scale is None:
            changed = operation(activations, unit_on(activations.device), amount)
        else:
            changed = operation(activations, unit_on(activations.device), (amount * scale[..., None]).float())
        step.changes.append((number, layer, mask))
        replaced = torch.where(mask[..., None], changed, activations)
        return (replaced, *output[1:]) if isinstance(output, tuple) else replaced

    return _untraced(steered_output)


def _untraced(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Exclude a hook from tracing by torch.compile: what it counts and looks up does not belong in a graph."""
    disabled: Callable[..., Any] = torch.compiler.disable(hook)  # type: ignore[no-untyped-call]

    def untraced(*args: Any) -> Any:  # `disabled` is slow to call, so only where something is compiled
        return disabled(*args) if torch.compiler.is_compiling() else hook(*args)

    return untraced


def _select_tokens(
    steering: Steering, activations: Float[Tensor, "rows tokens d_model"], step: Step
) -> tuple[Bool[Tensor, "rows tokens"], Float[Tensor, "rows tokens"] | None]:
    """Return the tokens to steer, and what to multiply the strength by at each (None: 1)."""
    key = steering, activations.device
    if key not in step.masks:
        step.masks[key] = steering.tokens(step).to(activations.device)
    mask = step.masks[key]
    if steering.controller is None:
        return mask, None
    choice = steering.controller(activations, step)
    if not isinstance(choice, Tensor) or choice.shape != mask.shape:
        shape = tuple(choice.shape) if isinstance(choice, Tensor) else type(choice).__name__
        raise InputError(
            f"the controller must say for each of {tuple(mask.shape)} tokens whether (bool) or by how much (float) to "
            f"steer it, and gave {shape}"
        )
    choice = choice.to(activations.device)
    return (mask & choice, None) if choice.dtype == torch.bool else (mask & (choice != 0), choice)
