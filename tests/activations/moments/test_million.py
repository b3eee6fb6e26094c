"""A million texts' moments take the memory of a window's: sums are merged in place."""

from __future__ import annotations

import resource

import numpy as np
import pytest
import torch

from reasonlens.activations import Read
from reasonlens.activations.moments import Moments
from reasonlens.activations.moments.label_sums import LabelSums

N_TEXTS, PER_WINDOW, PER_BATCH, N_LAYERS, D_MODEL = 1_000_000, 16_384, 2_048, 4, 64
LABELS = tuple("abcdefgh")


def window(number: int, covariance: bool) -> Moments:
    """Sum the activations of a window of texts with one span each, drawn around a mean of 3."""
    n = min(PER_WINDOW, N_TEXTS - number * PER_WINDOW)
    names = [LABELS[(number + span) % len(LABELS)] for span in range(n)]
    sums = LabelSums.of_none(names, 1, N_LAYERS, D_MODEL, covariance, torch.device("cpu"))
    generator = torch.Generator().manual_seed(number)
    for start in range(0, n, PER_BATCH):
        spans = np.arange(start, min(start + PER_BATCH, n))
        means = 3 + torch.randn(1, N_LAYERS, len(spans), D_MODEL, generator=generator)
        sums.add(spans, means)
        sums.add_stretches(means, np.ones(len(spans), dtype=bool))
    (by_label,), (stretches,) = sums.on_host()
    return Moments(
        by_label=by_label,
        stretches=stretches,
        norm_sum=torch.zeros(N_LAYERS, dtype=torch.float64),
        layers=tuple(range(N_LAYERS)),
        read=Read.mean(),
        model={},
        problem_hashes=np.array([number], dtype=np.int64),
    )


@pytest.mark.long
@pytest.mark.parametrize("covariance", [False, True])
def test_a_million_texts_take_the_memory_of_the_first_fifth(covariance: bool) -> None:
    n_windows = -(-N_TEXTS // PER_WINDOW)
    total = window(0, covariance)
    for number in range(1, n_windows):
        total = total.absorb(window(number, covariance))
        if number == n_windows // 5:
            after_a_fifth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - after_a_fifth) / 1024
    assert sum(summary.count for summary in total.by_label.values()) == N_TEXTS == total.stretches.count
    assert (total.of_label("a").mean - 3).abs().max() < 0.02 and (total.of_label("a").variance() - 1).abs().max() < 0.05
    assert grown < 15, f"{grown:.1f} MiB more than after a fifth"
