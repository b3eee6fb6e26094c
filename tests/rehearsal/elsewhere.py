"""Tensors that say they are on an accelerator and compute on the CPU.

Every operation on one comes through `dispatch`: operands of two devices raise what torch raises, work goes to the
current stream, the CPU computes, results are wrapped. It leans on private parts of torch, of the version that
constraints.txt names. What it cannot show: rounding, kernels and speed of a GPU, and libraries that look at addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from .machine import Key, Machine, key_of

MIXED = "Expected all tensors to be on the same device, but found at least two devices, {} and {}! (when {} was run)"
INDEX = "indices should be either on cpu or on the same device as the indexed tensor ({})"
INDEXING = {
    f"aten::{name}"
    for name in ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put")
}
# What has to know numbers on the device before it can go on.
WAITING = {
    "aten::_local_scalar_dense": "number",
    "aten::is_nonzero": "number",
    "aten::equal": "equal",
    "aten::nonzero": "nonzero",
    "aten::masked_select": "masked_select",
    "aten::_unique2": "unique",
    "aten::unique_consecutive": "unique",
    "aten::unique_dim": "unique",
    "aten::bincount": "bincount",
    "aten::_linalg_check_errors": "linalg check",
    "aten::linalg_eigh": "eigh",
    "aten::_linalg_eigh": "eigh",
    "aten::repeat_interleave": "repeat_interleave",
}
PINNED = "_is_pinned_by_stand_in"

_machine: Machine


class Elsewhere(Tensor):
    """A tensor on the stand-in; its numbers are in `raw`, on the CPU."""

    raw: Tensor

    @staticmethod
    def __new__(cls, raw: Tensor, device: torch.device | None = None, requires_grad: bool = False) -> Elsewhere:
        if isinstance(raw, Elsewhere):  # as accelerate makes a parameter anew
            return raw.detach().requires_grad_(requires_grad)
        made = Tensor._make_wrapper_subclass(
            cls,
            raw.size(),
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            layout=raw.layout,
            device=device,
            requires_grad=False,
        )
        made.raw = raw
        _machine.hold(made, raw, device)
        return made

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"Elsewhere({self.raw}, device={self.device})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Elsewhere:
        if id(self) not in memo:
            copied = memo[id(self)] = self.detach().clone().requires_grad_(self.requires_grad)
            if hasattr(self, "_is_param"):  # by which torch knows a parameter
                copied._is_param = True
        return memo[id(self)]

    def tolist(self) -> Any:  # torch refuses it of subclasses
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        if force:
            return self.detach().cpu().numpy()
        raise TypeError(
            f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
            "memory first."
        )

    def __array__(self, dtype: object = None) -> Any:
        return self.numpy()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.raw.untyped_storage()

    def data_ptr(self) -> int:
        return self.raw.data_ptr()

    def record_stream(self, stream: Any) -> None:
        _machine.record(key_of(self.raw, self.device), stream.lane)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        return dispatch(func, args, kwargs or {})


class DispatchMode(TorchDispatchMode):
    """Sees operations that make tensors, too."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        return dispatch(func, args, kwargs or {})


class IndexMode(TorchFunctionMode):
    """Makes "cuda:0" of "cuda": torch asks which one is current, and what stands in for its guard does not know."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.device:
            is_number = len(args) == 1 and isinstance(args[0], int)
            return torch.device(_machine.kind, args[0]) if is_number else func(*args, **kwargs)
        if isinstance(kwargs.get("device"), int):
            kwargs = kwargs | {"device": torch.device(_machine.kind, kwargs["device"])}
        if func is Tensor.to and len(args) > 1 and type(args[1]) is int:
            args = (args[0], torch.device(_machine.kind, args[1]), *args[2:])
        return func(*map(_indexed, args), **{name: _indexed(value) for name, value in kwargs.items()})


def _indexed(value: Any) -> Any:
    if isinstance(value, torch.device) and _is_ours(value):
        return _placed(value)
    return f"{value}:0" if isinstance(value, str) and value == _machine.kind else value


def _is_ours(device: object) -> bool:
    return isinstance(device, torch.device) and device.type == _machine.kind


def _placed(device: torch.device) -> torch.device:
    return torch.device(_machine.kind, 0 if device.index is None else device.index)


def use(machine: Machine) -> None:
    """Let tensors be on the devices of `machine`, once a process."""
    global _machine
    _machine = machine


def dispatch(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run one operation: on the CPU as it is, or on the stand-in if an operand or the device asked for is there."""
    if not any(isinstance(value, Elsewhere) or _is_ours(value) for value in _leaves((args, kwargs))):
        return _on_cpu(func, args, kwargs)
    if _is_made_of_others(func.name()):
        with MODE:
            parts = func.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
    if torch.is_inference_mode_enabled():  # the wrapper of a view of an ordinary tensor must be an ordinary one, too
        with torch.inference_mode(False), torch.no_grad():
            return _on_device(func, args, kwargs)
    return _on_device(func, args, kwargs)


