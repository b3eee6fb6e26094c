"""Keep the books of an accelerator that is none: memory, streams, copies under way, and waits of the host.

1. Memory: each storage counts once on its device, from its first tensor to its last; beyond `capacity` an allocation
   raises OutOfMemoryError.
2. Streams: every operation has a tick on its stream. Work on one stream that reads what another wrote, without an event
   between them, is an error, where a GPU would sometimes read old numbers.
3. Copies: until its event, the target of an asynchronous copy to the host holds NaN. It keeps them if the source was
   freed before the copy's stream was recorded on it, since a GPU may have given the memory to somebody else.
4. Waits: each time the host would wait for the device, the function of reasonlens that asked for it is counted.
"""

from __future__ import annotations

import sys
import threading
import warnings
import weakref
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

import torch
from torch.utils._python_dispatch import _disable_current_modes

Key = tuple[torch.device, int]  # a storage on its device


@dataclass(eq=False)
class Lane:
    """The order of one stream: its clock, and how far it waited for others."""

    device: torch.device
    number: int
    clock: int = 0
    seen: dict[Lane, int] = field(default_factory=dict)

    def is_covered(self, lane: Lane, tick: int) -> bool:
        """Whether what `lane` did up to `tick` is done before what comes next here."""
        return lane is self or self.seen.get(lane, 0) >= tick

    def learn(self, seen: dict[Lane, int]) -> None:
        """Wait for other streams up to some ticks."""
        for lane, tick in seen.items():
            self.seen[lane] = max(self.seen.get(lane, 0), tick)

    def mark(self) -> dict[Lane, int]:
        """Return all that is done when what was launched here so far is done."""
        return self.seen | {self: self.clock}


@dataclass(eq=False)
class Copy:
    """An asynchronous copy to the host that no event has confirmed."""

    lane: Lane
    tick: int
    target: torch.Tensor
    numbers: torch.Tensor
    source: Key | None  # None: freed
    is_lost: bool = False


@dataclass
class _Held:
    n_tensors: int
    n_bytes: int
    storage: torch.UntypedStorage  # alive, so that its address is nobody else's
    lane: Lane
    wrote: tuple[Lane, int]
    recorded: set[Lane] = field(default_factory=set)


