from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from reasonlens import Activations, InputError
from reasonlens.vectors.extraction import METHODS, bootstrap_stability
from reasonlens.vectors.extraction.bootstrap import shuffle_labels
from reasonlens.vectors.extraction.sample import LayerSample

OPTIONS = {"lda": {"shrinkage": 0.3}}


def materialised(activations: Activations, counts: np.ndarray) -> Activations:
    """The resample with every drawn problem's spans copied, each copy a problem and traces of its own."""
    names = list(dict.fromkeys(activations.problems))
    rows, examples = [], []
    for number, name in enumerate(names):
        here = [row for row, each in enumerate(activations.examples) if each.problem == name]
        for copy in range(int(counts[number])):
            rows += here
            for each in (activations.examples[row] for row in here):
                examples.append(replace(each, trace=f"{each.trace}/{copy}", problem=f"{each.problem}/{copy}"))
    return replace(activations, values=activations.values[rows], examples=tuple(examples))


@pytest.mark.parametrize("name", METHODS)
def test_weighted_problems_give_the_direction_of_copied_ones(planted, name: str) -> None:
    activations, _ = planted(n_problems=30, content=1.5, strength=1.0)
    random = np.random.default_rng(0)
    counts = random.multinomial(30, np.full(30, 1 / 30), size=5)
    counts[0] = 1
    sample = LayerSample.of(activations, activations.behaviours, 3)
    weighted = METHODS[name].resampled(sample, torch.from_numpy(counts).float(), **OPTIONS.get(name, {}))
    # logistic and ridge standardise once, over all spans, and not in each resample anew
    least = 0.995 if name in ("logistic", "ridge") else 0.9999
    for row, drawn in enumerate(counts):
        copied = METHODS[name].find(materialised(activations, drawn), **OPTIONS.get(name, {}))
        for place, behaviour in enumerate(activations.behaviours):
            cosine = torch.cosine_similarity(weighted[row, place], copied.at(behaviour, 3), dim=0)
            assert cosine > (0.9999 if row == 0 else least), (row, behaviour)


@pytest.mark.parametrize("name", METHODS)
def test_a_planted_behaviour_is_stable_and_shuffled_labels_are_not(planted, name: str) -> None:
    activations, _ = planted(n_problems=80)
    found = bootstrap_stability(activations, method=name, n_resamples=40, n_halves=10, seed=1)
    torch.testing.assert_close(found.vectors["backtracking"], METHODS[name].find(activations).vectors["backtracking"])
    real = found.scores["backtracking"]
    assert min(real["bootstrap_cosine"]) > 0.95 and min(real["half_cosine"]) > 0.85
    assert min(np.subtract(real["bootstrap_cosine"], real["chance_cosine"])) > 0.15
    random = np.random.default_rng(2)
    labels = random.permutation([each.label for each in activations.examples])
    examples = tuple(replace(each, label=label) for each, label in zip(activations.examples, labels, strict=True))
    noise, _ = planted(n_problems=80, strength=0, d_model=200)
    none = bootstrap_stability(replace(noise, examples=examples), method=name, n_resamples=40, n_halves=10)
    for behaviour in none.behaviours:
        shuffled = none.scores[behaviour]
        assert max(np.abs(shuffled["half_cosine"])) < 0.25, "two halves of nothing have nothing in common"
        gap = np.subtract(shuffled["bootstrap_cosine"], shuffled["chance_cosine"])
        assert max(np.abs(gap)) < (0.45 if name == "pca" else 0.15), "and a resample no more than chance"


def test_chance_of_a_mean_difference_is_that_of_two_equal_noises(planted) -> None:
    """A resample is the whole and as much noise again: 1 / sqrt(2)."""
    noise, _ = planted(n_problems=300, per_problem=6, d_model=200, strength=0, layers=(0,))
    found = bootstrap_stability(noise, n_resamples=50, n_halves=20)
    for behaviour in found.behaviours:
        scores = found.scores[behaviour]
        assert scores["bootstrap_cosine"][0] == pytest.approx(1 / math.sqrt(2), abs=0.04)
        assert scores["chance_cosine"][0] == pytest.approx(1 / math.sqrt(2), abs=0.04)
        assert abs(scores["half_cosine"][0]) < 0.1


