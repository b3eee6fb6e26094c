"""Steer a model inside vLLM, which packs the tokens of all requests into one row and has no padding.

1. A hook on each steered block of vLLM's model adds up the two tensors that most of its blocks return (what the block
   wrote, and the residual stream before it), applies the operation in float32, and puts the change into the first.
2. Which request a token belongs to, its position and where the prompt ends come from the metadata of attention and the
   batch of vLLM's runner: chunks of a prompt, cached steps and requests that come and go count as they are.
3. What vLLM keeps of prompts was computed with other steering, so its prefix cache is emptied before and after.

Hooks run only where vLLM calls modules in eager mode in this process: `LLM(..., enforce_eager=True)` with the
environment variable VLLM_ENABLE_V1_MULTIPROCESSING=0, on one device.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...models.sites import BLOCK_OUTPUT
from ...rundir import InputError, shown
from ..direction import Direction
from ._steer import SteerBlock, SteeringNeverFired
from .hooks import select_tokens
from .operations import operation_named
from .scope import Scope
from .sentence_ends import sentence_decay
from .steered import Steered
from .steering import Controller, Steering, as_steerings
from .step import Step
from .when import When


def steer_vllm(
    llm: Any,
    *directions: Direction | Steering,
    layer: int | Sequence[int] | None = None,
    strength: float = 1.0,
    operation: str | None = None,
    absolute: bool = False,
    when: When | str = "all",
    controller: Controller | None = None,
) -> SteerBlock:
    """Steer everything that a `vllm.LLM` runs inside the block, as `steer` does a model of transformers.

    vLLM does not say which weights it loaded: only widths and depths are compared.

    Args:
        llm: A `vllm.LLM`, or a writer of the engine vllm.
        *directions: Directions, which take the options of this call, or `Steering`s; of blocks' outputs.
        layer: The 0-based block or blocks, negative ones counted from the end. None: the only one of a direction.
        strength: In units of the mean norm of the residual stream at the layer.
        operation: add, add-preserving-norm, project-out or clamp. None means the direction's own.
        absolute: Take the strength in units of the vector itself.
        when: Which tokens: all, prompt, response, response:N or from:N.
        controller: Receives the activations of each token as a row of its own, and the step, without token ids.

    Returns:
        A context manager, to be entered once. It gives counts of tokens, and raises InputError where vLLM runs in
        another process, compiled or on several devices, and where directions do not fit.
    """
    if isinstance(when, str) and sentence_decay(when) is not None:
        raise InputError(
            f"vLLM does not show which tokens a block runs, so that it cannot be steered when={when!r:.60}"
        )
    options = {
        "strength": strength,
        "operation": operation,
        "absolute": absolute,
        "when": When.parse(when) if isinstance(when, str) else when,
        "controller": controller,
    }
    return SteerBlock(_steered(getattr(llm, "llm", llm), directions, layer, options))


@contextmanager
def _steered(
    llm: Any, directions: Sequence[Direction | Steering], layer: int | Sequence[int] | None, options: dict[str, Any]
) -> Iterator[Steered]:
    runner = _runner(llm)
    blocks = _blocks(runner)
    steerings = as_steerings(directions, layer=layer, n_layers=len(blocks), **options)
    _check(steerings, len(blocks), int(runner.model_config.get_hidden_size()))
    steered = Steered(steerings, runner.device, Scope())
    passes = _Passes(runner, steered)
    llm.reset_prefix_cache()
    with ExitStack() as hooks:
        for number, steering in enumerate(steerings):
            for block in steering.layers:
                hooks.callback(blocks[block].register_forward_hook(_hook(passes, number, steering, block)).remove)
        hooks.callback(blocks[-1].register_forward_hook(passes.end).remove)
        hooks.callback(llm.reset_prefix_cache)
        yield steered
    if not steered.n_forwards:
        warnings.warn("vLLM ran nothing while it was to be steered", SteeringNeverFired, stacklevel=4)


class _Passes:
    """Makes a step of each forward pass of vLLM, when its first steered block has run."""

    def __init__(self, runner: Any, steered: Steered) -> None:
        self._runner, self._steered = runner, steered
        self._step: Step | None = None

    def step(self, n_rows: int) -> Step | None:
        """Return the running pass: a row of one token for each token; None for passes that only measure memory."""
        if self._step is None:
            self._step = self._made(n_rows)
        return self._step

    def end(self, *_: Any) -> None:
        """Count the pass, after its last block."""
        if self._step is not None:
            self._steered.count(self._step)
        self._step = None

    def _made(self, n_rows: int) -> Step | None:
        from vllm.forward_context import get_forward_context

        metadata = get_forward_context().attn_metadata
        if metadata is None:
            return None
        of_layers = metadata[0] if isinstance(metadata, list) else metadata
        of_layer = next(iter(of_layers.values())) if isinstance(of_layers, dict) else of_layers
        starts = of_layer.query_start_loc.long()
        n_requests, lengths = len(starts) - 1, starts.diff()
        request = torch.arange(n_requests, device=starts.device).repeat_interleave(lengths)
        before = of_layer.seq_lens[:n_requests].long() - lengths  # tokens of the request in earlier passes
        positions = before[request] + torch.arange(len(request), device=starts.device) - starts[request]
        n_prompt = torch.as_tensor(self._runner.input_batch.num_prompt_tokens[:n_requests])
        n_prompt = n_prompt.to(starts.device).long()[request]
        n_pad = n_rows - len(request)  # vLLM pads the last rows of some batches
        return Step(
            ids=None,
            first_column=0,
            is_real=torch.nn.functional.pad(torch.ones_like(request, dtype=torch.bool), (0, n_pad))[:, None],
            known_positions=torch.nn.functional.pad(positions, (0, n_pad))[:, None],
            n_prompt=torch.nn.functional.pad(n_prompt, (0, n_pad)),
            n_new=1,
        )


def _hook(passes: _Passes, number: int, steering: Steering, layer: int) -> Callable[[nn.Module, Any, Any], Any]:
    """Make the hook by which a steering changes the output of a block."""
    operation = operation_named(steering.operation)
    unit, amount = steering.direction.unit(layer).detach(), steering.amount(layer)

    def hook(_: nn.Module, inputs: Any, output: Any) -> Any:
        wrote, stream = _parts(output, layer)
        step = passes.step(len(wrote))
        if step is None or steering.is_idle:
            return output
        total = wrote.float() if stream is None else wrote.float() + stream.float()
        before: Float[Tensor, "tokens 1 d_model"] = total[:, None]
        mask, scale = select_tokens(steering, before, step)
        own_amount: Any = amount if scale is None else (amount * scale[..., None]).float()
        change = (operation(before, unit.to(wrote.device), own_amount) - before)[:, 0]
        step.changes.append((number, layer, mask))
        changed = torch.where(mask, (wrote.float() + change).to(wrote.dtype), wrote)
        return changed if stream is None else (changed, stream)

    return hook


def _parts(output: Any, layer: int) -> tuple[Float[Tensor, "tokens d_model"], Float[Tensor, "tokens d_model"] | None]:
    """Return what a block of vLLM wrote, and the stream that it is still to be added to; None: it was added."""
    if isinstance(output, Tensor) and output.ndim == 2:
        return output, None
    if isinstance(output, tuple) and len(output) == 2 and all(isinstance(part, Tensor) for part in output):
        wrote, stream = output
        if wrote.ndim == 2 and wrote.shape == stream.shape:
            return wrote, stream
    raise InputError(
        f"block {layer} of this model returns {shown(output)} in vLLM, in which its residual stream is not known"
    )


def _runner(llm: Any) -> Any:
    """Return vLLM's runner of the model, in this process."""
    from vllm.v1.engine.core_client import InprocClient

    config = llm.llm_engine.vllm_config
    if not isinstance(llm.llm_engine.engine_core, InprocClient):
        raise InputError(
            "this vLLM runs its model in another process, where it cannot be steered from here: set the environment "
            "variable VLLM_ENABLE_V1_MULTIPROCESSING=0 before vllm is imported"
        )
    if not config.model_config.enforce_eager:
        raise InputError("vLLM compiles this model, and compiled code calls no hooks: open it with enforce_eager=True")
    if config.parallel_config.world_size != 1:
        raise InputError(f"vLLM runs this model on {config.parallel_config.world_size} devices; steering takes one")
    runners: list[Any] = []
    llm.collective_rpc(lambda worker: runners.append(worker.model_runner))
    return runners[0]


