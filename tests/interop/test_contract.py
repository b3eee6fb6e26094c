"""The contract itself: it must pass what is right and catch what is nearly right. No tool and no download is needed."""

from __future__ import annotations

import pytest
import torch

from reasonlens.models import LanguageModel
from reasonlens.vectors import Direction
from reasonlens.vectors.steering import steer

from .contract import adding, assert_added_at_these_blocks_alone, assert_agrees, reference, run

IDS = [[5, 17, 200, 3, 44, 91]]
TOLERANCE = 1e-5


@pytest.fixture
def vector() -> torch.Tensor:
    return torch.randn(32, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma"])
def test_our_steering_meets_the_contract(tiny, architecture: str, vector: torch.Tensor) -> None:
    model: LanguageModel = tiny(architecture)
    plain = run(model, IDS)
    direction = Direction.of(vector, layers=1)
    with steer(model, direction, layer=1, strength=1.0, absolute=True):
        steered = run(model, IDS)
    assert torch.equal(steered.acts[0], plain.acts[0])
    torch.testing.assert_close(steered.acts[1], plain.acts[1] + vector, rtol=1e-5, atol=1e-5)
    others = {f"layer {layer}": reference(model, IDS, {layer: vector}) for layer in (0, 2)}
    assert_agrees(steered, reference(model, IDS, {1: vector}), others, TOLERANCE)


@pytest.mark.parametrize("layer", [0, 2])
def test_a_vector_one_layer_off_is_caught(tiny, vector: torch.Tensor, layer: int) -> None:
    model = tiny()
    wrong = reference(model, IDS, {layer: vector})
    with pytest.raises(AssertionError, match="blocks before 1|block 1 does not give"):
        assert_added_at_these_blocks_alone(run(model, IDS), wrong, {1: vector})
    with pytest.raises(AssertionError, match="logits differ from ours"):
        assert_agrees(wrong, reference(model, IDS, {1: vector}), {}, TOLERANCE)


def test_a_vector_of_another_length_or_at_some_tokens_only_is_caught(tiny, vector: torch.Tensor) -> None:
    model = tiny()
    plain = run(model, IDS)
    with adding(model, {1: 1.001 * vector}):
        longer = run(model, IDS)
    some = torch.ones(len(IDS[0]), 1)
    some[0] = 0
    with adding(model, {1: some * vector}):
        partly = run(model, IDS)
    for wrong in (longer, partly):
        with pytest.raises(AssertionError, match="block 1 does not give what it gave plus the vector"):
            assert_added_at_these_blocks_alone(plain, wrong, {1: vector})
