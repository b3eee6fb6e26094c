from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from reasonlens.probes import (
    DiscriminantProbe,
    LogisticProbe,
    MeanDifferenceProbe,
    MultinomialProbe,
    RidgeProbe,
)

ALL = [LogisticProbe(), RidgeProbe(), DiscriminantProbe(), MeanDifferenceProbe(), MultinomialProbe()]
BINARY = ALL[:-1]
OF_SCIKIT_LEARN = {
    LogisticProbe: lambda weak: LogisticRegression(C=1.0 if weak else 0.01, tol=1e-8, max_iter=10_000),
    RidgeProbe: lambda weak: RidgeClassifier(alpha=1.0 if weak else 100.0),
    DiscriminantProbe: lambda weak: LinearDiscriminantAnalysis("lsqr", shrinkage=0.02 if weak else 0.2),
    MultinomialProbe: lambda weak: LogisticRegression(C=1.0 if weak else 0.01, tol=1e-8, max_iter=10_000),
}
WEAK: dict[type, dict[str, float]] = {
    LogisticProbe: {"C": 1.0, "tol": 1e-8},
    RidgeProbe: {"alpha": 1.0},
    DiscriminantProbe: {"shrinkage": 0.02},
    MultinomialProbe: {"C": 1.0, "tol": 1e-8},
}
name = {"ids": lambda each: type(each).__name__ if not isinstance(each, type) else each.__name__}


def data(n: int, d_model: int, n_classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of unlike scale and place, correlated; classes along a random direction each."""
    generator = np.random.default_rng(seed)
    acts = generator.normal(size=(n, d_model)) @ generator.normal(size=(d_model, d_model)) / d_model**0.5
    label = (acts @ generator.normal(size=(d_model, n_classes)) + generator.normal(size=(n, n_classes))).argmax(axis=1)
    return acts * np.exp(generator.normal(size=d_model)) + 5 * generator.normal(size=d_model), label


@pytest.mark.parametrize("probe", ALL, **name)
def test_scikit_learns_own_checks_pass(probe: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(probe)


@pytest.mark.parametrize("shape", [(300, 20), (60, 150)], ids=["n > d", "n < d"])
@pytest.mark.parametrize("weak", [False, True])
@pytest.mark.parametrize("kind", OF_SCIKIT_LEARN, **name)
def test_every_estimator_agrees_with_scikit_learns(kind: Any, weak: bool, shape: tuple[int, int]) -> None:
    acts, label = data(*shape, n_classes=3 if kind is MultinomialProbe else 2)
    probe = kind(**(WEAK[kind] if weak else {})).fit(acts, label)
    theirs = make_pipeline(StandardScaler(), OF_SCIKIT_LEARN[kind](weak)).fit(acts, label)
    expected = theirs.decision_function(acts)
    found = probe.decision_function(acts)
    if kind is MultinomialProbe:
        expected, found = expected - expected.mean(1, keepdims=True), found - found.mean(1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(expected).max())
    assert (probe.predict(acts) == theirs.predict(acts)).mean() > 0.99


def test_the_mean_difference_is_that_of_raw_activations_scored_from_the_midpoint() -> None:
    acts, label = data(200, 30)
    probe = MeanDifferenceProbe().fit(acts, label)
    up, down = acts[label == 1].mean(axis=0), acts[label == 0].mean(axis=0)
    np.testing.assert_allclose(probe.direction_, up - down, rtol=1e-9)
    np.testing.assert_allclose(probe.decision_function([(up + down) / 2]), 0, atol=1e-9)


@pytest.mark.parametrize("probe", BINARY, **name)
def test_a_planted_direction_is_recovered(probe: Any) -> None:
    generator = np.random.default_rng(0)
    planted = np.zeros(40)
    planted[:2] = 3 / 5, 4 / 5
    label = np.arange(4000) % 2
    acts = generator.normal(size=(4000, 40)) + 2.0 * label[:, None] * planted
    found = probe.fit(acts, label).direction_
    assert found @ planted / np.linalg.norm(found) > 0.97
    other = generator.permutation(label)
    chance = probe.fit(acts, other).direction_
    assert abs(chance @ planted / np.linalg.norm(chance)) < 0.5


@pytest.mark.parametrize("probe", ALL, **name)
def test_bad_rows_are_survived_or_named(probe: Any) -> None:
    acts, label = data(80, 10)
    acts[:, 3] = 7.0  # constant
    fitted = probe.fit(acts, label)
    assert np.isfinite(fitted.coef_).all() and np.abs(fitted.coef_[:, 3]).max() < 1e-12
    twice = probe.fit(np.concatenate([acts, acts]), np.concatenate([label, label]))
    assert np.isfinite(twice.coef_).all()
    with pytest.raises(ValueError, match="NaN"):
        probe.fit(np.where(acts == 7.0, np.nan, acts), label)
    with pytest.raises(ValueError, match="only one class is there: 1"):
        probe.fit(acts, np.ones(80, dtype=int))


@pytest.mark.parametrize("probe", BINARY, **name)
def test_doubled_rows_leave_a_mean_difference_as_it_is_and_halve_a_penalty(probe: Any) -> None:
    acts, label = data(80, 10)
    twice = np.concatenate([acts, acts]), np.concatenate([label, label])
    stronger = {LogisticProbe: {"C": 0.005}, RidgeProbe: {"alpha": 200.0}}.get(type(probe), {})
    once = probe.fit(acts, label).decision_function(acts)
    again = type(probe)(**stronger).fit(*twice).decision_function(acts)
    np.testing.assert_allclose(again, once, atol=1e-4)


@pytest.mark.parametrize("kind", [LogisticProbe, DiscriminantProbe, MultinomialProbe], **name)
def test_chances_sum_to_one_and_follow_the_scores(kind: Any) -> None:
    acts, label = data(200, 5)
    probe = kind().fit(acts, label)
    chances = probe.predict_proba(acts)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert (probe.classes_[chances.argmax(axis=1)] == probe.predict(acts)).all()


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        (LogisticProbe(C=0), "C must be above 0"),
        (MultinomialProbe(C=-1), "C must be above 0"),
        (RidgeProbe(alpha=-1), "alpha must not be below 0"),
        (DiscriminantProbe(shrinkage=2), "shrinkage must lie between 0 and 1, and 2 does not"),
    ],
    **name,
)
def test_a_penalty_that_makes_no_sense_is_refused(probe: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        probe.fit(*data(40, 4))


def test_three_classes_are_for_the_multinomial_probe() -> None:
    acts, label = data(90, 6, n_classes=3)
    with pytest.raises(ValueError, match="3 classes; use MultinomialProbe"):
        LogisticProbe().fit(acts, label)
    assert MultinomialProbe().fit(acts, label).directions_.shape == (3, 6)
