"""Steering a model with directions, in whatever way it is run.

    with steer(model, directions["backtracking"], layer=12, strength=1.5) as steered:
        model.generate(**inputs)
    steered.n_steered, steered.n_tokens

1. A hook on the model notes, before each forward pass, which of its tokens are padding, prompt and response, and where
   they stand in their rows (`passes.py`); cached steps go on where the last one ended.
2. A hook on each steered block replaces its output at the tokens that are to be steered (`when.py`, a mask, a
   controller) by what the operation makes of it (`operations.py`); the output at all other tokens is the same bits.
3. Tokens that were changed are counted, on the device.

The model is an ordinary Hugging Face model or a TransformerBridge around one, compiled or not. After the block it is
as it was before.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from ...models import LanguageModel, load
from ...models._load import ModelLike
from ...models.blocks import block_output
from ...rundir import InputError
from ..direction import Direction
from ..fit import check_fit
from .operations import Operation, add, operation_named
from .passes import Passes
from .steering import Controller, Steering, as_steerings
from .step import Step
from .when import When


class SteeringNeverFired(UserWarning):
    """No forward pass of the model was seen while it was to be steered."""


class Steered:
    """What steering has done so far. The counts wait for the device when they are read."""

    def __init__(self, steerings: Sequence[Steering], device: torch.device) -> None:
        self.steerings = tuple(steerings)
        self.n_forwards = 0  # passes of the model
        self._tokens = torch.zeros((), dtype=torch.int64, device=device)
        self._steered = torch.zeros((), dtype=torch.int64, device=device)
        self._by_layers: dict[tuple[int, tuple[int, ...]], Tensor] = {}  # of a steering, where the tokens were the same

    @property
    def n_tokens(self) -> int:
        """Tokens that were run: no padding, nothing after the end of a response, and none twice."""
        return int(self._tokens)

    @property
    def n_steered(self) -> int:
        """Those of them whose activation was changed, by any steering at any layer."""
        return int(self._steered)

    @property
    def share(self) -> float:
        """n_steered / n_tokens; NaN before any token."""
        return self.n_steered / self.n_tokens if self.n_tokens else float("nan")

    def by_layer(self) -> list[dict[str, Any]]:
        """For each steering and layer: behaviour, layer, and how many tokens were changed there."""
        return [
            {
                "behaviour": steering.direction.behaviour,
                "layer": layer,
                "n_steered": sum(
                    int(n) for (each, layers), n in self._by_layers.items() if each == number and layer in layers
                ),
            }
            for number, steering in enumerate(self.steerings)
            for layer in steering.layers
        ]

    def _count(self, step: Step) -> None:
        self.n_forwards += 1
        device = step.positions.device
        self._tokens = self._tokens.to(device) + step.count_new(step.is_real)
        shared: dict[tuple[int, int], tuple[Tensor, list[int]]] = {}
        for number, layer, mask in step.changes:
            shared.setdefault((number, id(mask)), (mask, []))[1].append(layer)
        changed = None
        for (number, _), (mask, layers) in shared.items():
            mask = mask.to(device)
            n_new = step.count_new(mask)
            key = number, tuple(layers)
            self._by_layers[key] = self._by_layers[key] + n_new if key in self._by_layers else n_new
            changed = mask if changed is None else changed | mask
        if changed is not None:
            self._steered = self._steered.to(device) + (n_new if len(shared) == 1 else step.count_new(changed))


@contextmanager
def steer(
    model: ModelLike,
    *what: Direction | Steering,
    layer: int | Sequence[int] | None = None,
    strength: float = 1.0,
    operation: str | None = None,
    absolute: bool = False,
    when: When | str = "all",
    mask: Bool[Tensor, " rows"] | Bool[Tensor, "rows columns"] | Integer[Tensor, "*shape"] | None = None,
    controller: Controller | None = None,
    n_prompt_tokens: int | Integer[Tensor, " rows"] | None = None,
    force: bool = False,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Iterator[Steered]:
    """Steer every forward pass of `model` inside the block: plain ones, `generate`, cached steps, batches with padding.

    what: directions, which take the options given here, or `Steering`s with options of their own; several act in order.
    layer: block(s) whose output is changed. strength: in units of the mean norm of the residual stream there; absolute:
    of the vector itself. operation: add, add-preserving-norm, project-out or clamp; default the direction's own. when:
    all, prompt, response, response:N or from:N. mask: which rows, or which columns of the padded batch, prompt and
    response; later columns than it has are left alone. controller: sees the activations at a layer and says which
    tokens to steer, or by how much of the strength. n_prompt_tokens: where the prompt ends in texts that are given
    whole; without it, what is given to an empty cache is the prompt. force: steer with directions of another model.
    tokenizer: of a model object that does not know where its own is.

    Raises InputError for what does not fit: layers, widths, strengths, masks, directions of another model.
    """
    handle = load(model, tokenizer)
    options = {
        "strength": strength,
        "operation": operation,
        "absolute": absolute,
        "when": When.parse(when) if isinstance(when, str) else when,
        "mask": mask,
        "controller": controller,
    }
    steerings = as_steerings(what, layer=layer, n_layers=handle.n_layers, **options)
    for steering in steerings:
        check_fit(steering.direction, handle, force=force)
        for each in steering.layers:
            handle.layer_index(each)
    steered = Steered(steerings, handle.device)
    passes = Passes(ends=_ends(handle), pads=_pads(handle), n_prompt_tokens=n_prompt_tokens)
    watch = _Watch(passes, steered)
    _forget_compiled(model, handle.model)
    with ExitStack() as hooks:
        hooks.callback(watch.close)
        for module in {id(each): each for each in (handle.model, handle.body)}.values():
            before = module.register_forward_pre_hook(watch.before, with_kwargs=True)
            hooks.callback(before.remove)
            hooks.callback(module.register_forward_hook(watch.after, always_call=True).remove)
        for number, steering in enumerate(steerings):
            for each in steering.layers:
                hook = _block_hook(watch, number, steering, each)
                hooks.callback(handle.blocks[each].register_forward_hook(hook).remove)
        yield steered
    if not steered.n_forwards:
        warnings.warn(
            f"{handle.name} was not run while it was to be steered; if it is compiled, give steer() the compiled model",
            SteeringNeverFired,
            stacklevel=3,
        )


class _Watch:
    """The step that is being run. Its hooks are nothing that torch.compile can trace, and it leaves them alone."""

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
            self.steered._count(step)

    def close(self) -> None:
        """Compiled code may go on calling the hooks when they are gone from the model."""
        self._is_open, self.step, self._outermost = False, None, None


def _block_hook(watch: _Watch, number: int, steering: Steering, layer: int) -> Callable[..., Any]:
    operation: Operation = operation_named(steering.operation)
    unit, amount = steering.direction.unit(layer), steering.amount(layer)

    def unit_on(device: torch.device) -> Float[Tensor, " d_model"]:
        return unit.to(device)  # not kept: a copy made without gradients would hide them from a later pass

    @functools.cache
    def shift_on(device: torch.device, dtype: torch.dtype) -> Float[Tensor, " d_model"]:
        return (amount * unit_on(device)).to(dtype)

    def steered_output(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        step = watch.step
        if step is None or steering.is_idle:
            return None
        acts = block_output(output)
        mask, scale = _chosen(steering, acts, step)
        if scale is None and operation is add and not unit.requires_grad:  # the same, its vector made once
            changed = acts + shift_on(acts.device, acts.dtype)
        elif scale is None:
            changed = operation(acts, unit_on(acts.device), amount)
        else:
            changed = operation(acts, unit_on(acts.device), (amount * scale[..., None]).float())
        step.changes.append((number, layer, mask))
        replaced = torch.where(mask[..., None], changed, acts)
        return (replaced, *output[1:]) if isinstance(output, tuple) else replaced

    return _untraced(steered_output)


def _untraced(hook: Callable[..., Any]) -> Callable[..., Any]:
    """A hook that torch.compile calls as it is: what it counts and looks up is no matter of graphs."""
    disabled: Callable[..., Any] = torch.compiler.disable(hook)  # type: ignore[no-untyped-call]

    def untraced(*args: Any) -> Any:  # `disabled` is slow to call, so only where something is compiled
        return disabled(*args) if torch.compiler.is_compiling() else hook(*args)

    return untraced


def _chosen(
    steering: Steering, acts: Float[Tensor, "rows tokens d_model"], step: Step
) -> tuple[Bool[Tensor, "rows tokens"], Float[Tensor, "rows tokens"] | None]:
    """The tokens to steer, and what to multiply the strength by at each (None: 1)."""
    key = steering, acts.device
    if key not in step.masks:
        step.masks[key] = steering.tokens(step).to(acts.device)
    mask = step.masks[key]
    if steering.controller is None:
        return mask, None
    said = steering.controller(acts, step)
    if not isinstance(said, Tensor) or said.shape != mask.shape:
        shape = tuple(said.shape) if isinstance(said, Tensor) else type(said).__name__
        raise InputError(
            f"the controller must say for each of {tuple(mask.shape)} tokens whether (bool) or by how much (float) to "
            f"steer it, and gave {shape}"
        )
    said = said.to(acts.device)
    return (mask & said, None) if said.dtype == torch.bool else (mask & (said != 0), said)


def _ends(handle: LanguageModel) -> list[int]:
    return _tokens(handle, "eos_token_id")


def _pads(handle: LanguageModel) -> list[int]:
    return _tokens(handle, "pad_token_id")


def _tokens(handle: LanguageModel, name: str) -> list[int]:
    """The ids of a special token: the tokenizer's, and those that the model's own settings add."""
    configured = getattr(getattr(handle.model, "generation_config", None), name, None)
    listed = [configured] if isinstance(configured, int) else list(configured or [])
    own = getattr(handle.tokenizer, name, None)
    return sorted({*listed, *([] if own is None else [own])})


def _forget_compiled(given: object, model: nn.Module) -> None:
    """Have torch compile anew a model that it has compiled without hooks: its guards do not look at them."""
    is_compiled = hasattr(given, "_orig_mod") or any(
        getattr(module, name, None) is not None
        for module in model.modules()
        for name in ("_compiled_call_impl", "_compiled_call")
    )
    if is_compiled and "torch._dynamo" in sys.modules:
        torch._dynamo.reset()
