from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.preprocessing import StandardScaler

from reasonlens import InputError
from reasonlens.vectors.extraction import logistic_directions, ridge_directions


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_logistic_directions_are_scikit_learns_weights_in_raw_coordinates(planted, C: float) -> None:
    activations, _ = planted(content=2.0)
    found = logistic_directions(activations, C=C)
    for behaviour in found.behaviours:
        for slot, layer in enumerate(activations.layers):
            acts = activations.layer(layer).double().numpy()
            scaler = StandardScaler().fit(acts)
            fitted = LogisticRegression(C=C, tol=1e-9, max_iter=10_000)
            fitted.fit(scaler.transform(acts), activations.shows(behaviour))
            raw = fitted.coef_.ravel() / scaler.scale_
            vector = found.vectors[behaviour][slot].double().numpy()
            assert raw @ vector / np.linalg.norm(raw) / np.linalg.norm(vector) > 1 - 1e-4


@pytest.mark.parametrize("alpha", [1.0, 1000.0])
def test_ridge_directions_are_scikit_learns_weights_in_raw_coordinates(planted, alpha: float) -> None:
    activations, _ = planted(content=2.0)
    found = ridge_directions(activations, alpha=alpha)
    for behaviour in found.behaviours:
        for slot, layer in enumerate(activations.layers):
            acts = activations.layer(layer).double().numpy()
            scaler = StandardScaler().fit(acts)
            fitted = RidgeClassifier(alpha=alpha).fit(scaler.transform(acts), activations.shows(behaviour))
            raw = fitted.coef_.ravel() / scaler.scale_
            vector = found.vectors[behaviour][slot].double().numpy()
            assert raw @ vector / np.linalg.norm(raw) / np.linalg.norm(vector) > 1 - 1e-5


def test_impossible_penalties_are_refused(planted) -> None:
    activations, _ = planted()
    with pytest.raises(InputError, match="C must be above 0, and 0 is not"):
        logistic_directions(activations, C=0)
    with pytest.raises(InputError, match="alpha must not be below 0, and -1 is"):
        ridge_directions(activations, alpha=-1)
