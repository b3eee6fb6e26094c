"""Steer a model with directions, in plain forward passes and in `generate`.

    with steer(model, directions["backtracking"], layer=12, strength=1.5) as steered:
        model.generate(**inputs)
    steered.n_steered, steered.n_tokens

1. Before each forward pass a hook on the model finds which tokens are padding, prompt and response, and their
   positions (`passes.py`); cached steps continue where the last one ended.
2. A hook in each steered block applies the operation (`operations.py`) at the site of the direction, the block's output
   by default, to the selected tokens (`when.py`, a mask, a controller); all other tokens keep their bits.
3. The changed tokens are counted, on the device.

The model is an ordinary Hugging Face model or a TransformerBridge around one, compiled or not. After the `with` block
it is as before.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType
from typing import Any

import torch
from jaxtyping import Bool, Integer
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from ...models import LanguageModel, load
from ...models._load import ModelLike
from ...models.find_place import places_of
from ...models.one_pass import one_pass
from ...models.sites import BEFORE_BLOCK
from ...rundir import InputError
from ..direction import Direction
from ..fit import check_fit
from .hooks import PassWatch, hook_site
from .passes import Passes
from .scope import Scope
from .sentence_ends import at_sentence_ends, sentence_decay, through_sentences
from .steered import Steered
from .steering import Controller, Steering, as_steerings
from .when import When


class SteeringNeverFired(UserWarning):
    """The warning that the model made no forward pass inside `steer`."""


class SteerBlock:
    """What `steer` returns: a `with` block that is entered once."""

    def __init__(self, steering: AbstractContextManager[Steered]) -> None:
        self._steering, self._is_entered = steering, False

    def __repr__(self) -> str:
        state = "entered already" if self._is_entered else "not entered yet: with steer(...) as steered"
        return f"SteerBlock({state}; look: steered.n_steered, steered.by_layer())"

    def __enter__(self) -> Steered:
        if self._is_entered:
            raise InputError(
                "this steer(...) has been entered already, and can be entered once; call steer(...) again for every "
                "with block"
            )
        self._is_entered = True
        return self._steering.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._steering.__exit__(kind, error, traceback)


def steer(
    model: ModelLike,
    *directions: Direction | Steering,
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
) -> SteerBlock:
    """Steer every forward pass of `model` inside the block: plain ones, `generate`, cached steps, batches with padding.

    Passes of other threads and of tasks that began elsewhere are left alone; `Steered.carry` takes a function along
    into another thread.

    Args:
        model: A name, a handle, a loaded model or a TransformerBridge.
        *directions: Directions, which take the options of this call, or `Steering`s with options of their own. They
            act in this order.
        layer: The 0-based block or blocks that are steered, negative ones counted from the end. None means the
            only layer that a direction covers.
        strength: In units of the mean norm of the residual stream at the layer.
        operation: add, add-preserving-norm, project-out or clamp. None means the direction's own.
        absolute: Take the strength in units of the vector itself.
        when: Which tokens are steered: all, prompt, response, response:N, from:N, sentences (where a sentence of the
            response begins), or sentences:SHARE (on to its end, each token with this share of the dose before it).
        mask: Which rows, or which columns of the padded batch (prompt and response); columns beyond it are left alone.
        controller: Receives the activations at a layer and returns which tokens to steer, or by how much of the
            strength.
        n_prompt_tokens: Where the prompt ends in texts that are run in one pass. Without it, all tokens that are run
            on an empty cache are the prompt.
        force: Accept directions of another model of the same shape.
        tokenizer: For a model object that does not know where its own is.

    Returns:
        A context manager, to be entered once. It gives counts of the tokens that were run and changed, and raises
        InputError where layers, widths, strengths or masks do not fit, the directions are of another model, a chosen
        block does not run, or the model runs elsewhere only.
    """
    options = {
        "strength": strength,
        "operation": operation,
        "absolute": absolute,
        "when": when,
        "mask": mask,
        "controller": controller,
    }
    return SteerBlock(_steered(model, directions, layer, options, n_prompt_tokens, force, tokenizer))


@contextmanager
def _steered(
    model: ModelLike,
    directions: Sequence[Direction | Steering],
    layer: int | Sequence[int] | None,
    options: dict[str, Any],
    n_prompt_tokens: int | Integer[Tensor, " rows"] | None,
    force: bool,
    tokenizer: PreTrainedTokenizerBase | None,
) -> Iterator[Steered]:
    handle = load(model, tokenizer)
    decay = sentence_decay(options["when"]) if isinstance(options["when"], str) else None
    if decay is not None:
        if options["controller"] is not None:
            raise InputError(f"when={options['when']!r} chooses the tokens itself; give it or a controller, not both")
        controller = through_sentences(handle, decay) if decay else at_sentence_ends(handle)
        options |= {"when": When.response(), "controller": controller}
    if isinstance(options["when"], str):
        options |= {"when": When.parse(options["when"])}
    steerings = as_steerings(directions, layer=layer, n_layers=handle.n_layers, **options)
    for steering in steerings:
        check_fit(steering.direction, handle, force=force)
        for layer_number in steering.layers:
            handle.layer_index(layer_number)
    scope = Scope()
    _check_prompt_tokens(n_prompt_tokens)
    steered = Steered(steerings, handle.device, scope)
    passes = Passes(
        ends=_special_tokens(handle, "eos_token_id"),
        pads=_special_tokens(handle, "pad_token_id"),
        n_prompt_tokens=n_prompt_tokens,
        follows_rows=any(
            steering.mask is not None or getattr(steering.controller, "follows_rows", False) for steering in steerings
        ),
        window=_window(handle),
    )
    watch = PassWatch(handle, passes, steered, scope)
    _forget_compiled(model, handle.model)
    with ExitStack() as hooks:
        hooks.callback(watch.close)
        hooks.enter_context(_hooked(handle, watch, steerings))
        hooks.enter_context(scope.opened())
        yield steered
    if scope.n_carried:
        raise InputError(
            f"{handle.name} still runs in another thread where its steering ends, and the rest would not be steered: "
            "join the thread inside the with block"
        )
    if watch.is_batched_elsewhere:
        raise InputError(
            f"{handle.name} ran under continuous batching (generate_batch) while it was to be steered: those passes "
            "pack texts in another thread and were not steered. Use generate with a padded batch."
        )
    if not watch.has_run and watch.n_elsewhere:
        raise InputError(
            f"{handle.name} ran in another thread or task only, where it is not steered: give the thread "
            "steered.carry(function), or enter steer() where the model runs"
        )
    if not watch.has_run:
        warnings.warn(
            f"{handle.name} was not run while it was to be steered; if it is compiled, give steer() the compiled model",
            SteeringNeverFired,
            stacklevel=4,
        )


def _check_prompt_tokens(n_prompt_tokens: object) -> None:
    is_whole = isinstance(n_prompt_tokens, int) and not isinstance(n_prompt_tokens, bool) and n_prompt_tokens >= 0
    if isinstance(n_prompt_tokens, Tensor):
        is_whole = not n_prompt_tokens.is_floating_point() and n_prompt_tokens.dtype != torch.bool
        is_whole = is_whole and not bool((n_prompt_tokens < 0).any())
    if n_prompt_tokens is not None and not is_whole:
        raise InputError(
            f"n_prompt_tokens is a whole number of at least 0, or an integer tensor of one for each row, not "
            f"{n_prompt_tokens!r:.60}"
        )


@contextmanager
def _hooked(handle: LanguageModel, watch: PassWatch, steerings: Sequence[Steering]) -> Iterator[None]:
    """Hook the model; not while another thread's pass may be stopped, since torch then goes through its hooks."""
    places = {
        key: place
        for steering in steerings
        for key, place in places_of(handle, steering.layers, [steering.site]).items()
    }
    # What a sum adds up is kept before the block, after what changes the stream there.
    in_order = sorted(enumerate(steerings), key=lambda numbered: numbered[1].site != BEFORE_BLOCK)
    with ExitStack() as hooks:
        with one_pass(handle):
            for module in {id(module): module for module in (handle.model, handle.body)}.values():
                before = module.register_forward_pre_hook(watch.before, with_kwargs=True)
                hooks.callback(before.remove)
                hooks.callback(module.register_forward_hook(watch.after, always_call=True).remove)
            for number, steering in in_order:
                for layer_number in steering.layers:
                    hooks.callback(hook_site(watch, number, steering, places[layer_number, steering.site]))
        try:
            yield
        finally:
            with one_pass(handle):
                hooks.close()


def _special_tokens(handle: LanguageModel, name: str) -> list[int]:
    """Return the ids of a special token: the tokenizer's, and those that the model's own settings add."""
    configured = getattr(getattr(handle.model, "generation_config", None), name, None)
    listed = [configured] if isinstance(configured, int) else list(configured or [])
    tokenizer_id = getattr(handle.tokenizer, name, None)
    return sorted({*listed, *([] if tokenizer_id is None else [tokenizer_id])})


def _window(handle: LanguageModel) -> int | None:
    """Return to how many tokens a token attends at the least; None: to all of them."""
    config = handle.model.config.get_text_config(decoder=True)
    widths = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    return min((int(width) for width in widths if width), default=None)


def _forget_compiled(model_object: object, model: nn.Module) -> None:
    """Make torch compile a model again that it compiled without hooks, since its guards do not check for hooks."""
    is_compiled = hasattr(model_object, "_orig_mod") or any(
        getattr(module, name, None) is not None
        for module in model.modules()
        for name in ("_compiled_call_impl", "_compiled_call")
    )
    if is_compiled and "torch._dynamo" in sys.modules:
        torch._dynamo.reset()
