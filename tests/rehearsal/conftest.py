"""Devices that the paths run on: a GPU where there is one, else the stand-in of this process, else none (skipped).

`test_process.py` starts the processes that have a stand-in.
"""

from __future__ import annotations

import copy
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from torch.utils._python_dispatch import _disable_current_modes
from transformers import PreTrainedModel

from reasonlens.models import LanguageModel, wrap

from . import stand_in
from .ceilings import CEILINGS, IDLE, ONCE
from .sync_debug import sync_debug

Place = Callable[[LanguageModel], LanguageModel]
Watch = Callable[..., AbstractContextManager[None]]


def accelerator() -> str | None:
    """Return the type of the devices that the paths run on; None where there are none."""
    if stand_in.machine is not None:
        return stand_in.machine.kind
    return "cuda" if torch.cuda.is_available() else None


def n_devices() -> int:
    return stand_in.machine.n_devices if stand_in.machine is not None else torch.cuda.device_count()


ON_A_DEVICE = [pytest.mark.gpu, pytest.mark.skipif(accelerator() is None, reason="no device: test_process.py has one")]


def on_cpu() -> AbstractContextManager[None]:
    """Let nothing look for operations on the stand-in, for what runs on the CPU anyway: it costs half of the time."""
    return nullcontext() if stand_in.machine is None else _disable_current_modes()


@pytest.fixture(scope="module", params=["one", "two"])
def place(request: pytest.FixtureRequest) -> Place:
    """Copies a model onto one device, or its first blocks onto one and the rest onto another.

    torch's backward pass knows only one device of the stand-in that has one; there the other device is the CPU.
    """
    if request.param == "two":
        if n_devices() < 2:
            pytest.skip("needs two devices")
        return over_two

    def put(model: LanguageModel) -> LanguageModel:
        copied = copy.deepcopy(model.model).to(torch.device(f"{accelerator()}:0"))
        return wrap(copied, model.tokenizer, name=model.name, revision=model.revision)

    return put


def over_two(model: LanguageModel) -> LanguageModel:
    """Copy a model, its first blocks onto one device and the rest onto another."""
    copied = copy.deepcopy(model.model)
    _spread(
        copied,
        torch.device(f"{accelerator()}:0"),
        torch.device("cpu" if accelerator() == stand_in.OTHER else f"{accelerator()}:1"),
    )
    return wrap(copied, model.tokenizer, name=model.name, revision=model.revision)


def _spread(model: PreTrainedModel, first: torch.device, second: torch.device) -> None:
    """Spread the blocks over two devices as accelerate's dispatch_model does, which takes the CPU for no device."""
    blocks = model.model.layers
    of_second = [*blocks[len(blocks) // 2 :], model.model.norm]
    of_first = [model.model.embed_tokens, model.model.rotary_emb, *blocks[: len(blocks) // 2], model.lm_head]
    for modules, device in ((of_second, second), (of_first, first)):
        for module in modules:
            hook = AlignDevicesHook(device, skip_keys=model._skip_keys_device_placement)
            add_hook_to_module(module.to(device), hook)
    add_hook_to_module(model, AlignDevicesHook(io_same_device=True))


@pytest.fixture
def watch() -> Iterator[Watch]:
    """`with watch("collect", per=n)`: the waits inside, each `n`, are at most those of the table (`ceilings.py`).

    `model`: its passes, which are counted, and taken for `per` where that is left out. On CUDA, real or not, torch's
    debug mode sees the waits (`sync_debug.py`); the stand-in's own books must agree with it, and see the rest.
    """

    @contextmanager
    def watching(path: str, per: int | None = None, *, model: LanguageModel | None = None) -> Iterator[None]:
        passes: list[int] = []
        handle = None if model is None else model.body.register_forward_pre_hook(lambda *_: passes.append(1))
        machine, allowed = stand_in.machine, CEILINGS[path]
        if machine is not None:
            machine.forget()
            machine.peak.clear()
        with _sync_debug(allowed) as seen:
            yield
        if handle is not None:
            handle.remove()
        times = per if per is not None else len(passes)
        waits = _of_reasonlens(seen if machine is None else _by_place(machine.waits))
        counted = {place: n / times for place, n in waits.items()}
        if isinstance(allowed, dict):
            over = {place: n for place, n in counted.items() if n > allowed.get(place, 0) + 1e-9}
        else:
            total = sum(counted.values())
            over = {"in all": total} if total > allowed + 1e-9 else {}
        report = {"path": path, "device": accelerator(), "of": times, "waits": counted}
        lines = ""
        if machine is not None:
            if accelerator() == stand_in.CUDA:
                assert _of_reasonlens(seen) == waits, "torch's debug mode sees others"
            lines = "\n".join(f"  {n:5d} {reason:24s} {line}" for (line, reason), n in machine.lines.most_common(20))
            report["peak_bytes"] = max(machine.peak.values(), default=0)
            report["lines"] = [[*key, n] for key, n in machine.lines.items()]
        if "REASONLENS_WAITS" in os.environ:  # a file for a report
            with open(os.environ["REASONLENS_WAITS"], "a") as file:
                file.write(json.dumps(report) + "\n")
        assert not over, f"{path} waits more often for the device than ceilings.py allows: {over}\n{lines}"

    yield watching


def _sync_debug(allowed: float | dict[str, float]) -> AbstractContextManager[Counter[str]]:
    if accelerator() != stand_in.CUDA:
        return nullcontext(Counter())

    def may_wait(place: str) -> bool:
        return _is_once(place) or not isinstance(allowed, dict) or place in allowed

    return sync_debug(None if allowed == {} else may_wait)


def _is_once(place: str) -> bool:
    return place.split(":")[0] in ONCE


def _by_place(waits: Counter[tuple[str, str]]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for (place, reason), n in waits.items():
        if reason != IDLE:
            counted[place] += n
    return counted


def _of_reasonlens(waits: Counter[str]) -> Counter[str]:
    return Counter({place: n for place, n in waits.items() if not _is_once(place)})
