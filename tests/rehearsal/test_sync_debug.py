"""Waits are seen on a real GPU as on the stand-in: by torch's debug mode, which refuses one that nobody expects."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest
import torch

from reasonlens import Trace, collect, collect_moments
from reasonlens.activations.engine import pooling
from reasonlens.activations.moments import label_sums
from reasonlens.generation import Sampling, cached_model, loop, write
from reasonlens.models import LanguageModel

from ..pairs.hybrid.test_decode import PROMPTS
from . import stand_in
from .conftest import ON_A_DEVICE, Place, Watch, accelerator
from .sync_debug import sync_debug

pytestmark = [*ON_A_DEVICE, pytest.mark.skipif(accelerator() != stand_in.CUDA, reason="torch's debug mode is CUDA's")]
N_NEW = 4
LOOP: dict[str, tuple[Any, str]] = {  # what each pass of a path calls, and may not wait
    "collect": (pooling.Buffer, "at"),
    "collect_moments": (label_sums.LabelSums, "add"),
    "write": (loop._Run, "_state"),
}


def passes(path: str, model: LanguageModel, traces: list[Trace]) -> None:
    if path == "write":
        write(model, PROMPTS, Sampling(n_samples=1, temperature=0, max_new_tokens=N_NEW))
    elif path == "collect":
        collect(model, traces[:3], progress=False, tokens_per_batch=200)
    else:
        collect_moments(model, traces[:3], progress=False, tokens_per_batch=200)


def waiting(module: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of a module that looks at a number of the device before it does what the original does."""
    source = "def planted(*args, **options):\n    looked_at.sum().item()\n    return original(*args, **options)"
    names = {"__name__": module.__name__, "original": original, "looked_at": torch.ones(2, device=accelerator())}
    exec(source, names)
    assert isinstance(names["planted"], FunctionType)
    return names["planted"]


@pytest.mark.parametrize("path", LOOP)
def test_a_wait_that_a_change_adds_to_a_pass_is_refused_where_it_happens(
    tiny: Callable[..., LanguageModel],
    traces: list[Trace],
    place: Place,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    model = place(tiny())
    passes(path, model, traces)
    options: dict[str, Any] = {"per": N_NEW} if path == "write" else {"model": model}
    with watch(path, **options):
        passes(path, model, traces)
    owner, name = LOOP[path]
    module = {"collect": pooling, "collect_moments": label_sums, "write": loop}[path]
    monkeypatch.setattr(owner, name, waiting(module, getattr(owner, name)))
    with pytest.raises(RuntimeError, match=r"called a synchronizing CUDA operation .*:planted"), watch(path, **options):
        passes(path, model, traces)
    assert torch.cuda.get_sync_debug_mode() == 0, "the mode outlasts the error"


def test_more_waits_than_the_table_has_are_refused_where_some_are_allowed(
    tiny: Callable[..., LanguageModel], place: Place, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, original = place(tiny()), cached_model.CachedModel.step
    passes("write", model, [])
    planted = waiting(cached_model, original)
    planted.__code__ = planted.__code__.replace(co_qualname="CachedModel.step")
    monkeypatch.setattr(cached_model.CachedModel, "step", planted)
    with pytest.raises(AssertionError, match="waits more often .*CachedModel.step"), watch("write", per=N_NEW):
        passes("write", model, [])


def test_where_nothing_may_wait_torch_raises_at_once_and_elsewhere_waits_are_counted() -> None:
    ones = torch.ones(3, device=accelerator())
    with pytest.raises(RuntimeError, match="called a synchronizing CUDA operation"), sync_debug(None):
        ones.sum().item()
    with sync_debug(lambda place: True) as counted:
        ones.sum().item()
        ones.cpu()
        ones + ones
    assert counted == {"?": 2}
