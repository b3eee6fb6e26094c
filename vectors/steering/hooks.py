"""Hook a model for steering: one hook watches its forward passes, one at each steered site changes its activations.

Only passes of the contexts in which the block is open are steered (`scope.py`). Of several threads in which it is, each
has a step of its own. A pass that runs inside another one (a controller that asks the model something) is left alone.
torch.compile cannot trace the bookkeeping of these hooks, so they are excluded from tracing.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ...models import LanguageModel
from ...models.addition import Addition
from ...models.device_copies import DeviceCopies
from ...models.one_pass import skipped_blocks
from ...models.place import Place, Remove
from ...models.sites import Site
from ...rundir import InputError
from .operations import Operation, add, operation_named
from .passes import Passes
from .scope import Scope
from .steered import Steered
from .steering import Steering
from .step import Step


@dataclass(eq=False, slots=True)
class _RunningPass:
    """A forward pass that a thread is in, and the steered sites that have run so far."""

    module: nn.Module  # the outermost one that was called: the model, or its body
    step: Step | None  # None: it runs inside another pass (in a controller, say) and is left alone
    caller: FrameType | None  # torch's call of the module, on the stack as long as the pass runs; None: not found
    sites_run: set[tuple[int, Site]] = field(default_factory=set)
    is_in_body: bool = False


class PassWatch:
    """Holds the steps that are being run, one in each thread.

    Its hooks are excluded from tracing, since torch.compile cannot trace them.
    """

    def __init__(self, handle: LanguageModel, passes: Passes, steered: Steered, scope: Scope) -> None:
        self._handle, self._passes, self.steered, self._scope = handle, passes, steered, scope
        self._sites = {(layer, steering.site) for steering in steered.steerings for layer in steering.layers}
        self._threads = threading.local()
        self._lock = threading.Lock()
        self._is_open = True
        self.has_run = False  # also where a pass was stopped before its end, as collection does
        self.n_elsewhere = 0  # calls of the model in contexts in which the block is not open
        self.is_batched_elsewhere = False  # by transformers' continuous batching, which has a thread of its own
        self.before = _untraced(self._before)
        self.after = _untraced(self._after)

    @property
    def running(self) -> _RunningPass | None:
        """The pass that this thread is in."""
        passes = self._running_passes()
        return passes[-1] if passes else None

    def _running_passes(self) -> list[_RunningPass]:
        if not hasattr(self._threads, "passes"):
            self._threads.passes = []
        running: list[_RunningPass] = self._threads.passes
        return running

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> None:
        if not self._is_open or kwargs is None:  # None: torch calls a hook that another thread is removing
            return
        if not self._scope.is_here:
            with self._lock:
                self.n_elsewhere += 1
                self.is_batched_elsewhere |= kwargs.get("read_index") is not None
            return
        self._forget_interrupted()
        outer = self.running
        if outer is not None and module is not outer.module and not outer.is_in_body:
            outer.is_in_body = True  # the body inside the model
            return
        step = None
        if outer is None:
            with self._lock:
                step = self._passes.begin(module, args, kwargs)
            self.has_run = True
        caller = next((frame for frame in _stack() if frame.f_code.co_name == "_call_impl"), None)
        self._running_passes().append(_RunningPass(module, step, caller, is_in_body=module is self._handle.body))

    def _forget_interrupted(self) -> None:
        """Remove passes that a KeyboardInterrupt ended: torch calls no hook after it."""
        running = self._running_passes()
        if running:
            on_stack = {None, *_stack()}
            running[:] = [earlier for earlier in running if earlier.caller in on_stack]

    def _after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        running = self.running
        if running is None:
            return
        if module is not running.module:
            running.is_in_body = False
            return
        self._running_passes().pop()
        step = running.step
        if step is None or output is None or not self._is_open:
            return
        with self._lock:
            self._passes.end(step, output)
            self.steered.count(step)
        skipped = sorted({layer for layer, _ in self._sites - running.sites_run})
        if skipped:
            raise skipped_blocks(self._handle.name, skipped)

    def close(self) -> None:
        """Stop counting: compiled code may call the hooks even after they are removed from the model."""
        self._is_open = False


def _stack() -> Iterator[FrameType]:
    """Yield the frames of this thread, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def hook_site(watch: PassWatch, number: int, steering: Steering, place: Place) -> Remove:
    """Let a steering change the activations at one place.

    Args:
        watch: Holds the step that is being run.
        number: The index of the steering.
        steering: What to do.
        place: Of the steering's site in one of its layers.

    Returns:
        What removes the hook.
    """
    layer = place.layer
    operation: Operation = operation_named(steering.operation)
    unit, amount = steering.direction.unit(layer), steering.amount(layer)
    is_trained = unit.requires_grad
    has_own_length = steering.absolute and steering.operation in ("add", "add-preserving-norm")

    unit_copies = DeviceCopies(unit)

    def unit_and_amount(device: torch.device) -> tuple[Float[Tensor, " d_model"], float | Tensor]:
        if not is_trained:
            return unit_copies.on(device), amount
        # Anew in each pass: a step of an optimiser changes the vector, and each graph is walked back once.
        vector = steering.direction.at(layer).to(device)
        length = steering.strength * vector.norm() if has_own_length else amount
        return steering.direction.unit(layer).to(device), length

    shift = Addition(amount * unit.detach(), f"the strength {steering.strength:g} at layer {layer}")

    def steered(activations: Float[Tensor, "rows tokens d_model"]) -> Tensor | None:
        running = watch.running
        if running is None or running.step is None:
            return None
        step = running.step
        running.sites_run.add((layer, steering.site))
        if steering.is_idle:
            return None
        mask, scale = select_tokens(steering, activations, step)
        if scale is None and operation is add and not is_trained:  # the same sum, with its vector made once
            changed = shift(activations)
        else:
            own_unit, own_amount = unit_and_amount(activations.device)
            own_amount = own_amount if scale is None else (own_amount * scale[..., None]).float()
            changed = operation(activations, own_unit, own_amount)
        step.changes.append((number, layer, mask))
        return torch.where(mask[..., None], changed, activations)

    return place.change(steered, _untraced)


def _untraced(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Exclude a hook from tracing by torch.compile: what it counts and looks up does not belong in a graph."""
    disabled: Callable[..., Any] = torch.compiler.disable(hook)  # type: ignore[no-untyped-call]

    def untraced(*args: Any) -> Any:  # `disabled` is slow to call, so only where something is compiled
        return disabled(*args) if torch.compiler.is_compiling() else hook(*args)

    return untraced


def select_tokens(
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
