"""Install the stand-in for the rest of a process, as "cuda" or as an accelerator with a name of its own.

`cuda` reaches what is written for CUDA alone: pinned memory, streams, events, budgets, memory that runs out. It has no
backward pass, for which torch asks the accelerator that it was built for. `rehearsed` is torch's device for backends in
Python: backward passes run, what is written for CUDA alone does not. Both count waits and refuse mixed devices.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from . import elsewhere
from .machine import Lane, Machine

CUDA, OTHER = "cuda", "rehearsed"
BYTES = 2**32  # of a device whose capacity nobody set
CUDA_GUARD, META_GUARD = 1, 14  # places in torch's registry of device guards

machine: Machine | None = None  # None: this process has none


def install(kind: str, n_devices: int = 2) -> Machine:
    """Make `n_devices` of a kind; everything in every thread may use them from now on."""
    global machine
    if kind == OTHER:
        _register(n_devices)
    made = machine = Machine(kind, n_devices)
    elsewhere.use(made)
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # a parameter must become a tensor of that class
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=) makes a CPU tensor first, and moves it
    if kind == CUDA:
        _stand_in_for_cuda(made)
    elsewhere.MODE.__enter__()
    elsewhere.INDICES.__enter__()
    run = threading.Thread.run

    def run_with_modes(thread: threading.Thread) -> None:
        with elsewhere.MODE, elsewhere.INDICES:
            run(thread)

    threading.Thread.run = run_with_modes  # type: ignore[method-assign]
    return made


def _register(n_devices: int) -> None:
    import torch.utils.backend_registration as registration

    class Backend(registration._DummyBackendModule):  # type: ignore[misc]
        def device_count(self) -> int:
            return n_devices

        def synchronize(self, device: object = None) -> None:
            if machine is not None:
                machine.arrive()

        def empty_cache(self) -> None:
            pass

        def get_rng_state(self, device: object = None) -> torch.Tensor:
            return torch.empty(0, dtype=torch.uint8)

        def set_rng_state(self, state: object, device: object = None) -> None:
            pass

    registration._setup_privateuseone_for_python_backend(OTHER, backend_module=Backend())


class Event:
    """Marks how far a stream has come."""

    def __init__(self, *_: object, **__: object) -> None:
        self.done: dict[Lane, int] = {}

    def record(self, stream: Stream | None = None) -> None:
        self.done = (stream or current_stream()).lane.mark()

    def wait(self, stream: Stream | None = None) -> None:
        (stream or current_stream()).lane.learn(self.done)

    def synchronize(self) -> None:
        _of_cuda().wait_for(self.done)

    def query(self) -> bool:
        return True

    def elapsed_time(self, other: Event) -> float:
        return 1.0


class Stream:
    """A stream of a device; work on it has an order of its own."""

    def __init__(self, device: object = None, priority: int = 0, *, lane: Lane | None = None) -> None:
        self.lane = lane or _of_cuda().new_lane(_device(device))
        self.device = self.lane.device

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and other.lane is self.lane

    def __hash__(self) -> int:
        return id(self.lane)

    def record_event(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        self.lane.learn(event.done)

    def wait_stream(self, stream: Stream) -> None:
        self.lane.learn(stream.lane.mark())

    def synchronize(self) -> None:
        _of_cuda().wait("stream", self.lane)

    def query(self) -> bool:
        return True


def current_stream(device: object = None) -> Stream:
    return Stream(lane=_of_cuda().lane(_device(device)))


def default_stream(device: object = None) -> Stream:
    return Stream(lane=_of_cuda().default_lane(_device(device)))


@contextmanager
def stream(chosen: Stream | None) -> Iterator[None]:
    if chosen is None:
        yield
        return
    with _of_cuda().on(chosen.lane):
        yield


def _of_cuda() -> Machine:
    assert machine is not None
    return machine


def _device(device: object = None) -> torch.device:
    if device is None:
        return torch.device(CUDA, 0)
    if isinstance(device, int):
        return torch.device(CUDA, device)
    return torch.device(CUDA, torch.device(device).index or 0)  # type: ignore[arg-type]


def _stand_in_for_cuda(made: Machine) -> None:
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    guards = (ctypes.c_void_p * 22).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    guards[CUDA_GUARD] = guards[META_GUARD]  # which does nothing; a torch built for CUDA has another

    def capacity() -> int:
        return BYTES if made.capacity is None else made.capacity

    def set_fraction(share: float, device: object = None) -> None:
        made.capacity = None if share >= 1 else int(share * capacity())

    def free_and_total(device: object = None) -> tuple[int, int]:
        return capacity() - made.held[_device(device)], capacity()

    def reset_peak(device: object = None) -> None:
        made.peak[_device(device)] = made.held[_device(device)]

    def synchronize(device: object = None) -> None:
        made.count("synchronize")
        made.arrive()

    def set_sync_debug_mode(mode: int | str) -> None:
        made.on_wait = mode if isinstance(mode, int) else ("default", "warn", "error").index(mode)

    def properties(device: object = None) -> Any:
        return SimpleNamespace(name="stand-in", total_memory=capacity(), major=9, minor=0, multi_processor_count=1)

    def held(device: object = None) -> int:
        return made.held[_device(device)]

    replacements: dict[str, Any] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "_lazy_init": lambda: None,
        "device_count": lambda: made.n_devices,
        "current_device": lambda: 0,
        "get_device_name": lambda device=None: "stand-in",
        "get_device_capability": lambda device=None: (9, 0),
        "get_device_properties": properties,
        "is_bf16_supported": lambda including_emulation=True: True,
        "Event": Event,
        "Stream": Stream,
        "stream": stream,
        "current_stream": current_stream,
        "default_stream": default_stream,
        "synchronize": synchronize,
        "set_sync_debug_mode": set_sync_debug_mode,
        "get_sync_debug_mode": lambda: made.on_wait,
        "empty_cache": lambda: None,
        "memory_allocated": held,
        "memory_reserved": held,
        "max_memory_allocated": lambda device=None: made.peak[_device(device)],
        "reset_peak_memory_stats": reset_peak,
        "mem_get_info": free_and_total,
        "set_per_process_memory_fraction": set_fraction,
        "manual_seed_all": lambda seed: None,
        "get_rng_state": lambda device=None: torch.empty(0, dtype=torch.uint8),
        "set_rng_state": lambda state, device=None: None,
    }
    for name, value in replacements.items():
        setattr(torch.cuda, name, value)
