"""Take the activations of a site from the module that computes them, and put others in their place.

A place is read by a hook on the input or the output of one module. Changing it changes the residual stream as a whole:
at hook_resid_mid, which is read as the input of the norm before the MLP, the change is made in what attention adds, so
that it reaches both what the MLP reads and what the MLP's output is added to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import local
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..rundir import InputError
from .sites import Site

# Receives the activations at a site. What it returns replaces them where they are changed, and counts for nothing
# where they are read.
SiteHook = Callable[[Float[Tensor, "batch position d_model"]], Float[Tensor, "batch position d_model"] | None]
Remove = Callable[[], None]
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


@dataclass(frozen=True, eq=False, kw_only=True)
class Place:
    """The module of one block that computes the activations of a site."""

    layer: int
    site: Site
    block: nn.Module
    module: nn.Module  # the block itself, or one inside
    is_input: bool = False  # the activations are what the module receives, and not what it returns
    is_flat: bool = False  # the module sees (batch x position, d_model)
    factor: float = 1.0  # what the block multiplies the module's output by before it is added
    columns: slice | None = None  # of a head: its part of the output projection's input
    added: Place | None = None  # the sum's second term, where the activations are the block's input + this

    def read(self, hook: SiteHook) -> Remove:
        """Let a hook see the activations in every forward pass.

        Args:
            hook: Receives the activations.

        Returns:
            What removes the hook.
        """

        def look(activations: Float[Tensor, "batch position d_model"]) -> None:
            hook(activations)

        return self._hooked(look)

    def change(self, hook: SiteHook, wrap: Wrap = _as_it_is) -> Remove:
        """Let a hook replace the activations in every forward pass.

        Args:
            hook: Receives the activations, and returns others in their place or None to leave them as they are.
            wrap: Makes what is registered with torch of each of the functions that call the hook.

        Returns:
            What removes the hook.
        """
        return self._hooked(hook, wrap) if self.added is None else self._sum_hooked(self.added, hook, wrap)

    def _hooked(self, hook: SiteHook, wrap: Wrap = _as_it_is) -> Remove:
        stream = _BlockInput()

        def of_input(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            tensor = stream_of(args, kwargs)
            changed = hook(self._shaped(tensor, stream))
            return None if changed is None else _with_stream(args, kwargs, changed.reshape(tensor.shape))

        def of_output(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
            tensor = first_tensor(output)
            activations = self._taken(tensor, args, stream)
            changed = hook(activations)
            if changed is None:
                return None
            if self.columns is not None:
                changed = self._shaped(tensor, stream) + (changed - activations) / self.factor
            elif self.factor != 1:
                changed = changed / self.factor
            return with_first(output, changed.reshape(tensor.shape))

        handles = [self.block.register_forward_pre_hook(wrap(stream.keep), with_kwargs=True)] if self.is_flat else []
        if self.is_input:
            handles.append(self.module.register_forward_pre_hook(wrap(of_input), with_kwargs=True))
        else:
            handles.append(self.module.register_forward_hook(wrap(of_output)))
        return lambda: _remove(handles)

    def _sum_hooked(self, added: Place, hook: SiteHook, wrap: Wrap) -> Remove:
        stream = _BlockInput()

        def change(activations: Float[Tensor, "batch position d_model"]) -> Tensor | None:
            total = stream.value + activations
            changed = hook(total)
            return None if changed is None else activations + (changed - total)

        keep = self.block.register_forward_pre_hook(wrap(stream.keep), with_kwargs=True)
        remove = added.change(change, wrap)

        def remove_both() -> None:
            remove()
            keep.remove()

        return remove_both

    def _taken(self, tensor: Tensor, args: tuple[Any, ...], stream: _BlockInput) -> Tensor:
        if self.columns is not None:
            weight: Any = self.module.weight
            if weight.is_meta:
                raise InputError(
                    f"{self.site} of block {self.layer} cannot be computed while the weights are offloaded: load the "
                    "model onto one device, or read attn.hook_out"
                )
            rows = weight.T if isinstance(self.module, nn.Linear) else weight  # (n_heads x d_head, d_model)
            activations = self._shaped(args[0][..., self.columns] @ rows[self.columns], stream)
        else:
            activations = self._shaped(tensor, stream)
        return activations if self.factor == 1 else activations * self.factor

    def _shaped(self, activations: Tensor, stream: _BlockInput) -> Float[Tensor, "batch position d_model"]:
        if self.is_flat:
            activations = activations.reshape(*stream.value.shape[:-1], activations.shape[-1])
        if activations.ndim != 3:
            raise InputError(
                f"{self.site.in_block(self.layer)} has shape {tuple(activations.shape)}, expected (batch, position, "
                "d_model): this architecture keeps several residual streams, which reasonlens does not read"
            )
        return activations


class _BlockInput(local):
    """The stream before a block in the pass that runs in this thread."""

    value: Tensor

    def keep(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keep what the block receives; a hook before its forward."""
        self.value = stream_of(args, kwargs)


def stream_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Return the residual stream from what a block, or a norm inside, is called with.

    Args:
        args: What it is given by position.
        kwargs: What it is given by name.

    Returns:
        The tensor, not copied.

    Raises:
        InputError: The first argument is no tensor and none is called hidden_states.
    """
    stream = args[0] if args else kwargs.get("hidden_states")
    if not isinstance(stream, Tensor):
        raise InputError(
            f"a decoder block was given {type(stream).__name__} in place of the residual stream: its sites cannot be "
            "found; read block outputs"
        )
    return stream


def first_tensor(output: Any) -> Tensor:
    """Return the tensor that a module puts out, or the first of several.

    Args:
        output: What a module returns.

    Returns:
        The tensor, not copied.

    Raises:
        InputError: There is none.
    """
    first = output[0] if isinstance(output, tuple | list) and output else output
    if not isinstance(first, Tensor):
        raise InputError(f"a module returned {type(first).__name__}, expected a tensor or a tuple of tensors")
    return first


def _with_stream(args: tuple[Any, ...], kwargs: dict[str, Any], stream: Tensor) -> tuple[tuple[Any, ...], Any]:
    return ((stream, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": stream})


def with_first(output: Any, first: Tensor) -> Any:
    """Put a tensor in the place of the one that `first_tensor` returns.

    Args:
        output: What a module returns.
        first: The tensor.

    Returns:
        The output of the module's kind.
    """
    return type(output)((first, *output[1:])) if isinstance(output, tuple | list) else first


def _remove(handles: list[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()
