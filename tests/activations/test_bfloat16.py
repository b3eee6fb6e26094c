"""Collection with weights in bfloat16 on a CPU: sums are float32, and probes are about as good."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from reasonlens import bundled_traces, collect, encode, load, sweep
from reasonlens.models import LanguageModel


def test_sums_over_a_span_are_float32_of_what_the_blocks_put_out(tiny: Callable[..., LanguageModel], traces) -> None:
    model = tiny("llama")
    model.model.to(torch.bfloat16)
    collected = collect(model, traces[:3], layers=[1], read="mean", share_prefixes=False, progress=False)
    assert collected.values.dtype == torch.float32
    outputs: list[torch.Tensor] = []
    model.blocks[1].register_forward_hook(
        lambda module, args, output: outputs.append(output[0] if isinstance(output, tuple) else output)
    )
    expected = []
    for encoded in encode(model, traces[:3]):
        outputs.clear()
        with torch.no_grad():
            model.body(input_ids=torch.from_numpy(encoded.token_ids)[None], use_cache=False)
        assert outputs[0].dtype == torch.bfloat16
        rows = outputs[0][0].double()
        expected += [rows[first:stop].mean(dim=0) for first, stop in encoded.spans]
    # Other batches round otherwise; a sum in bfloat16 would be off by a hundredth.
    torch.testing.assert_close(collected.values[:, 0].double(), torch.stack(expected), atol=0.02, rtol=0.02)


@pytest.mark.long
def test_probes_of_smollm2_in_bfloat16_lose_less_than_three_thousandths() -> None:
    aurocs = []
    for dtype in ("float32", "bfloat16"):
        model = load("smollm2-135m", device="cpu", dtype=dtype)
        activations = collect(model, bundled_traces(), layers=[14], progress=False)
        swept = sweep(activations, n_bootstrap=20, n_shuffles=1, n_permutations=1, device="cpu", progress=False)
        aurocs.append(swept.to_frame().set_index(["behaviour", "layer"])["auroc"])
    difference = aurocs[1] - aurocs[0]
    assert abs(difference.mean()) < 0.003, difference
