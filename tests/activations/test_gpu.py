"""The same activations on a GPU, and what only a GPU has: a budget from free memory, and memory that runs out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from reasonlens import (
    LanguageModel,
    collect,
    collect_moments,
    load,
)
from reasonlens.activations.engine import Engine, Segments
from reasonlens.activations.engine.budget import MAX_TOKENS, first_budget
from reasonlens.models.sites import BLOCK_OUTPUT

from ..conftest import N_LAYERS, VOCABULARY
from .engine.test_run import naive, run, texts_and_segments

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "opt"])
def test_cuda_and_cpu_give_the_same_activations(tiny, traces, tmp_path: Path, architecture: str) -> None:
    model = tiny(architecture)
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    expected = collect(model, traces, progress=False)
    on_gpu = load(tmp_path, device="cuda", dtype=torch.float32)
    assert on_gpu.device.type == "cuda"
    found = collect(on_gpu, traces, progress=False)
    torch.testing.assert_close(found.values, expected.values, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found.residual_norm, expected.residual_norm, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found.embeddings, expected.embeddings)


@pytest.fixture
def on_gpu(tiny, tmp_path: Path) -> LanguageModel:
    model = tiny()
    model.model.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    return load(tmp_path / "model", device="cuda", dtype=torch.float32)


@pytest.mark.parametrize("tokens_per_batch", [None, 200, 64])
def test_shared_and_chunked_on_cuda_equal_one_text_at_a_time(tiny, on_gpu, tokens_per_batch: int | None) -> None:
    texts, segments = texts_and_segments()
    engine = Engine(on_gpu, range(on_gpu.n_layers), tokens_per_batch=tokens_per_batch)
    means, norms = run(engine, texts, segments)
    expected_means, expected_norms = naive(tiny(), texts, segments)
    torch.testing.assert_close(means, expected_means, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(norms, expected_norms, rtol=1e-3, atol=1e-5)


def test_moments_are_added_up_on_the_gpu_and_come_back(tiny, traces, on_gpu) -> None:
    found = collect_moments(on_gpu, traces, covariance=True, progress=False)
    expected = collect_moments(tiny(), traces, covariance=True, progress=False)
    for label in expected.behaviours:
        one, other = found.of_label(label), expected.of_label(label)
        assert one.mean.device.type == "cpu" and one.count == other.count
        torch.testing.assert_close(one.mean, other.mean, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(one.covariance(), other.covariance(), rtol=1e-2, atol=1e-6)


def test_the_budget_comes_from_the_free_memory(on_gpu) -> None:
    assert first_budget(on_gpu, range(on_gpu.n_layers), [BLOCK_OUTPUT]) == MAX_TOKENS
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(free - 48 * 2**20, dtype=torch.uint8, device="cuda")
    try:
        assert 64 <= first_budget(on_gpu, range(on_gpu.n_layers), [BLOCK_OUTPUT]) < MAX_TOKENS
    finally:
        del taken
        torch.cuda.empty_cache()


def test_memory_that_really_runs_out_is_survived(tiny, on_gpu) -> None:
    """Much is asked for and little is there: what a GPU sets aside, 20 MiB for a tensor of 1, decides nothing."""
    random = np.random.default_rng(0)
    texts = [random.integers(3, VOCABULARY, 256) for _ in range(320)]  # 82,000 tokens of more than 1 KiB each
    segments = Segments.of([(number, number, 1, 256) for number in range(len(texts))])
    expected, _ = run(Engine(tiny(), range(N_LAYERS)), texts, segments)
    run(Engine(on_gpu, range(N_LAYERS), tokens_per_batch=640), texts[:2], segments.of_texts(np.arange(2)))  # workspaces
    torch.cuda.empty_cache()
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 24 * 2**20) / total)
    try:
        engine = Engine(on_gpu, range(N_LAYERS), tokens_per_batch=2**17)
        means, _ = run(engine, texts, segments)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    assert engine.tokens_per_batch < 2**17, "memory never ran out: the test tests nothing"
    torch.testing.assert_close(means, expected, rtol=1e-3, atol=1e-5)