@cache
def _is_made_of_others(name: str) -> bool:
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    return has_kernel(name, "CompositeImplicitAutograd") and not has_kernel(name, "CompositeExplicitAutograd")


def _leaves(value: Any) -> Iterator[Any]:
    """List what is in nested tuples, lists and dictionaries (torch's own way takes most of a test's time)."""
    if isinstance(value, tuple | list):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _leaves(part)
    else:
        yield value


def _each(change: Callable[[Any], Any], value: Any) -> Any:
    """Change what is in nested tuples, lists and dictionaries."""
    if isinstance(value, tuple | list):
        parts = [_each(change, part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {name: _each(change, part) for name, part in value.items()}
    return change(value)


def _on_cpu(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = func._schema.name
    if name == "aten::is_pinned":
        return getattr(args[0], PINNED, False)
    if name in ("aten::_pin_memory", "aten::pin_memory"):
        with _disable_current_modes():
            return _pinned(args[0].clone())
    is_pinned = kwargs.pop("pin_memory", None)
    result = func(*args, **kwargs)
    return _pinned(result) if is_pinned else result


def _pinned(tensor: Tensor) -> Tensor:
    setattr(tensor, PINNED, True)
    return tensor


def _on_device(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = func._schema.name
    if name == "aten::copy_":
        return _copy(func, *args, **kwargs)
    if name == "aten::_to_copy":
        return _to_copy(func, *args, **kwargs)
    if name == "aten::_fused_sdp_choice":
        return 0
    if name == "aten::is_pinned":
        return False
    flat = list(_leaves((args, kwargs)))
    ours = [value for value in flat if isinstance(value, Elsewhere)]
    devices = [value for value in flat if isinstance(value, torch.device)]
    only_shapes = name.endswith("_like") or "::new_" in name  # of the operand, which may be anywhere
    here = None if only_shapes and devices else _device_of_operands(name, args, flat, ours)
    generator = kwargs.get("generator")
    if generator is not None and generator.device.type == "cpu":
        raise RuntimeError(f"Expected a '{_machine.kind}' device type for generator but found 'cpu'")
    to = here if not devices else _placed(devices[0]) if _is_ours(devices[0]) else None
    if to is None:
        raise NotImplementedError(f"{name} from {here} to {devices[0]}")
    lane = _machine.lane(to)
    _wait_if_needed(name, args, kwargs, ours, lane)
    keys = {_key(tensor) for tensor in ours}
    _machine.launch(lane, keys, name)
    raw_kwargs = _each(_raw, kwargs)
    if "pin_memory" in raw_kwargs:
        raw_kwargs["pin_memory"] = None
    results = func(*_each(_raw, args), **raw_kwargs)
    wrapper_of = {id(tensor.raw): tensor for tensor in ours}

    def wrapped(result: Any) -> Any:
        if not isinstance(result, Tensor):
            return result
        known = wrapper_of.get(id(result))
        if known is not None and (known.size() != result.size() or known.stride() != result.stride()):
            raise NotImplementedError(f"{name} changed the shape of a tensor in place")
        output = Elsewhere(result, to) if known is None else known
        if known is not None or _key(output) not in keys:  # no view of an operand
            _machine.wrote(lane, _key(output))
        return output

    return _each(wrapped, results)


def _raw(value: Any) -> Any:
    return (
        value.raw if isinstance(value, Elsewhere) else torch.device("cpu") if isinstance(value, torch.device) else value
    )


def _key(tensor: Elsewhere) -> Key:
    return key_of(tensor.raw, tensor.device)


def _device_of_operands(
    name: str, args: tuple[Any, ...], flat: Sequence[Any], ours: Sequence[Elsewhere]
) -> torch.device | None:
    """Return the device that all operands share; numbers may be on the CPU, and indices of what is elsewhere."""
    operands = [value for value in flat if isinstance(value, Tensor)]
    here = ours[0].device if ours else None
    if name in INDEXING:
        base = args[0]
        if not isinstance(base, Elsewhere):
            raise RuntimeError(INDEX.format("cpu"))
        here = base.device
        for index in (value for value in args[1] if isinstance(value, Tensor)):
            if not isinstance(index, Elsewhere):
                _machine.wait("index from the host", _machine.lane(here))
            elif index.device != here:
                raise RuntimeError(INDEX.format(here))
        operands = [base, *(value for value in args[2:3] if isinstance(value, Tensor))]
    for operand in operands:
        if operand.device != here and (isinstance(operand, Elsewhere) or operand.dim() > 0):
            raise RuntimeError(MIXED.format(here, operand.device, name))
    return here


def _wait_if_needed(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], ours: Sequence[Elsewhere], lane: Any
) -> None:
    if not ours:
        return
    if name in INDEXING:
        is_mask = any(isinstance(value, Tensor) and value.dtype in (torch.bool, torch.uint8) for value in args[1])
        is_fill = "put" in name and isinstance(args[2], Tensor) and args[2].numel() == 1
        if is_mask and not is_fill:
            _machine.wait("index by a mask", lane)
    elif name in WAITING and not (name == "aten::repeat_interleave" and kwargs.get("output_size") is not None):
        _machine.wait(WAITING[name], lane)


def _copy(func: Any, target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    if isinstance(source, Elsewhere) and not isinstance(target, Elsewhere):
        lane = _machine.lane(source.device)
        _machine.launch(lane, [_key(source)], "a copy to the host")
        if non_blocking and getattr(target, PINNED, False):
            with _disable_current_modes():
                numbers = source.raw.to(target.dtype).expand(target.shape)
            _machine.send(target, numbers, lane, _key(source))
            return target
        if target.numel():
            _machine.wait("to the host", lane)
        func(target, source.raw)
        return target
    assert isinstance(target, Elsewhere)
    lane = _machine.lane(target.device)
    if isinstance(source, Elsewhere):
        lane.learn(_machine.lane(source.device).mark() if source.device != target.device else {})
        _machine.launch(lane, [_key(source)], "a copy")
    else:
        _machine.launch(lane, [], "a copy from the host")
        if source.numel() and not (non_blocking and getattr(source, PINNED, False)):
            _machine.wait("from the host", lane)
    func(target.raw, source.raw if isinstance(source, Elsewhere) else source)
    _machine.wrote(lane, _key(target))
    return target


def _to_copy(
    func: Any, source: Tensor, *, device: torch.device | None = None, non_blocking: bool = False, **options: Any
) -> Tensor:
    options.pop("pin_memory", None)
    to = source.device if device is None else device
    raw = source.raw if isinstance(source, Elsewhere) else source
    result: Tensor = func(raw, **options)
    if _is_ours(to):
        to = _placed(to)
        lane = _machine.lane(to)
        if isinstance(source, Elsewhere):
            if source.device != to:
                lane.learn(_machine.lane(source.device).mark())
            _machine.launch(lane, [_key(source)], "a copy")
        else:
            _machine.launch(lane, [], "a copy from the host")
            if result.numel() and not (non_blocking and getattr(source, PINNED, False)):
                _machine.wait("from the host", lane)
        made = Elsewhere(result, to)
        _machine.wrote(lane, _key(made))
        return made
    assert isinstance(source, Elsewhere)
    lane = _machine.lane(source.device)
    _machine.launch(lane, [_key(source)], "a copy to the host")
    if non_blocking:  # torch makes pinned memory for it, and does not wait
        _machine.send(_pinned(result), result, lane, _key(source))
    elif result.numel():
        _machine.wait("to the host", lane)
    return result


MODE = DispatchMode()
INDICES = IndexMode()
