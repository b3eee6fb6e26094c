from __future__ import annotations

import json

import numpy as np
import pytest

from reasonlens.probes.metrics.effect_size import cohens_d, held_out_projections
from reasonlens.stats import bootstrap_counts


def noise(distance: float, n: int = 3000, d_model: int = 200):
    generator = np.random.default_rng(0)
    problems = generator.integers(60, size=n)
    positive = generator.random(n) < 0.3
    acts = generator.normal(size=(n, d_model))
    acts[positive, 0] += distance
    return acts, positive, problems, problems % 5


def test_d_equals_its_textbook_formula() -> None:
    generator = np.random.default_rng(1)
    z, positive, problems = generator.normal(size=80), np.arange(80) % 3 == 0, np.arange(80) % 10
    up, down = z[positive], z[~positive]
    pooled = np.sqrt(((len(up) - 1) * up.var(ddof=1) + (len(down) - 1) * down.var(ddof=1)) / 78)
    found = cohens_d(z, positive, problems, bootstrap_counts(10, 50, 0))
    assert found.value == pytest.approx((up.mean() - down.mean()) / pooled, abs=1e-12)
    assert found.low < found.value < found.high


def test_a_planted_distance_is_found_and_noise_has_none_although_dimensions_are_many() -> None:
    for distance in (0.0, 1.5):
        acts, positive, problems, folds = noise(distance)
        projections = held_out_projections(acts, positive, folds)
        found = cohens_d(projections, positive, problems, bootstrap_counts(60, 300, 0))
        assert found.value == pytest.approx(distance, abs=0.15)


def test_measured_on_its_own_spans_noise_would_seem_an_effect() -> None:
    acts, positive, problems, _ = noise(0.0, n=300)
    own = (acts[positive].mean(axis=0) - acts[~positive].mean(axis=0)) @ acts.T
    assert cohens_d(own, positive, problems, bootstrap_counts(60, 10, 0)).value > 1


def test_projections_without_spread_have_no_effect_size() -> None:
    """Their difference over a spread of 0 would be infinite, which JSON cannot hold."""
    positive, problems = np.arange(20) % 2 == 0, np.arange(20) // 5
    found = cohens_d(np.where(positive, 1.0, 0.0), positive, problems, bootstrap_counts(4, 50, 0))
    assert np.isnan(found.value) and np.isnan(found.low) and np.isnan(found.high)
    assert json.dumps(found.json_columns("d"), allow_nan=False)
