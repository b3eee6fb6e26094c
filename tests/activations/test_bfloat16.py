"""Collection with weights in bfloat16 on a CPU: sums are float32, and probes are about as good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from reasonlens import Activations, bundled_traces, collect, encode, load, sweep
from reasonlens.models import LanguageModel
from reasonlens.probes.folds import grouped_folds
from reasonlens.probes.metrics import auroc, auroc_draws, concordance
from reasonlens.stats import Interval, bootstrap_counts, percentile_ends

LOSS = 0.003  # of AUROC


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
def test_probes_of_smollm2_in_bfloat16_are_as_good_as_in_float32() -> None:
    """No loss of three thousandths is shown for any behaviour, while one that is planted is."""
    collected = {
        dtype: collect(load("smollm2-135m", device="cpu", dtype=dtype), bundled_traces(), layers=[14], progress=False)
        for dtype in ("float32", "bfloat16")
    }
    full = collected["float32"]
    noise = torch.randn(full.values.shape, generator=torch.Generator().manual_seed(0))
    noisy = replace(full, values=full.values + 2 * full.values.std(dim=0) * noise)
    gains, planted = gain(full, collected["bfloat16"]), gain(full, noisy)
    table = "\n".join(f"{behaviour}: {interval}" for behaviour, interval in gains.items())
    assert abs(gains["mean"].value) < LOSS, table
    assert all(interval.high > -LOSS for interval in gains.values()), table
    assert planted["mean"].high < -LOSS, planted


def gain(full: Activations, other: Activations) -> dict[str, Interval]:
    """Subtract the AUROCs of probes of the same spans, with an interval over problems, paired."""
    folds = grouped_folds(full.labels, full.problems, full.behaviours, 5, 0)
    numbers = np.unique(full.problems, return_inverse=True)[1]
    counts = bootstrap_counts(numbers.max() + 1)
    values, draws = {}, {}
    scores = [
        sweep(acts, n_bootstrap=20, n_shuffles=1, n_permutations=1, device="cpu", progress=False).scores[:, 0]
        for acts in (full, other)
    ]
    for index, behaviour in enumerate(full.behaviours):
        shows = np.array(full.labels) == behaviour
        of_full, of_other = (concordance(of_model[index], shows, numbers, folds) for of_model in scores)
        values[behaviour] = auroc(of_other) - auroc(of_full)
        draws[behaviour] = auroc_draws(of_other, counts) - auroc_draws(of_full, counts)
    values["mean"], draws["mean"] = np.mean(list(values.values())), np.mean(list(draws.values()), axis=0)
    n = int(numbers.max()) + 1
    return {name: Interval(float(values[name]), *percentile_ends(draws[name]), n) for name in values}
