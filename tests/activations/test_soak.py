"""Memory that does not grow with the number of texts."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reasonlens import (
    Span,
    Trace,
    collect,
    collect_moments,
)


@pytest.fixture(autouse=True)
def quick_collection() -> Iterator[None]:
    """Spare the garbage collector the hundred thousands of objects of the libraries, which takes it half a second."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def _resident_mb() -> float:
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def many(resident: list[float], n_texts: int) -> Iterator[Trace]:
    """Short texts without end, and how much memory is in use after each twentieth of them."""
    random = np.random.default_rng(0)
    words = ["so", "wait", "twelve", "halves", "to", "six", "then", "again", "the", "sum"]
    for number in range(n_texts):
        text = " ".join(random.choice(words, 12))
        yield Trace(
            str(number), "", text, (Span(3, len(text), ("deduction", "backtracking")[number % 2]),), f"p{number}"
        )
        if number % (n_texts // 20) == 0:
            resident.append(_resident_mb())


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads /proc")
@pytest.mark.parametrize(("n_texts", "most_mb"), [(4000, 6), pytest.param(20_000, 15, marks=pytest.mark.long)])
@pytest.mark.parametrize("keep", ["activations", "moments"])
def test_memory_is_flat_over_thousands_of_texts(tiny, tmp_path: Path, keep: str, n_texts: int, most_mb: float) -> None:
    resident: list[float] = []
    options = {"out": tmp_path / keep, "progress": False}
    if keep == "activations":
        found = collect(tiny(), many(resident, n_texts), spans_per_shard=500, **options)
        assert len(found.examples) == n_texts and found.values.shape[0] == n_texts
    else:
        moments = collect_moments(tiny(), many(resident, n_texts), spans_per_window=500, **options)
        assert moments.stretches.count == n_texts == moments.n_problems
    # After the first third everything that is allocated once is there.
    settled, last = resident[len(resident) // 3], resident[-1]
    assert last - settled < most_mb, (
        f"{last - settled:.1f} MB more after {n_texts} texts: {[round(each) for each in resident]}"
    )
