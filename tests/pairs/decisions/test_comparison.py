"""Divergences, entropy and ranks against sums by hand, and against a pass of each model over the whole text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr
from scipy.stats import entropy

from reasonlens.generation import Sampling, StepState
from reasonlens.models import LanguageModel
from reasonlens.pairs.decisions.comparison import Compared, jensen_shannon_nats, token_ranks
from reasonlens.pairs.decisions.swapping import ALONE, COLUMNS, swap
from reasonlens.pairs.pair import encoded

from .made import made_pair


def test_divergences_and_entropy_are_those_of_scipy() -> None:
    one, other = torch.randn(2, 7, 11, generator=torch.Generator().manual_seed(0)).unbind()
    p, q = (logits.double().softmax(-1).numpy() for logits in (one, other))
    for writer, (base, thinking) in {"base": (p, q), "thinking": (q, p)}.items():
        nothing = torch.arange(7)
        state = StepState(step=0, rows=nothing, last_ids=nothing, activations=one, logits=one, follower_logits=other)
        compared = Compared.at(state, writer)
        np.testing.assert_allclose(compared.js, jensenshannon(p, q, axis=1) ** 2, atol=1e-6)
        np.testing.assert_allclose(compared.kl_thinking_base, rel_entr(thinking, base).sum(1), atol=1e-5)
        np.testing.assert_allclose(compared.kl_base_thinking, rel_entr(base, thinking).sum(1), atol=1e-5)
        np.testing.assert_allclose(compared.base_entropy, entropy(base, axis=1), atol=1e-5)


def test_the_divergence_is_0_of_one_model_and_log_2_of_two_that_agree_on_nothing() -> None:
    same = torch.randn(3, 9, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    assert jensen_shannon_nats(same, same).abs().max() < 1e-6
    sure = torch.full((1, 4), -1e9)
    one, other = sure.clone(), sure.clone()
    one[0, 0], other[0, 1] = 0.0, 0.0
    assert jensen_shannon_nats(one, other).item() == pytest.approx(np.log(2))


def test_tokens_that_neither_model_can_say_change_no_figure() -> None:
    one, other = torch.randn(2, 3, 9, generator=torch.Generator().manual_seed(2)).unbind()
    wide = [torch.cat([logits, torch.full((3, 2), -torch.inf)], dim=1) for logits in (one, other)]
    rows = torch.arange(3)
    compared = [
        Compared.at(
            StepState(step=0, rows=rows, last_ids=rows, activations=one, logits=first, follower_logits=second), "base"
        )
        for first, second in ((one, other), wide)
    ]
    for name in ("js", "kl_thinking_base", "kl_base_thinking", "base_entropy"):
        torch.testing.assert_close(*(getattr(one_of, name) for one_of in compared))


def test_ranks_count_the_likelier_tokens() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0, 2.0]]).repeat(4, 1)
    assert token_ranks(logits, torch.arange(4)).tolist() == [1, 4, 2, 2]


@pytest.mark.parametrize("writer", ["base", "thinking"])
def test_each_position_is_compared_as_by_a_pass_over_the_whole_text(
    tiny: Callable[..., LanguageModel], writer: str
) -> None:
    pair = made_pair(tiny)
    prompts = encoded(pair, pair.test)
    sampling = Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=9)
    n = len(pair.test)
    texts, _ = swap(pair, writer, prompts, [ALONE] * n, sampling, numbers=range(n), seed=3)
    assert sum(len(text.tokens) for text in texts) > 20
    for text, *of_row in zip(texts, *prompts, strict=True):
        probabilities = []
        for model, prompt in zip((pair.base, pair.thinking), of_row, strict=True):
            ids = torch.tensor([[*prompt, *text.tokens]])
            with torch.inference_mode():
                logits = model.model(ids).logits[0, len(prompt) - 1 : -1].double()
            probabilities.append(logits.softmax(-1).numpy())
        base, thinking = probabilities
        columns = {name: text.places[:, place].numpy() for place, name in enumerate(COLUMNS)}
        np.testing.assert_allclose(columns["js"], jensenshannon(base, thinking, axis=1) ** 2, atol=1e-5)
        np.testing.assert_allclose(columns["kl_thinking_base"], rel_entr(thinking, base).sum(1), atol=1e-4)
        np.testing.assert_allclose(columns["kl_base_thinking"], rel_entr(base, thinking).sum(1), atol=1e-4)
        np.testing.assert_allclose(columns["base_entropy"], entropy(base, axis=1), atol=1e-4)
        own = base if writer == "base" else thinking
        ranks = [1 + (row > row[token]).sum() for row, token in zip(own, text.tokens, strict=True)]
        assert columns["rank"].tolist() == columns["own_rank"].tolist() == ranks
