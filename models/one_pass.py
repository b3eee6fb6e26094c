"""Run one forward pass of a model with hooks on its blocks that belong to this pass alone.

1. One pass of reasonlens at a time runs on a model, in whatever threads: each holds the model's lock, and only while it
   runs. A thread that holds it may run a pass inside another one, also of another model (`pass_lock.py`).
2. The hooks act in their own thread. A pass of another thread that does not ask for the lock (a user's own `generate`)
   runs as if there were none.
3. It runs in evaluation mode, also where the model is being trained.
4. Afterwards each hooked block must have run exactly once. A block that was skipped has no activations, and one that
   ran twice has two.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import Lock, get_ident
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from ..rundir import InputError
from .handle import LanguageModel
from .pass_lock import PassLock
from .place import Place, SiteHook

# Receives a block, its inputs and its output; what it returns, unless None, replaces the output.
BlockHook = Callable[[nn.Module, Any, Any], Any]

_locks: WeakKeyDictionary[nn.Module, PassLock] = WeakKeyDictionary()
_locks_lock = Lock()


@contextmanager
def one_pass(
    model: LanguageModel,
    hooks: Mapping[int, BlockHook] | None = None,
    readers: Mapping[Place, SiteHook] | None = None,
) -> Iterator[None]:
    """Hold the model for one forward pass of this thread, with hooks on the outputs of some blocks.

    Args:
        model: The model that is run inside the context.
        hooks: 0-based block -> what receives its output, and may replace it.
        readers: Place of a site (`find_place.py`) -> what receives the activations there.

    Yields:
        Nothing.

    Raises:
        InputError: A hooked block or place did not run, or ran several times; or two threads would wait for each
            other's model.
    """
    n_runs: dict[int | Place, int] = dict.fromkeys([*(hooks or {}), *(readers or {})], 0)
    with _lock_of(model), ExitStack() as handles:
        for layer, hook in (hooks or {}).items():
            own = _in_this_thread(hook, layer, n_runs)
            handles.callback(model.blocks[layer].register_forward_hook(own).remove)
        for place, reader in (readers or {}).items():
            handles.callback(place.read(_in_this_thread(reader, place, n_runs)))
        handles.enter_context(_evaluating(model.model))
        yield
    skipped = [key for key, n in n_runs.items() if not n]
    if skipped:
        raise skipped_blocks(model.name, sorted({key if isinstance(key, int) else key.layer for key in skipped}))
    repeated = sorted({key if isinstance(key, int) else key.layer for key, n in n_runs.items() if n > 1})
    if repeated:
        raise InputError(
            f"block {_listed(repeated)} of {model.name} ran several times in one forward pass, so that its output is "
            "not one residual stream; choose other layers"
        )


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Turn training mode off, in which dropout would change what is read, and back on afterwards."""
    if not module.training:
        yield
        return
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def skipped_blocks(name: str, layers: list[int]) -> InputError:
    """Make the error that some blocks of a model did not run.

    Args:
        name: The model's name.
        layers: The 0-based blocks.

    Returns:
        The error.
    """
    blocks = f"block {layers[0]}" if len(layers) == 1 else f"blocks {_listed(layers)}"
    return InputError(
        f"{blocks} of {name} did not run on this text (cross-attention without an image, early exit, or dropped "
        "layers), so that there is no output there; name layers without them (layers=, --layers)"
    )


def _listed(layers: list[int]) -> str:
    return ", ".join(map(str, layers[:12])) + (f" and {len(layers) - 12} more" if len(layers) > 12 else "")


def _forget_locks() -> None:
    """Begin with free locks in a forked process: the thread that held one is not in it."""
    global _locks_lock
    _locks.clear()
    _locks_lock = Lock()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_forget_locks)


def _lock_of(model: LanguageModel) -> PassLock:
    """Return the lock of the model object that a handle holds; several handles may hold the same."""
    with _locks_lock:
        return _locks.setdefault(model.model, PassLock())


def _in_this_thread(hook: Callable[..., Any], key: int | Place, n_runs: dict[int | Place, int]) -> Callable[..., Any]:
    thread = get_ident()

    def own(*arguments: Any) -> Any:
        if get_ident() != thread:
            return None
        n_runs[key] += 1
        return hook(*arguments)

    return own