def _blocks(runner: Any) -> nn.ModuleList:
    """Return the blocks of the model that vLLM runs: its only list of as many modules as its settings state layers."""
    n_layers = int(runner.model_config.get_total_num_hidden_layers())
    lists = [part for part in runner.get_model().modules() if isinstance(part, nn.ModuleList) and len(part) == n_layers]
    if len(lists) != 1:
        raise InputError(f"of the modules of this model in vLLM, {len(lists)} are lists of {n_layers} blocks, not one")
    return lists[0]


def _check(steerings: Sequence[Steering], n_layers: int, d_model: int) -> None:
    for steering in steerings:
        name, width = steering.direction.behaviour, steering.direction.d_model
        if steering.site != BLOCK_OUTPUT:
            raise InputError(
                f"the direction for {name!r} is of the site {steering.site}; in vLLM blocks' outputs are steered"
            )
        if steering.mask is not None:
            raise InputError("a mask needs rows and columns, and vLLM packs requests: steer with when= or a controller")
        n_own = steering.direction.model.get("n_layers", n_layers)
        if width != d_model or n_own != n_layers or not all(0 <= layer < n_layers for layer in steering.layers):
            raise InputError(
                f"the direction for {name!r} is of a model of {n_own} blocks, {width} wide, and is to act at "
                f"{', '.join(map(str, steering.layers))}; vLLM runs one of {n_layers} blocks (0..{n_layers - 1}), "
                f"{d_model} wide"
            )
