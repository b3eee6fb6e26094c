"""The same activations on a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from reasonlens import collect, load

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
    torch.testing.assert_close(found.acts, expected.acts, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found.residual_norm, expected.residual_norm, rtol=1e-3, atol=1e-5)
