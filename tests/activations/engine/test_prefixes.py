from __future__ import annotations

import itertools

import numpy as np
import pytest

from reasonlens.activations.engine.prefixes import (
    COST_TOKENS,
    MAX_GROUP,
    MIN_PREFIX_TOKENS,
    groups,
)


def families(*shapes: tuple[int, int, int], seed: int = 0) -> list[np.ndarray]:
    """For each (texts, tokens shared, tokens of its own): that many texts that begin alike."""
    random = np.random.default_rng(seed)
    texts = []
    for k, n_shared, n_own in shapes:
        shared = random.integers(0, 50_000, n_shared)
        texts += [np.concatenate([shared, random.integers(0, 50_000, n_own)]) for _ in range(k)]
    return [texts[index] for index in random.permutation(len(texts))]


def tokens_saved(texts: list[np.ndarray]) -> int:
    return sum((len(group.texts) - 1) * group.n_prefix for group in groups(texts))


def test_groups_are_found_whatever_the_order() -> None:
    texts = families((2, 40, 10), (5, 100, 30), (1, 0, 60))
    found = groups(texts)
    assert sorted(len(group.texts) for group in found) == [1, 2, 5]
    assert sorted(text for group in found for text in group.texts) == list(range(8))
    for group in found:
        assert len({tuple(texts[text][: group.n_prefix]) for text in group.texts}) == 1
    assert tokens_saved(texts) == 1 * 40 + 4 * 100


def test_what_is_shared_leaves_every_text_a_token_of_its_own() -> None:
    text = np.arange(100)
    found = groups([text, text.copy(), text[:60]])
    assert all(group.n_prefix < min(len([text, text, text[:60]][index]) for index in group.texts) for group in found)
    assert found[0].n_prefix >= 59


def test_a_short_prefix_is_not_shared() -> None:
    assert all(group.n_prefix == 0 for group in groups(families((6, MIN_PREFIX_TOKENS - 1, 30))))


def test_a_longer_prefix_within_a_family_is_preferred_where_it_saves_more() -> None:
    random = np.random.default_rng(1)
    header = random.integers(0, 9, 20)
    texts = []
    for _ in range(4):
        prompt = np.concatenate([header, random.integers(0, 50_000, 200)])
        texts += [np.concatenate([prompt, random.integers(0, 50_000, 20)]) for _ in range(3)]
    assert sorted(len(group.texts) for group in groups(texts)) == [3, 3, 3, 3]


def test_a_large_family_is_divided() -> None:
    found = groups(families((3 * MAX_GROUP, 30, 5)))
    assert all(len(group.texts) <= MAX_GROUP and group.n_prefix == 30 for group in found)


@pytest.mark.parametrize("seed", range(5))
def test_the_division_is_the_best_of_all_divisions_of_the_order(seed: int) -> None:
    random = np.random.default_rng(seed)
    texts = [random.integers(0, 2, 80) for _ in range(7)]
    for text in texts:  # trees of depth two, so that groups compete
        text[:20] = 0
        text[20:40] = random.integers(0, 2)
        text[40:60] = random.integers(0, 2)
    order = sorted(range(7), key=lambda index: texts[index].tolist())

    def gain(members: tuple[int, ...]) -> float:
        if len(members) == 1:
            return 0
        columns = np.stack([texts[index] for index in members])
        same = (columns == columns[0]).all(axis=0)
        n_prefix = min(79, int(np.argmin(same)) if not same.all() else 80)
        saved = (len(members) - 1) * n_prefix - COST_TOKENS * len(members)
        return saved if n_prefix >= MIN_PREFIX_TOKENS else -np.inf

    best = max(
        sum(gain(tuple(order[a:b])) for a, b in itertools.pairwise([0, *cuts, 7]))
        for n_cuts in range(7)
        for cuts in itertools.combinations(range(1, 7), n_cuts)
    )
    found = sum(gain(group.texts) for group in groups(texts))
    assert found == best
