from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.covariance import OAS, ShrunkCovariance, ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import StandardScaler

from reasonlens import Activations, InputError, Moments
from reasonlens.vectors import lda_directions


@pytest.fixture(scope="module")
def uneven(planted) -> Activations:
    """One dimension varies forty times as much as the others, one the fortieth part."""
    activations, _ = planted(content=2.0)
    scale = torch.ones(activations.values.shape[-1])
    scale[3], scale[4] = 40, 1 / 40
    return replace(activations, values=activations.values * scale)


class Standardised(BaseEstimator):
    """What scikit-learn's LDA does within each class with shrinkage "auto", for a share that is given."""

    def __init__(self, shrinkage: float) -> None:
        self.shrinkage = shrinkage

    def fit(self, X: np.ndarray) -> Standardised:
        scaler = StandardScaler().fit(X)
        shrunk = ShrunkCovariance(shrinkage=self.shrinkage).fit(scaler.transform(X)).covariance_
        self.covariance_ = shrunk * np.outer(scaler.scale_, scaler.scale_)
        return self


def cosine(a: np.ndarray, b: torch.Tensor) -> float:
    return float(a @ b.double().numpy() / np.linalg.norm(a) / float(b.double().norm()))


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 0.9, 1.0])
def test_the_direction_is_that_of_scikit_learn(uneven: Activations, shrinkage: float) -> None:
    found = lda_directions(uneven, shrinkage=shrinkage)
    for behaviour in found.behaviours:
        for slot, layer in enumerate(uneven.layers):
            acts, shows = uneven.layer(layer).double().numpy(), uneven.shows(behaviour)
            reference = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Standardised(shrinkage))
            reference.fit(acts, shows)
            assert cosine(reference.coef_[0], found.vectors[behaviour][slot]) == pytest.approx(1, abs=1e-6)


def test_shrinkage_is_chosen_as_ledoit_and_wolf_do_and_from_moments_by_oas(uneven: Activations) -> None:
    kept, added = lda_directions(uneven), lda_directions(Moments.of(uneven, covariance=True))
    labels = np.array(uneven.labels)
    for slot, layer in enumerate(uneven.layers):
        acts = uneven.layer(layer).double().numpy()
        for label in set(labels):
            acts[labels == label] -= acts[labels == label].mean(axis=0)
        acts /= acts.std(axis=0)
        assert kept.scores["doubt"]["shrinkage"][slot] == pytest.approx(ledoit_wolf(acts, assume_centered=True)[1])
        oracle = OAS(assume_centered=True).fit(acts).shrinkage_
        assert added.scores["doubt"]["shrinkage"][slot] == pytest.approx(oracle, rel=1e-6)
    assert "Ledoit-Wolf" in kept.method and "OAS" in added.method


def test_a_direction_that_varies_anyway_is_left_out(planted) -> None:
    activations, truth = planted(n_problems=300, content=6.0, layers=(0,))
    noisy = activations.values.clone()
    shows = torch.from_numpy(activations.shows("backtracking"))
    noisy[shows, :, 0] += 2.0  # of the behaviour as well, but content varies by 6 along it
    found = lda_directions(replace(activations, values=noisy)).vectors["backtracking"][0]
    assert abs(float(found[0])) < 0.15 * float(found.norm())


def test_fewer_spans_than_dimensions_are_enough_once_shrunk(planted) -> None:
    activations, truth = planted(n_problems=20, per_problem=8, d_model=400, strength=6.0, layers=(0,))
    found = lda_directions(activations).vectors["backtracking"]
    assert torch.cosine_similarity(found, truth, dim=-1).min() > 0.8


def test_what_cannot_be_computed_is_said(planted, uneven: Activations) -> None:
    with pytest.raises(InputError, match="covariances were not collected"):
        lda_directions(Moments.of(uneven))
    with pytest.raises(InputError, match="shrinkage must lie between 0 and 1, and 2 does not"):
        lda_directions(uneven, shrinkage=2)
    few, _ = planted(n_problems=2, per_problem=8)
    with pytest.raises(InputError, match="covariance of 16 spans in 24 dimensions has no inverse at shrinkage 0"):
        lda_directions(few, shrinkage=0)
