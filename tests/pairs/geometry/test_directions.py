"""Cosines and subspaces of directions: numpy and scipy by hand, equal models, planted turns, nothing planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles

from reasonlens.pairs.geometry.contrasts import LayerContrasts, layer_contrasts
from reasonlens.pairs.geometry.cosines import DirectionCosine, cosines, direction_cosines
from reasonlens.pairs.geometry.subspaces import SubspaceOverlap, cosines_of_angles, rank, subspace_overlap
from reasonlens.pairs.geometry.texts import PairActivations, aligned
from reasonlens.stats import bootstrap_counts

from .made import BEHAVIOURS, activations, both, drawn, rotation

DRAWS = {"n_problems": 20, "n_random": 400, "seed": 0}


def compared(
    pair: PairActivations, layer: int = 0, n_resamples: int = 60, n_shuffles: int = 40
) -> tuple[LayerContrasts, list[DirectionCosine], SubspaceOverlap]:
    contrasts = layer_contrasts(pair, (layer, layer), n_resamples=n_resamples, n_shuffles=n_shuffles, seed=0)
    rows = direction_cosines(contrasts, BEHAVIOURS, (layer, layer), **DRAWS)
    return contrasts, rows, subspace_overlap(contrasts, (layer, layer), **DRAWS)


def difference(values: np.ndarray, shows: np.ndarray) -> np.ndarray:
    return values[shows].mean(axis=0) - values[~shows].mean(axis=0)


def test_cosines_are_those_of_numpy() -> None:
    values, labels, problems = drawn()
    other = values @ rotation(24, 3) * 0.2 + values
    _, rows, _ = compared(both(values, other, labels, problems), layer=1)
    for row, behaviour in zip(rows, BEHAVIOURS, strict=True):
        shows = np.array(labels) == behaviour
        first, second = difference(values[:, 1], shows), difference(other[:, 1], shows)
        expected = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
        assert row.cosine.value == pytest.approx(expected, abs=1e-4) and row.cosine.n == 20
        assert row.cosine.low < expected < row.cosine.high < 1


def test_a_resample_counts_each_span_as_often_as_its_problem_is_drawn() -> None:
    values, labels, problems = drawn(n_problems=6)
    contrasts = layer_contrasts(both(values, -values, labels, problems), (0, 0), n_resamples=5, n_shuffles=2, seed=9)
    counts = bootstrap_counts(6, 5, 9)[2].astype(int)
    often = np.repeat(counts, 9)
    repeated, names = np.repeat(values[:, 0], often, axis=0), np.repeat(labels, often)
    for index, behaviour in enumerate(BEHAVIOURS):
        expected = difference(repeated, names == behaviour)
        np.testing.assert_allclose(contrasts.base[3, index], expected, atol=1e-5)
        np.testing.assert_allclose(contrasts.thinking[3, index], -expected, atol=1e-5)


def test_equal_models_have_equal_directions_and_subspaces() -> None:
    values, labels, problems = drawn()
    _, rows, overlap = compared(both(values, values, labels, problems))
    for row in rows:
        assert row.cosine.value == pytest.approx(1) and row.cosine.low == pytest.approx(1)
        assert row.shuffled.low == pytest.approx(1)  # whatever the contrast
        assert not row.is_above_shuffled
    assert overlap.overlap.low == pytest.approx(1) and max(overlap.angles) < 0.1 and not overlap.is_above_shuffled


def test_a_turned_model_is_at_chance_and_random_directions_are_where_the_formula_says() -> None:
    values, labels, problems = drawn(width=100, n_problems=20)
    turned = np.stack([values[:, layer] @ rotation(100, layer) for layer in (0, 1)], axis=1)
    _, rows, overlap = compared(both(values, turned, labels, problems))
    for row in rows:
        assert abs(row.cosine.value) < 0.4 and not row.is_above_shuffled
        assert row.random.high == pytest.approx(1.96 / 10, abs=0.05) and row.random.low == pytest.approx(
            -0.196, abs=0.05
        )
    assert overlap.random.value == pytest.approx(overlap.n_dimensions / 100, rel=0.15)
    assert overlap.overlap.value < 0.15 and not overlap.is_above_shuffled


def test_a_shared_behaviour_in_otherwise_different_models_is_above_shuffled_labels() -> None:
    values, labels, problems = drawn(effect=4.0)
    noise, _, _ = drawn(effect=0.0, seed=5)
    planted = values - drawn(effect=0.0)[0]
    contrasts, rows, overlap = compared(both(values, noise + planted, labels, problems))
    assert all(row.is_above_shuffled and row.cosine.low > row.random.high for row in rows)
    assert overlap.is_above_shuffled and contrasts.base.shape == (61, 3, 24)


def test_labels_without_a_behaviour_are_seldom_above_shuffled_labels() -> None:
    above = []
    for seed in range(12):
        values, labels, problems = drawn(effect=0.0, n_problems=12, seed=seed)
        other = values + 0.5 * np.random.default_rng(seed + 100).standard_normal(values.shape)
        _, rows, _ = compared(both(values, other, labels, problems), n_resamples=40, n_shuffles=40)
        above += [row.is_above_shuffled for row in rows]
    assert np.mean(above) < 0.1


def test_a_shuffle_is_the_same_in_both_models_and_stays_within_problems() -> None:
    values, labels, problems = drawn(effect=0.0)
    of_problem = np.repeat(100 * np.random.default_rng(1).standard_normal((20, 2, 24)), 9, axis=0)
    pair = both(values + of_problem, 2 * (values + of_problem), labels, problems)
    contrasts = layer_contrasts(pair, (0, 0), n_resamples=2, n_shuffles=3, seed=0)
    torch.testing.assert_close(contrasts.thinking_shuffled, 2 * contrasts.base_shuffled, rtol=1e-4, atol=1e-4)
    assert contrasts.base_shuffled.norm(dim=-1).max() < 5  # over all spans it would be about 30
    assert not torch.allclose(contrasts.base_shuffled[0], contrasts.base_shuffled[1])


def test_angles_are_those_of_scipy() -> None:
    generator = torch.Generator().manual_seed(4)
    for n_vectors in (1, 3, 5):
        first, second = torch.randn(2, 6, n_vectors, 12, generator=generator, dtype=torch.float64)
        angles = np.arccos(cosines_of_angles(first, second, n_vectors))
        for own, one, other in zip(angles, first.numpy(), second.numpy(), strict=True):
            np.testing.assert_allclose(own, subspace_angles(one.T, other.T)[::-1], atol=1e-6)


def test_the_overlap_is_the_mean_squared_cosine_of_the_angles_of_scipy() -> None:
    values, labels, problems = drawn()
    other = values @ rotation(24, 3) * 0.5 + values
    contrasts, _, overlap = compared(both(values, other, labels, problems))
    first, second = (
        np.linalg.svd(vectors[0].numpy() / np.linalg.norm(vectors[0], axis=1, keepdims=True))[2][:2]
        for vectors in (contrasts.base, contrasts.thinking)
    )
    angles = subspace_angles(first.T, second.T)
    assert overlap.n_dimensions == 2  # three behaviours that are everything: one depends on the others
    np.testing.assert_allclose(np.sort(overlap.angles), np.sort(np.degrees(angles)), atol=1e-3)
    assert overlap.overlap.value == pytest.approx(np.mean(np.cos(angles) ** 2), abs=1e-5)


def test_a_dependent_direction_is_no_dimension_and_a_zero_one_has_no_cosine() -> None:
    vectors = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    assert rank(vectors) == 3 and rank(torch.cat([vectors, vectors.sum(dim=0, keepdim=True)])) == 3
    zero = torch.zeros(1, 1, 4)
    assert np.isnan(cosines(zero, torch.ones(1, 1, 4))).all() and cosines(torch.ones(1, 1, 4), torch.ones(1, 1, 4)) == 1


def test_spans_that_one_model_cannot_read_are_left_out_of_both() -> None:
    values, labels, problems = drawn(n_problems=4)
    base, thinking = activations(values, labels, problems), activations(values, labels, problems)
    one, other = aligned(base.at_rows(np.arange(0, 30)), thinking.at_rows(np.arange(35, 4, -1)))
    assert [example.trace for example in one.examples] == [example.trace for example in other.examples]
    assert len(one.examples) == 25 and torch.equal(one.layer(1), other.layer(1))


def test_layers_of_models_of_different_depth_stand_beside_each_other_at_the_same_depth() -> None:
    values, labels, problems = drawn(n_problems=4)
    deep = np.concatenate([values, values, values[:, :1]], axis=1)
    pair = both(values, deep, labels, problems)
    assert pair.layer_pairs == [(0, 0), (1, 4)]
    assert both(deep, values, labels, problems).layer_pairs == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)]
