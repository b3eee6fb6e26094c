"""A probe is above its strongest baseline where the model knows more than the text says, and only there."""

from __future__ import annotations

import math

import numpy as np
import torch

from reasonlens.probes import ProbeSweep, sweep
from reasonlens.probes.comparison import Comparison
from reasonlens.probes.measures import lowest_end
from reasonlens.probes.metrics import CrossValidated
from reasonlens.stats import Interval

from .test_sweep import activations_of

QUICK = {"n_bootstrap": 200, "n_shuffles": 1, "n_permutations": 9, "penalties": [0.01], "progress": False}


def swept(knows_more: bool, seed: int = 0) -> ProbeSweep:
    """Sweep 40 problems of 8 spans: words tell half of the behaviour, activations the words or all of it."""
    generator = np.random.default_rng(seed)
    n = 320
    shows = generator.random(n) < 0.5
    says = np.where(generator.random(n) < 0.7, shows, ~shows)  # the word agrees with the label in 70%
    texts = [f"{'Wait' if word else 'So'} it goes {generator.integers(9)}." for word in says]
    acts = torch.from_numpy(generator.normal(size=(n, 2, 8)).astype(np.float32))
    acts[:, :, 0] += 3 * torch.from_numpy(shows if knows_more else says)[:, None]
    labels = ["a" if shown else "b" for shown in shows]
    return sweep(activations_of(acts, labels, [row // 8 for row in range(n)], texts), behaviours=["a"], **QUICK)


def test_a_model_that_knows_more_than_the_words_is_above_them() -> None:
    comparison = swept(knows_more=True)["a"].comparison
    assert comparison.excess.low > 0.1 and comparison.standing.startswith("above its ")
    assert comparison.name in ("words", "first word", "combined")
    assert 0.6 < comparison.strongest.value < 0.8
    assert comparison.strongest.value == max(auroc.value for auroc in comparison.aurocs.values())
    assert comparison.corrected_low == comparison.excess.low, "of one behaviour"
    assert [layer.low > 0 for layer in comparison.excess_by_layer] == [True, True]


def test_a_model_that_holds_the_words_alone_is_not_above_them() -> None:
    for seed in range(3):
        comparison = swept(knows_more=False, seed=seed)["a"].comparison
        assert comparison.excess.low < 0.02 and comparison.excess.value < 0.05
        assert comparison.aurocs["words"].value > 0.6 and comparison.aurocs["position"].value < 0.62


def test_the_excess_is_the_difference_of_both_aurocs_and_comes_back_from_json() -> None:
    found = swept(knows_more=True)
    behaviour = found["a"]
    assert behaviour.comparison.excess.value == behaviour.nested.auroc.value - behaviour.comparison.strongest.value
    restored = ProbeSweep.from_dict(found.to_dict())["a"].comparison
    assert restored.to_dict() == behaviour.comparison.to_dict()
    assert restored.excess_by_layer == [
        Interval(layer.value, layer.low, layer.high) for layer in behaviour.comparison.excess_by_layer
    ]
    assert list(found.headline().columns[:5]) == ["behaviour", "excess", "excess_low", "excess_high", "standing"]


def test_what_may_be_said_follows_the_interval() -> None:
    def standing(low: float, high: float, corrected_low: float = math.nan) -> str:
        nothing = Interval(0.7)
        return Comparison(
            aurocs={"position": nothing},
            name="words",
            strongest=nothing,
            excess=Interval(0.1, low, high),
            corrected_low=corrected_low,
            n_behaviours=8,
            excess_by_layer=[],
            matched=nothing,
            n_matched=0,
        ).standing

    assert standing(0.01, 0.2, 0.001) == "above its words"
    assert standing(0.01, 0.2, -0.001) == standing(0.01, 0.2, 0.0) == "just above its words"
    assert standing(-0.01, 0.2) == standing(0.0, 0.2) == standing(-0.3, -0.1) == "not above its words"
    assert standing(math.nan, math.nan) == "no interval: too few problems"


def test_a_probe_is_above_only_if_it_is_above_every_baseline_also_a_weaker_one_that_varies_more() -> None:
    generator = np.random.default_rng(0)
    common = generator.normal(0, 0.02, 2000)

    def cross_validated(value: float, spread: float) -> CrossValidated:
        draws = value + common + generator.normal(0, spread, 2000)
        return CrossValidated(value=value, draws=draws, changes=np.zeros(5), n=40, n_pairs=2000, n_problems=40)

    probe, strongest, weaker = (cross_validated(*row) for row in ((0.95, 0.001), (0.90, 0.01), (0.89, 0.06)))
    assert probe.minus(strongest).low > 0 > probe.minus(weaker).low
    assert lowest_end(probe, [strongest], 0.95) == probe.minus(strongest).low
    assert lowest_end(probe, [strongest, weaker], 0.95) == probe.minus(weaker).low
    assert lowest_end(probe, [strongest], 1 - 0.05 / 8) < probe.minus(strongest).low
