"""Record what the modules of a block receive and return in a forward pass, for `block_structure.py`."""

from __future__ import annotations

from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn

from .block_structure import BlockStructure, Event, structure_of
from .blocks import block_output
from .parts import is_in_attention, is_in_mlp
from .place import stream_of


class BlockWatch:
    """Records what the modules of a block receive and return, and finds its structure when the block is done."""

    def __init__(
        self, layer: int, block: nn.Module, factors: tuple[float, ...], structures: dict[int, BlockStructure]
    ) -> None:
        self._layer, self._factors, self._structures = layer, factors, structures
        self._thread = get_ident()
        self._events: list[Event] = []
        self._before: Tensor | None = None
        self._shape = torch.Size()
        self._handles = [block.register_forward_pre_hook(self._begin, with_kwargs=True)]
        for path, module in block.named_modules():
            if path:
                kinds = {"is_attention": is_in_attention(block, path), "is_mlp": is_in_mlp(block, path)}
                received, returned = self._recorders(path, kinds)
                self._handles.append(module.register_forward_pre_hook(received, with_kwargs=True))
                self._handles.append(module.register_forward_hook(returned))
        self._handles.append(block.register_forward_hook(self._end))

    def close(self) -> None:
        """Remove all hooks."""
        for handle in self._handles:
            handle.remove()

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if get_ident() == self._thread:
            self._shape = stream_of(args, kwargs).shape
            self._before = self._values(stream_of(args, kwargs))

    def _end(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if get_ident() != self._thread or self._before is None:
            return
        after = block_output(output)
        eps = torch.finfo(after.dtype).eps
        values = self._values(after)
        if values is not None:
            self._structures[self._layer] = structure_of(self._events, self._before, values, eps, self._factors)
        self._events, self._before = [], None

    def _recorders(self, path: str, kinds: dict[str, bool]) -> tuple[Any, Any]:
        def record(module: nn.Module, tensor: object, is_input: bool) -> None:
            values = self._values(tensor) if get_ident() == self._thread and self._before is not None else None
            if values is not None and isinstance(tensor, Tensor):
                event = Event(
                    path=path, module=module, values=values, is_input=is_input, is_flat=tensor.ndim == 2, **kinds
                )
                self._events.append(event)

        def received(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            record(module, args[0] if args else kwargs.get("hidden_states"), True)

        def returned(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            record(module, output[0] if isinstance(output, tuple | list) and output else output, False)

        return received, returned

    def _values(self, tensor: object) -> Tensor | None:
        """Copy a tensor that has the residual stream's shape, or that with its texts put one after the other."""
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            return None
        if tensor.shape not in (self._shape, (self._shape[:-1].numel(), *self._shape[-1:])):
            return None
        return tensor.detach().to("cpu", torch.float64, copy=True).reshape(-1, tensor.shape[-1])
