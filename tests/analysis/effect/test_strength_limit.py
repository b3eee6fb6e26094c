from __future__ import annotations

import pytest
import torch

from reasonlens import Direction, InputError
from reasonlens.analysis.effect import steer_write
from reasonlens.analysis.effect.damage import neutral_texts
from reasonlens.analysis.effect.strength_limit import N_NEUTRAL_TOKENS, STRENGTHS, strongest_within_limit
from reasonlens.cli.next_steer import ORGANISM_PROBLEM as PROMPT
from reasonlens.generation import Sampling
from reasonlens.models import LanguageModel, load
from reasonlens.vectors import Directions

LAYER, NORM = 2, 47.0


@pytest.fixture(scope="module")
def organism() -> LanguageModel:
    return load("organism/base-timing", device="cpu")


def direction_of(model: LanguageModel, seed: int = 0) -> Direction:
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(seed))
    return Direction.of(vector, layers=LAYER, behaviour="random", residual_norm=NORM)


def kl_by_hand(model: LanguageModel, direction: Direction, strength: float) -> float:
    """Add the vector with a hook of our own, and sum KL(unsteered || steered) over neutral text with torch."""
    vector = strength * NORM * direction.unit(LAYER)
    total = n_tokens = 0
    for text in neutral_texts(model):
        ids = torch.tensor([text[:-1][: N_NEUTRAL_TOKENS - n_tokens]])
        if not ids.numel():
            break
        with torch.no_grad():
            before = model.model(ids).logits[0].log_softmax(-1)
            hook = model.blocks[LAYER].register_forward_hook(lambda block, inputs, output: output + vector)
            after = model.model(ids).logits[0].log_softmax(-1)
            hook.remove()
        total += float(torch.nn.functional.kl_div(after, before, log_target=True, reduction="sum"))
        n_tokens += ids.shape[1]
    return total / n_tokens


@pytest.mark.parametrize("limit", [0.01, 0.1, 0.5])
def test_the_next_strength_exceeds_the_limit_and_the_chosen_one_does_not(organism: LanguageModel, limit: float) -> None:
    direction = direction_of(organism)
    within = strongest_within_limit(organism, direction, LAYER, kl_limit_nats=limit)
    assert within.kl_nats <= limit
    assert within.kl_nats == pytest.approx(kl_by_hand(organism, direction, within.strength), rel=1e-3)
    assert kl_by_hand(organism, direction, STRENGTHS[STRENGTHS.index(within.strength) + 1]) > limit


def test_a_limit_that_nothing_keeps_is_refused(organism: LanguageModel) -> None:
    with pytest.raises(InputError, match=r"weakest strength that is tried, 0.02, moves neutral text by .* give a"):
        strongest_within_limit(organism, direction_of(organism), LAYER, kl_limit_nats=1e-9)


def test_a_response_is_steered_within_the_limit_unless_a_strength_is_given(organism: LanguageModel) -> None:
    directions = Directions(
        vectors={"random": direction_of(organism).vectors},
        layers=(LAYER,),
        method="random",
        model=organism.identity(),
        read="mean",
        residual_norm=(NORM,),
        n_examples={},
        n_problems=0,
    )
    options = {"behaviour": "random", "layer": LAYER, "sampling": Sampling(n_samples=1, max_new_tokens=5)}
    within = strongest_within_limit(organism, direction_of(organism), LAYER)
    chosen = steer_write(organism, directions, PROMPT, **options)
    assert (chosen.strength, chosen.kl_nats) == (within.strength, within.kl_nats)
    asked = steer_write(organism, directions, PROMPT, strength=2.0, **options)
    assert (asked.strength, asked.kl_nats) == (2.0, None)
    absolute = steer_write(organism, directions, PROMPT, absolute=True, **options)
    assert (absolute.strength, absolute.kl_nats) == (1.0, None)
