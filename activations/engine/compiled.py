"""Compile blocks with torch.compile, for the passes in which that is safe.

Each block's forward is compiled separately, so that hooks still run between blocks and one compilation serves all
blocks of a shape. Only passes without a KV cache use it, and only those of the thread that asked: another thread's run
the plain blocks. It costs half a minute once, and changes results by rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import torch

from ...models import LanguageModel
from ...models.one_pass import one_pass
from ...rundir import InputError


class CompiledBlocks:
    """The compiled forwards of the blocks up to `last_layer`, which replace the plain ones inside `used`."""

    def __init__(self, model: LanguageModel, last_layer: int) -> None:
        self._model, self._blocks = model, list(model.blocks)[: last_layer + 1]
        with one_pass(model):  # not while another thread has replaced the forwards
            self._plain = [block.forward for block in self._blocks]
        self._compiled = [torch.compile(forward, dynamic=True) for forward in self._plain]

    @contextmanager
    def used(self) -> Iterator[None]:
        """Use the compiled forwards for one pass of this thread; raise InputError if compiling fails."""
        # torch counts recompilations by code, which all blocks share, and would give up on the ninth block.
        limit = 8 * len(self._blocks) + 8
        with one_pass(self._model):
            for block, plain, compiled in zip(self._blocks, self._plain, self._compiled, strict=True):
                block.forward = _in_this_thread(compiled, plain)
            try:
                with torch._dynamo.config.patch(recompile_limit=limit, accumulated_recompile_limit=8 * limit):
                    yield
            except torch._dynamo.exc.TorchDynamoException as error:
                first = str(error).strip().splitlines()[0]
                raise InputError(f"torch.compile failed ({first:.200}); leave compile out") from error
            finally:
                for block, plain in zip(self._blocks, self._plain, strict=True):
                    block.forward = plain


def _in_this_thread(compiled: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    thread = get_ident()

    def forward(*inputs: Any, **options: Any) -> Any:
        return (compiled if get_ident() == thread else plain)(*inputs, **options)

    return forward
