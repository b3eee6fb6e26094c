"""Compile blocks with torch.compile, for the passes in which that is safe.

Each block's forward is compiled separately, so that hooks still run between blocks and one compilation serves all
blocks of a shape. Only passes without a KV cache use it. It costs half a minute once, and changes results by rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from ...rundir import InputError


class CompiledBlocks:
    """The compiled forwards of `blocks`, which replace the plain ones inside `used`."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        self._blocks = list(blocks)
        self._plain = [block.forward for block in self._blocks]
        self._compiled = [torch.compile(forward, dynamic=True) for forward in self._plain]

    @contextmanager
    def used(self) -> Iterator[None]:
        """Use the compiled forwards inside the block; raise InputError if compiling fails."""
        for block, forward in zip(self._blocks, self._compiled, strict=True):
            block.forward = forward
        # torch counts recompilations by code, which all blocks share, and would give up on the ninth block.
        limit = 8 * len(self._blocks) + 8
        try:
            with torch._dynamo.config.patch(recompile_limit=limit, accumulated_recompile_limit=8 * limit):
                yield
        except torch._dynamo.exc.TorchDynamoException as error:
            first = str(error).strip().splitlines()[0]
            raise InputError(f"torch.compile failed ({first:.200}); leave compile out") from error
        finally:
            for block, forward in zip(self._blocks, self._plain, strict=True):
                block.forward = forward