class Machine:
    """The books of all devices of one kind."""

    def __init__(self, kind: str, n_devices: int) -> None:
        self.kind, self.n_devices = kind, n_devices
        self.capacity: int | None = None  # bytes of each device
        self.on_wait = 0  # what a wait does, as in torch's debug mode: 0 nothing, 1 warns, 2 raises
        self.waits: Counter[tuple[str, str]] = Counter()  # (function of reasonlens, reason)
        self.lines: Counter[tuple[str, str]] = Counter()  # (line of reasonlens < line of a library, reason)
        self.copies: Counter[str] = Counter()  # to the host, by kind of stream
        self.held: Counter[torch.device] = Counter()
        self.peak: Counter[torch.device] = Counter()
        self._storages: dict[Key, _Held] = {}
        self._under_way: list[Copy] = []
        self._default = {index: Lane(torch.device(kind, index), 0) for index in range(n_devices)}
        self._n_lanes = 1
        self._current = threading.local()
        self._lock = threading.RLock()

    # streams

    def default_lane(self, device: torch.device) -> Lane:
        return self._default[device.index or 0]

    def new_lane(self, device: torch.device) -> Lane:
        self._n_lanes += 1
        return Lane(device, self._n_lanes)

    def lane(self, device: torch.device) -> Lane:
        """Return the current stream of this thread on a device."""
        chosen: dict[int, Lane] = self._current.__dict__
        return chosen.get(device.index or 0, self.default_lane(device))

    @contextmanager
    def on(self, lane: Lane) -> Iterator[None]:
        """Launch what this thread does on `lane.device` there."""
        chosen, index = self._current.__dict__, lane.device.index or 0
        before = chosen.get(index)
        chosen[index] = lane
        try:
            yield
        finally:
            if before is None:
                del chosen[index]
            else:
                chosen[index] = before

    # memory

    def hold(self, tensor: torch.Tensor, raw: torch.Tensor, device: torch.device) -> None:
        """Count the storage of a new tensor on `device`."""
        key = key_of(raw, device)
        n_bytes, lane = raw.untyped_storage().nbytes(), self.lane(device)
        with self._lock:
            known = self._storages.get(key)
            if known is None:
                if self.capacity is not None and self.held[device] + n_bytes > self.capacity:
                    raise torch.OutOfMemoryError(
                        f"CUDA out of memory (stand-in): {self.held[device] + n_bytes} of {self.capacity} bytes"
                    )
                self._storages[key] = _Held(1, n_bytes, raw.untyped_storage(), lane, (lane, lane.clock))
                self.held[device] += n_bytes
                self.peak[device] = max(self.peak[device], self.held[device])
            else:
                known.n_tensors += 1
        weakref.finalize(tensor, self._let_go, key)

    def _let_go(self, key: Key) -> None:
        with self._lock:
            held = self._storages[key]
            held.n_tensors -= 1
            if held.n_tensors:
                return
            del self._storages[key]
            self.held[key[0]] -= held.n_bytes
            for copy in self._under_way:
                if copy.source == key:
                    copy.source = None  # its address may be another storage's from now on
                    copy.is_lost = copy.lane is not held.lane and copy.lane not in held.recorded

    def launch(self, lane: Lane, reads: Collection[Key], what: str) -> None:
        """Put an operation on a stream; what it reads must be there."""
        with self._lock:
            lane.clock += 1
            for key in reads:
                held = self._storages.get(key)
                if held is not None and not lane.is_covered(*held.wrote):
                    raise RuntimeError(
                        f"{what} on stream {lane.number} of {lane.device} reads what stream {held.wrote[0].number} "
                        "writes, and has not waited for it"
                    )

    def wrote(self, lane: Lane, key: Key) -> None:
        """Note that the last operation of a stream wrote a storage."""
        with self._lock:
            if key in self._storages:
                self._storages[key].wrote = lane, lane.clock

    def record(self, key: Key, lane: Lane) -> None:
        """Keep a storage until what `lane` does now is done (`Tensor.record_stream`)."""
        with self._lock:
            if key in self._storages:
                self._storages[key].recorded.add(lane)

    # copies and waits

    def send(self, target: torch.Tensor, numbers: torch.Tensor, lane: Lane, source: Key) -> None:
        """Begin a copy to the host; until it arrives, the target holds NaN, or 77 if it is of integers."""
        with _disable_current_modes(), torch.no_grad():
            numbers = numbers.detach().clone()
            target.detach().fill_(float("nan") if target.is_floating_point() else 77)
        with self._lock:
            self.copies["default" if lane is self.default_lane(lane.device) else "side"] += 1
            self._under_way.append(Copy(lane, lane.clock, target.detach(), numbers, source))

    def arrive(self, done: dict[Lane, int] | None = None) -> None:
        """Complete copies: all of them, or those that are done when some streams have come to some ticks."""
        with self._lock:
            remaining = []
            for copy in self._under_way:
                if done is not None and done.get(copy.lane, 0) < copy.tick:
                    remaining.append(copy)
                elif not copy.is_lost:
                    with _disable_current_modes(), torch.no_grad():
                        copy.target.copy_(copy.numbers)
            self._under_way = remaining

    def wait(self, reason: str, lane: Lane) -> None:
        """Let the host wait for all that a stream has to do."""
        self.count(reason)
        self.arrive(lane.mark())

    def wait_for(self, done: dict[Lane, int]) -> None:
        """Let the host wait for an event. It counts where nothing is queued behind it, so that the device will idle."""
        lanes = [lane for lane in done if lane is self.default_lane(lane.device)]
        if lanes and all(done[lane] == lane.clock for lane in lanes):
            self.count("event with nothing queued behind it", is_seen=False)
        self.arrive(done)

    def count(self, reason: str, is_seen: bool = True) -> None:
        """Count a wait by the function of reasonlens that is nearest to it; torch's debug mode does not see all."""
        own, library = _frames()
        place = _place(own)
        line = "?" if own is None else f"{_module(own)}:{own.f_lineno}"
        inside = "" if library is None or library is own else f" < {_module(library)}:{library.f_lineno}"
        with self._lock:
            self.waits[place, reason] += 1
            self.lines[line + inside, reason] += 1
        message = f"called a synchronizing CUDA operation (stand-in): {reason}, at {line}{inside}"
        if self.on_wait == 2 and is_seen:
            raise RuntimeError(message)
        if self.on_wait == 1 and is_seen:
            warnings.warn(message, stacklevel=2)

    def forget(self) -> None:
        """Begin to count anew."""
        self.waits.clear()
        self.lines.clear()
        self.copies.clear()


def key_of(raw: torch.Tensor, device: torch.device) -> Key:
    """Name the storage of a tensor."""
    return device, raw.untyped_storage()._cdata


def waiting_place() -> str:
    """Name the function of reasonlens that is nearest to the caller: "module:name", or "?" if there is none."""
    return _place(_frames()[0])


def _place(frame: FrameType | None) -> str:
    return "?" if frame is None else f"{_module(frame)}:{frame.f_code.co_qualname}"


def _module(frame: FrameType) -> str:
    name: str = frame.f_globals.get("__name__", "?")
    return name.removeprefix("reasonlens.")


def _frames() -> tuple[FrameType | None, FrameType | None]:
    """Find the nearest frame of reasonlens, and the nearest one outside of torch and of the stand-in."""
    library: FrameType | None = None
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("reasonlens."):
            return frame, library or frame
        if library is None and not name.startswith(("torch", "tests.rehearsal", "contextlib", "threading")):
            library = frame
        frame = frame.f_back
    return None, library
