from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from reasonlens import (
    Activations,
    Example,
    InputError,
    Moments,
    Read,
)
from reasonlens.vectors import effect_sizes, principal_components

LAYERS, D_MODEL, N = (0, 3), 8, 400


@pytest.fixture(scope="module")
def activations() -> Activations:
    """Two behaviours that differ along one axis; another axis is noisy, and along a third one of them varies."""
    random = np.random.default_rng(0)
    labels = random.choice(["backtracking", "deduction"], N, p=[0.3, 0.7])
    acts = random.normal(size=(N, len(LAYERS), D_MODEL))
    acts[..., 1] *= 5
    acts[..., 0] += 0.8 * (labels == "backtracking")[:, None]
    acts[..., 1] += 1.0 * (labels == "backtracking")[:, None]
    acts[labels == "backtracking", :, 5] *= 9
    examples = tuple(Example(f"t{n}", f"p{n}", str(label), 0, 1, "x", False) for n, label in enumerate(labels))
    return Activations(
        values=torch.from_numpy(acts).float(),
        examples=examples,
        layers=LAYERS,
        read=Read.mean(),
        model={"name": "planted"},
        overall_mean=torch.from_numpy(acts.mean(0)).float(),
        residual_norm=torch.ones(len(LAYERS)),
    )


@pytest.fixture(scope="module")
def moments(activations: Activations) -> Moments:
    return Moments.of(activations, covariance=True)


def test_effect_sizes_are_cohens_d_of_every_dimension(activations: Activations, moments: Moments) -> None:
    found = effect_sizes(moments, "backtracking")
    shows = activations.shows("backtracking")
    for slot, layer in enumerate(LAYERS):
        acts = activations.layer(layer).double().numpy()
        up, down = acts[shows], acts[~shows]
        spread = ((len(up) - 1) * up.var(0, ddof=1) + (len(down) - 1) * down.var(0, ddof=1)) / (N - 2)
        np.testing.assert_allclose(found[slot].numpy(), (up.mean(0) - down.mean(0)) / np.sqrt(spread), rtol=1e-10)
    assert found[:, 0].min() > 0.5 and found[:, [2, 3, 4, 6, 7]].abs().max() < 0.4


def test_principal_components_are_those_of_scikit_learn(activations: Activations, moments: Moments) -> None:
    vectors, variances = principal_components(moments, "backtracking", 3)
    kept = activations.where("backtracking")
    for slot, layer in enumerate(LAYERS):
        reference = PCA(3).fit(kept.layer(layer).double().numpy())
        np.testing.assert_allclose(variances[slot].numpy(), reference.explained_variance_, rtol=1e-6)
        cosines = np.abs((vectors[slot].numpy() * reference.components_).sum(1))
        np.testing.assert_allclose(cosines, 1, atol=1e-8)
        assert vectors[slot, 0, 5].abs() > 0.99
        towards = moments.of_label("backtracking").mean[slot] - moments.of_label("deduction").mean[slot]
        assert (vectors[slot] @ towards >= 0).all()


def test_what_cannot_be_computed_is_said(activations: Activations, moments: Moments) -> None:
    with pytest.raises(InputError, match="covariances were not collected"):
        principal_components(Moments.of(activations), "backtracking")
    with pytest.raises(InputError, match="no span shows 'doubt'; the labels here are deduction, backtracking"):
        effect_sizes(moments, "doubt")
