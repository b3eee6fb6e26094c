"""Swapped at no position the writer alone, at every position the other model, and in between what thresholds say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from reasonlens.generation import Sampling, write
from reasonlens.models import LanguageModel
from reasonlens.pairs import Pair
from reasonlens.pairs.decisions import DecisionsSettings, SwapArm, SwappedText, swap
from reasonlens.pairs.decisions.choosers import CHOOSERS, CONTROLS
from reasonlens.pairs.decisions.swapping import ALONE, OTHER
from reasonlens.pairs.decisions.thresholds import matching_threshold, threshold_for, thresholds_of
from reasonlens.pairs.pair import encoded
from reasonlens.pairs.sampling import Role
from reasonlens.rundir import RunDirectory

from .made import made_pair

MIXED = [SwapArm("divergence", 0.02), SwapArm("random", 0.5), SwapArm("early", -3.0), SwapArm("entropy", 5.8)]
DRAWN = Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=10)
GREEDY = Sampling(temperature=0, max_new_tokens=10)


def written(
    pair: Pair, writer: Role, arms: list[SwapArm], sampling: Sampling = DRAWN, n_rows: int = 128
) -> list[SwappedText]:
    n = len(pair.test)
    prompts = encoded(pair, pair.test)
    arms = arms * n if len(arms) == 1 else arms
    return swap(pair, writer, prompts, arms, sampling, numbers=range(n), seed=5, n_rows=n_rows)[0]


@pytest.fixture
def pair(tiny: Callable[..., LanguageModel]) -> Pair:
    return made_pair(tiny)


@pytest.mark.parametrize("sampling", [DRAWN, GREEDY], ids=["drawn", "greedy"])
@pytest.mark.parametrize("writer", ["base", "thinking"])
def test_all_tokens_swapped_the_other_model_writes_and_none_the_writer(
    pair: Pair, writer: Role, sampling: Sampling
) -> None:
    base, thinking = (
        [text.tokens for text in write(model, prompts, sampling, seed=5)]
        for model, prompts in zip((pair.base, pair.thinking), encoded(pair, pair.test), strict=True)
    )
    own, other = (base, thinking) if writer == "base" else (thinking, base)
    assert own != other
    alone, swapped = (written(pair, writer, [arm], sampling) for arm in (ALONE, OTHER))
    assert [text.tokens for text in alone] == own
    assert [text.tokens for text in swapped] == other
    assert not any(sum(text.column("swapped")) + sum(text.column("changed")) for text in alone)
    assert all(all(text.column("swapped")) for text in swapped)


def test_a_pair_with_itself_diverges_nowhere_and_swapping_changes_nothing(tiny: Callable[..., LanguageModel]) -> None:
    pair = made_pair(tiny, is_one=True)
    alone = written(pair, "base", [ALONE])
    for arm in (OTHER, SwapArm("random", 0.5), SwapArm("early", -4.0)):
        swapped = written(pair, "base", [arm])
        assert [text.tokens for text in swapped] == [text.tokens for text in alone]
        assert not any(sum(text.column("changed")) for text in swapped)
        assert sum(sum(text.column("swapped")) for text in swapped) > 0
    for name in ("js", "kl_thinking_base", "kl_base_thinking"):
        assert max(max(text.column(name)) for text in alone) < 1e-6


def test_a_batch_of_several_arms_equals_its_rows_one_by_one(pair: Pair) -> None:
    together, alone = written(pair, "base", MIXED), written(pair, "base", MIXED, n_rows=1)
    for one, other in zip(together, alone, strict=True):
        assert one.tokens == other.tokens and one.column("swapped") == other.column("swapped")
        np.testing.assert_allclose(one.places, other.places, atol=1e-4)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
    assert 0 < sum(sum(text.column("swapped")) for text in together) < sum(len(text.tokens) for text in together)


def test_positions_are_swapped_where_the_score_is_above_the_threshold_and_nowhere_else(pair: Pair) -> None:
    for text, arm in zip(written(pair, "thinking", MIXED), MIXED, strict=True):
        scores = text.scores[:, list(CHOOSERS).index(arm.chooser)]
        assert (scores > arm.threshold).tolist() == [bool(one) for one in text.column("swapped")]
        assert all(
            not change or is_swapped
            for change, is_swapped in zip(text.column("changed"), text.column("swapped"), strict=True)
        )
        if arm.chooser == "divergence":
            assert text.column("js") == pytest.approx(scores.tolist())
        if arm.chooser == "early":
            assert all(-step - 1 < score <= -step for step, score in enumerate(scores.tolist()))
            assert 2 <= sum(text.column("swapped")) <= 3


def test_random_positions_come_at_their_rate_and_are_no_numbers_that_tokens_are_drawn_by(pair: Pair) -> None:
    n = 40
    prompts = encoded(pair, pair.test[:1] * n)
    arms = [SwapArm("random", 0.7)] * n
    texts, _ = swap(pair, "base", prompts, arms, replace(DRAWN, max_new_tokens=25), numbers=range(n), seed=0)
    swapped = torch.tensor([one for text in texts for one in text.column("swapped")])
    assert swapped.mean().item() == pytest.approx(0.3, abs=4 * (0.21 / len(swapped)) ** 0.5)
    ranks = torch.tensor([one for text in texts for one in text.column("own_rank")])
    correlation = float(np.corrcoef(swapped, ranks)[0, 1])
    assert abs(correlation) < 4 / len(ranks) ** 0.5


def test_a_threshold_lets_through_the_share_that_its_budget_allows_and_no_tie_more() -> None:
    scores = torch.randperm(200, generator=torch.Generator().manual_seed(0)).double()
    for budget in (0.005, 0.04, 0.5, 0.995):
        assert (scores > threshold_for(scores, budget)).double().mean() == pytest.approx(budget)
    ties = torch.tensor([0.0] * 7 + [1.0] * 3)
    assert (ties > threshold_for(ties, 0.2)).sum() == 0 and (ties > threshold_for(ties, 0.5)).sum() == 3


def test_controls_change_as_many_tokens_as_divergence_where_random_positions_are_mostly_alike() -> None:
    """Planted: models differ at a tenth of the positions, three quarters of them where divergence is highest."""
    generator = np.random.default_rng(0)
    divergence, random = torch.arange(20_000).double(), torch.tensor(generator.random(20_000))
    differs = torch.zeros(20_000, dtype=torch.bool)
    differs[generator.choice(np.arange(18_000, 20_000), 1500, replace=False)] = True
    differs[generator.choice(np.arange(18_000), 500, replace=False)] = True
    swapped = divergence > threshold_for(divergence, 0.05)
    changed = float((swapped & differs).double().mean())
    assert changed == pytest.approx(0.0375, abs=0.003)
    control = random > matching_threshold(random, differs, changed)
    assert float((control & differs).double().mean()) == pytest.approx(changed, abs=1e-4)
    as_many_swapped = random > threshold_for(random, 0.05)
    assert float((as_many_swapped & differs).double().mean()) < 0.2 * changed  # no match: the former rule
    assert not (random > matching_threshold(random, torch.zeros_like(differs), 0.0)).any()
    assert (random > matching_threshold(random, differs, 0.9)).double().mean() > 0.99  # all there is to change


def test_thresholds_of_a_pair_match_controls_by_tokens_changed(tiny: Callable[..., LanguageModel]) -> None:
    pair = made_pair(tiny)
    asked = tuple(replace(question, problem=f"{n}") for n in range(8) for question in pair.test[:4])
    pair = replace(pair, validation=asked, test=asked)
    sampling = Sampling(n_samples=1, temperature=0.5, top_p=1.0, max_new_tokens=20)
    settings = DecisionsSettings(budgets=(0.2,), headline=0.2, sampling=sampling, n_validation=32, n_test=32)
    with RunDirectory(None, "decisions") as run:
        thresholds = thresholds_of(pair, "base", settings, run, False)
    changed = {}
    for chooser in CHOOSERS:
        texts = written(pair, "base", [SwapArm(chooser, thresholds[chooser, 0.2])], sampling)
        changed[chooser] = np.mean([one for text in texts for one in text.column("changed")])
    assert changed["divergence"] > 0.05
    for control in CONTROLS:
        assert changed[control] == pytest.approx(changed["divergence"], rel=0.25)
