"""Intervals of probes hold what they are for; `python -m benchmarks.coverage` is the whole table."""

from __future__ import annotations

import pytest

from benchmarks.coverage import cell


@pytest.mark.parametrize("signal", ["none", pytest.param("strong", marks=pytest.mark.long)])
def test_intervals_cover_and_the_bootstrap_of_fitted_probes_does_not(signal: str) -> None:
    row = cell((30, 12), 0.5, signal, n_datasets=100, estimator="ridge", seed=1)
    for figure in ("auroc", "nested", "band", "excess"):
        assert row[f"{figure}_low"] <= 0.98 and row[f"{figure}_high"] >= 0.92, figure
    if signal == "none":
        assert row["percentile_high"] < 0.95 and row["percentile"] < row["auroc"]
        assert row["target"] == pytest.approx(0.5, abs=0.01)
    else:
        assert row["target"] > 0.85
