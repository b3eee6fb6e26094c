"""The stand-in itself: it refuses what a GPU refuses, and shows what a GPU shows only sometimes."""

from __future__ import annotations

import pytest
import torch

from . import stand_in
from .machine import Machine

pytestmark = pytest.mark.skipif(stand_in.machine is None, reason="no stand-in: test_process.py has one")


@pytest.fixture
def machine() -> Machine:
    assert stand_in.machine is not None
    stand_in.machine.forget()
    return stand_in.machine


def test_two_devices_do_not_mix() -> None:
    here, there = torch.ones(2, device="cuda:0"), torch.ones(2, device="cuda:1")
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        here + there
    with pytest.raises(RuntimeError, match="indices should be either on cpu or on the same device"):
        here[torch.zeros(1, dtype=torch.long, device="cuda:1")]
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        here.numpy()
    assert (here + there.to("cuda:0")).device == torch.device("cuda:0")


def test_each_wait_is_counted(machine: Machine) -> None:
    ones = torch.ones(3, 3, device="cuda")
    assert not machine.waits
    _ = bool(ones.sum() > 0), ones.cpu(), torch.ones(2).to("cuda"), ones[ones > 0], ones.nonzero()
    reasons = {reason for _, reason in machine.waits}
    assert reasons == {"number", "to the host", "from the host", "index by a mask", "nonzero"}
    machine.forget()
    torch.ones(2).pin_memory().to("cuda", non_blocking=True)
    assert not machine.waits
    torch.cuda.set_sync_debug_mode("error")
    try:
        with pytest.raises(RuntimeError, match="called a synchronizing CUDA operation"):
            ones.sum().item()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_copy_to_the_host_is_there_after_its_event() -> None:
    twos, target = 2 * torch.ones(2, device="cuda"), torch.zeros(2, pin_memory=True)
    target.copy_(twos, non_blocking=True)
    assert target.isnan().all()
    torch.cuda.current_stream().record_event().synchronize()
    assert target.tolist() == [2, 2]


def test_a_side_stream_has_to_wait_for_what_it_reads_and_to_keep_it() -> None:
    side, target = torch.cuda.Stream(), torch.zeros(2, pin_memory=True)
    twos = 2 * torch.ones(2, device="cuda")
    with torch.cuda.stream(side), pytest.raises(RuntimeError, match="has not waited for it"):
        target.copy_(twos, non_blocking=True)
    for is_recorded in (False, True):
        twos = 2 * torch.ones(2, device="cuda")
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            target.copy_(twos, non_blocking=True)
        if is_recorded:
            twos.record_stream(side)
        del twos  # its memory may be somebody else's before the copy is made
        side.record_event().synchronize()
        assert target.tolist() == [2, 2] if is_recorded else target.isnan().all()


def test_memory_runs_out_and_comes_back(machine: Machine) -> None:
    before = torch.cuda.memory_allocated()
    machine.capacity = before + 2**20
    try:
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(2**20, device="cuda")
        some = torch.empty(2**17, device="cuda")
        assert torch.cuda.memory_allocated() == before + 2**19 == some.nbytes + before
        view = some[:3]
        del some
        assert torch.cuda.memory_allocated() == before + 2**19, "a view keeps its storage"
        del view
    finally:
        machine.capacity = None
    assert torch.cuda.memory_allocated() == before
