"""Loading, collection, moments and scores on an accelerator: the numbers of the CPU, and few waits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from reasonlens import Trace, collect, collect_moments, load, score
from reasonlens.models import LanguageModel

from ..analysis.test_score import planted
from .conftest import ON_A_DEVICE, Place, Watch, accelerator, n_devices, on_cpu

pytestmark = ON_A_DEVICE


FEW = 5  # traces: the stand-in takes a tenth of a millisecond for an operation


def close(one: Tensor, other: Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(one.cpu(), other.cpu(), rtol=tolerance, atol=tolerance * float(other.abs().max()))


@pytest.mark.skipif(accelerator() != "cuda", reason="transformers looks for CUDA")
@pytest.mark.parametrize("where", ["cuda", "auto"])
def test_a_model_is_loaded_onto_the_device_or_over_all_of_them(
    tiny: Callable[..., LanguageModel], traces: list[Trace], tmp_path: Path, where: str
) -> None:
    model = tiny()
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    if where == "cuda":
        loaded = load(tmp_path, device="cuda", dtype=torch.float32)
    else:
        loaded = load(tmp_path, device_map="auto", dtype=torch.float32)
    places = {weight.device for weight in loaded.model.parameters()}
    assert places == {torch.device("cuda", n) for n in range(n_devices() if where == "auto" else 1)}
    with on_cpu():
        expected = collect(model, traces[:2], progress=False)
    on_device = collect(loaded, traces[:2], progress=False)
    close(on_device.values, expected.values)
    assert on_device.model["fingerprint"] == expected.model["fingerprint"]


@pytest.mark.parametrize("way", ["a batch", "small batches", "in parts", "unshared"])
def test_activations_are_those_of_the_cpu(
    tiny: Callable[..., LanguageModel], traces: list[Trace], place: Place, watch: Watch, way: str
) -> None:
    options = {
        "a batch": {},
        "small batches": {"tokens_per_batch": 200},
        "in parts": {"tokens_per_batch": 60},
        "unshared": {"tokens_per_batch": 200, "share_prefixes": False},
    }[way]
    model = place(tiny())
    collect(model, traces[:1], progress=False)  # what a model is asked once only
    with watch("collect", model=model):
        on_device = collect(model, traces[:FEW], progress=False, **options)
    with on_cpu():
        expected = collect(tiny(), traces[:FEW], progress=False, **options)
    close(on_device.values, expected.values)
    close(on_device.residual_norm, expected.residual_norm)
    close(on_device.overall_mean, expected.overall_mean)


def test_a_store_is_filled_with_the_same(
    tiny: Callable[..., LanguageModel], traces: list[Trace], place: Place, watch: Watch, tmp_path: Path
) -> None:
    model = place(tiny())
    collect(model, traces[:1], progress=False)
    with watch("collect", model=model):
        stored = collect(model, traces[:FEW], progress=False, out=tmp_path / "store", spans_per_shard=16)
    with on_cpu():
        expected = collect(tiny(), traces[:FEW], progress=False)
    close(stored.load().values, expected.values)
    assert len(list((tmp_path / "store").glob("*.safetensors"))) > 1


@pytest.mark.parametrize("covariance", [False, True])
def test_moments_are_those_of_the_cpu(
    tiny: Callable[..., LanguageModel], traces: list[Trace], place: Place, watch: Watch, covariance: bool
) -> None:
    model = place(tiny())
    options = {"covariance": covariance, "tokens_per_batch": 200, "progress": False}
    collect(model, traces[:1], progress=False)
    with watch("collect_moments", model=model):
        on_device = collect_moments(model, traces[:FEW], **options)
    with on_cpu():
        expected = collect_moments(tiny(), traces[:FEW], **options)
    for label in expected.behaviours:
        one, other = on_device.of_label(label), expected.of_label(label)
        close(one.mean, other.mean)
        close(one.m2, other.m2)
        if covariance:
            close(one.covariance(), other.covariance())
    close(on_device.overall_mean, expected.overall_mean)
    close(on_device.residual_norm, expected.residual_norm)


def test_tokens_are_scored_as_on_the_cpu(
    tiny: Callable[..., LanguageModel], traces: list[Trace], place: Place, watch: Watch
) -> None:
    model, probes = place(tiny()), planted(tiny())
    score(model, traces[:1], probes, progress=False, force=True)
    with watch("score", model=model):
        on_device = score(model, traces[:FEW], probes, progress=False, force=True, tokens_per_batch=200)
    with on_cpu():
        expected = score(tiny(), traces[:FEW], probes, progress=False, force=True, tokens_per_batch=200)
    one, other = (torch.tensor(scores.to_frame().log_odds.fillna(0).to_numpy()) for scores in (on_device, expected))
    close(one, other, 1e-3)