def test_figures_are_those_of_a_naive_loop(planted) -> None:
    activations, _ = planted(n_problems=20, strength=0.7)
    found = bootstrap_stability(activations, n_resamples=30, n_halves=4, seed=5)
    random = np.random.default_rng(5)
    counts = random.multinomial(20, np.full(20, 1 / 20), size=30)
    whole = METHODS["mean-difference"].find(activations)
    for behaviour in activations.behaviours:
        cosines = [
            torch.cosine_similarity(
                METHODS["mean-difference"].find(materialised(activations, each)).at(behaviour, 0),
                whole.at(behaviour, 0),
                dim=0,
            ).item()
            for each in counts
        ]
        scores = found.scores[behaviour]
        assert scores["bootstrap_cosine"][0] == pytest.approx(np.mean(cosines), abs=1e-5)
        assert scores["bootstrap_cosine_low"][0] == pytest.approx(np.quantile(cosines, 0.025), abs=1e-5)
        assert scores["bootstrap_cosine_high"][0] == pytest.approx(np.quantile(cosines, 0.975), abs=1e-5)


def test_problems_are_resampled_and_not_their_spans(planted) -> None:
    """Content that differs by problem makes directions unstable, however many spans each problem has."""
    few, _ = planted(n_problems=12, per_problem=60, strength=0.5, content=4.0, confounded=True)
    as_one_each = tuple(replace(each, problem=f"{n}") for n, each in enumerate(few.examples))
    honest = bootstrap_stability(few, n_resamples=60).scores["backtracking"]["half_cosine"]
    naive = bootstrap_stability(replace(few, examples=as_one_each), n_resamples=60).scores["backtracking"]
    assert max(honest) + 0.1 < min(naive["half_cosine"])


def test_the_same_seed_gives_the_same_and_content_can_be_left_out(planted) -> None:
    activations, _ = planted(n_problems=40, content=4.0, confounded=True)
    first, again, other = (bootstrap_stability(activations, n_resamples=20, seed=seed) for seed in (0, 0, 1))
    assert first.scores == again.scores != other.scores
    without = bootstrap_stability(activations, n_resamples=20, remove_content=2)
    assert without.vectors["backtracking"][:, :2].norm() < 0.4 * first.vectors["backtracking"][:, :2].norm()
    assert "content" in without.method and "content_removed" in without.scores["doubt"]
    assert without.scores["backtracking"]["half_cosine"] != first.scores["backtracking"]["half_cosine"]


def test_labels_are_shuffled_within_their_problems(planted) -> None:
    activations, _ = planted(n_problems=10)
    sample = LayerSample.of(activations, activations.behaviours, 0)
    shuffled = shuffle_labels(sample, 3)
    assert not torch.equal(shuffled.shows_behaviour, sample.shows_behaviour)
    for problem in range(10):
        here = sample.problem_index == problem
        assert torch.equal(shuffled.shows_behaviour[:, here].sum(1), sample.shows_behaviour[:, here].sum(1))
        assert sorted(shuffled.label_index[here].tolist()) == sorted(sample.label_index[here].tolist())


def test_a_behaviour_in_one_problem_only_is_counted_where_it_was_drawn(planted) -> None:
    activations, _ = planted(n_problems=8)
    examples = list(activations.examples)
    examples[0] = replace(examples[0], label="rare")
    found = bootstrap_stability(replace(activations, examples=tuple(examples)), n_resamples=20)
    scores = found.scores["rare"]
    assert all(np.isfinite(values).all() for values in scores.values())
    assert scores["bootstrap_cosine"][0] > 0.5 and scores["half_cosine"] == [0.0, 0.0], "never in both halves"


def test_what_cannot_be_resampled_is_said(planted) -> None:
    activations, _ = planted(n_problems=3)
    with pytest.raises(InputError, match="at least 4 of them, and there are 3"):
        bootstrap_stability(activations)
    with pytest.raises(InputError, match="at least 2 resamples and one halving, not 1 and 25"):
        bootstrap_stability(activations, n_resamples=1)
    with pytest.raises(InputError, match="mean-difference has no option 'shrinkage'; it has against, rescale"):
        bootstrap_stability(activations, shrinkage=0.1)
