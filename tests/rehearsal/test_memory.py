"""Memory on an accelerator: covariances in place, one line where they do not fit, prefixes, weights elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reasonlens import InputError, Trace, collect_moments
from reasonlens.activations.engine import Engine, Segments
from reasonlens.activations.engine.pooling import device_of_block
from reasonlens.models import LanguageModel, wrap

from ..conftest import D_MODEL, N_LAYERS
from . import stand_in
from .conftest import ON_A_DEVICE
from .machine import Machine

pytestmark = [
    *ON_A_DEVICE,
    pytest.mark.skipif(stand_in.machine is None, reason="a GPU's memory is not a stand-in's: see test_process.py"),
]
COMOMENT = N_LAYERS * D_MODEL**2 * 8  # bytes of a label


@pytest.fixture
def machine() -> Iterator[Machine]:
    assert stand_in.machine is not None
    yield stand_in.machine
    stand_in.machine.capacity = None


def moved(model: LanguageModel) -> LanguageModel:
    return wrap(model.model.to("cuda:0"), model.tokenizer, name=model.name)


def test_covariances_take_those_of_one_layer_beside_what_is_held(
    tiny: Callable[..., LanguageModel], traces: list[Trace], machine: Machine
) -> None:
    model, options = moved(tiny()), {"tokens_per_batch": 64, "progress": False, "share_prefixes": False}
    peaks = {}
    for covariance in (False, True):
        torch.cuda.reset_peak_memory_stats()
        collect_moments(model, traces[:2], covariance=covariance, **options)
        peaks[covariance] = torch.cuda.max_memory_allocated()
    n_labels = 3
    assert peaks[True] - peaks[False] < n_labels * COMOMENT + 4 * COMOMENT / N_LAYERS


def test_covariances_that_do_not_fit_are_one_line_with_the_remedy(
    tiny: Callable[..., LanguageModel], traces: list[Trace], machine: Machine
) -> None:
    model = moved(tiny())
    machine.capacity = machine.held[model.device] + 2 * COMOMENT
    with pytest.raises(
        InputError, match=r"out of memory on cuda:0: covariances of 3 labels at 3 layers .*fewer layers"
    ):
        collect_moments(model, traces[:2], covariance=True, tokens_per_batch=64, progress=False)


def test_followers_of_a_long_prefix_take_no_more_than_a_batch_without(
    tiny: Callable[..., LanguageModel], machine: Machine
) -> None:
    random = np.random.default_rng(0)
    prefix = random.integers(3, 400, 300)
    texts = [np.concatenate([prefix, random.integers(3, 400, 8)]) for _ in range(40)]
    segments = Segments.of([(n, n, 300, 308) for n in range(40)])
    peaks = {}
    for share in (False, True):
        engine = Engine(moved(tiny()), range(N_LAYERS), tokens_per_batch=320, share_prefixes=share)
        list(engine.run(texts[:1], segments.of_texts(np.array([0]))))
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        list(engine.run(texts, segments))
        peaks[share] = torch.cuda.max_memory_allocated() - before
    assert peaks[True] < 3 * peaks[False]


def test_offloaded_weights_are_where_they_are_run(tiny: Callable[..., LanguageModel], machine: Machine) -> None:
    offloaded = tiny()
    offloaded.model.to("meta")
    assert offloaded.device == torch.device("cuda:0"), "a device without an index is another key than one with it"
    block = offloaded.blocks[0]
    assert device_of_block(block, offloaded.device) == torch.device("cuda:0")
    block._hf_hook = SimpleNamespace(execution_device=torch.device("cuda:1"))  # as accelerate notes it
    assert device_of_block(block, offloaded.device) == torch.device("cuda:1")
    block._hf_hook = SimpleNamespace(execution_device="cuda")
    assert device_of_block(block, offloaded.device) == torch.device("cuda:0")
