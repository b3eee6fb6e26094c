"""Loading, collection, moments and scores on an accelerator: the numbers of the CPU, and few waits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reasonlens import Activations, CollectSettings, Moments, Trace, collect, collect_moments, load, score
from reasonlens.activations.cluster.worker import Worker
from reasonlens.activations.moments.label_sums import LabelSums
from reasonlens.activations.store import Store
from reasonlens.models import LanguageModel
from reasonlens.traces import digest

from ..analysis.test_score import planted
from .conftest import ON_A_DEVICE, Place, Watch, accelerator, n_devices, on_cpu, over_two

pytestmark = ON_A_DEVICE


FEW = 5  # traces: the stand-in takes a tenth of a millisecond for an operation


OVER_TWO = {"model.embed_tokens": 0, "model.rotary_emb": 0, "model.layers.0": 0, "model.layers.1": 0} | {
    "model.layers.2": 1,
    "model.norm": 1,
    "lm_head": 1,
}


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
    if where == "cuda":
        assert places == {torch.device("cuda", 0)}
    else:  # three blocks need not be on all of many
        assert len(places) >= min(n_devices(), 2) and {place.type for place in places} == {"cuda"}
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


@pytest.mark.skipif(n_devices() < 2, reason="needs two devices")
def test_moments_of_each_layer_are_added_up_on_its_own_device(
    tiny: Callable[..., LanguageModel], traces: list[Trace], monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    model, places, add = over_two(tiny()), [], LabelSums.add

    def add_there(sums: LabelSums, spans: np.ndarray, means: Tensor) -> None:
        places.append((means.device, {summary.mean.device for summary in sums.by_label[0]}))
        add(sums, spans, means)

    monkeypatch.setattr(LabelSums, "add", add_there)
    options = {"layers": [2, 0, 1], "covariance": True, "tokens_per_batch": 200, "progress": False}
    with watch("collect_moments", model=model):
        on_devices = collect_moments(model, traces[:FEW], **options)
    first, second = torch.device(f"{accelerator()}:0"), torch.device(f"{accelerator()}:1")
    assert set(map(repr, places)) == {repr((first, {first})), repr((second, {second}))}
    monkeypatch.undo()
    with on_cpu():
        expected = collect_moments(tiny(), traces[:FEW], **options)
    for label in expected.behaviours:
        close(on_devices.of_label(label).mean, expected.of_label(label).mean)
        close(on_devices.of_label(label).covariance(), expected.of_label(label).covariance())


@pytest.mark.skipif(accelerator() != "cuda" or n_devices() < 2, reason="needs two devices of CUDA")
def test_an_actor_with_two_devices_writes_and_returns_what_one_on_a_cpu_does(
    tiny: Callable[..., LanguageModel], traces: list[Trace], tmp_path: Path
) -> None:
    """What Ray calls; `test_cluster.py` has Ray itself."""
    model = tiny()
    model.model.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")

    def run(options: dict[str, Any], out: Path) -> tuple[Activations, dict[Any, Moments]]:
        settings = CollectSettings(tokens_per_batch=200)
        worker = Worker(str(tmp_path / "model"), options, settings, 1, False)
        description, _, weights, budget = worker.describe(torch.float32, 12)
        with Store.write(out, description, weights, budget) as store:
            windows = [traces[:2], traces[2:4]]
            for number, window in enumerate(windows):
                store.claim()
                entry = worker.shard(str(out), number, digest(window), window, store.description, budget)
                store.record(number, entry, budget)
            store.finish(len(windows))
        moments = Worker(str(tmp_path / "model"), options, settings, 1, True).moments(traces[:4], True, budget)
        return Activations.open(out), moments

    shards, moments = run({"device_map": OVER_TWO, "dtype": torch.float32}, tmp_path / "there")
    with on_cpu():
        expected_shards, expected_moments = run({"device": "cpu"}, tmp_path / "here")
    close(shards.load().values, expected_shards.load().values)
    assert moments.keys() == expected_moments.keys()
    for place, expected in expected_moments.items():
        for label in expected.behaviours:
            close(moments[place].of_label(label).covariance(), expected.of_label(label).covariance())


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
