"""Gradients of vectors by reward: finite differences, padding, no reward to learn from, and a planted optimum."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from reasonlens import LanguageModel
from reasonlens.generation import Sampling, generate
from reasonlens.models import wrap
from reasonlens.vectors.reward import Attempts, coordinate_sizes, learn

Tiny = Callable[..., LanguageModel]

PROMPTS = [[5, 6, 7], [5, 6, 7], [9], [9]]
RESPONSES = [[10, 11], [12, 13, 14, 15], [16], [17, 18, 19]]


def trainable(base: LanguageModel, layers: tuple[int, ...] = (0, 2)) -> dict[int, Tensor]:
    generator = torch.Generator().manual_seed(0)
    dtype = base.model.dtype
    return {
        layer: (0.1 * torch.randn(base.d_model, generator=generator)).to(dtype).requires_grad_() for layer in layers
    }


def attempts(rewards: list[list[float]]) -> Attempts:
    return Attempts(PROMPTS, RESPONSES, torch.tensor(rewards))


def loss_of(base: LanguageModel, vectors: dict[int, Tensor], kl_weight: float, temperature: float) -> float:
    """Compute the loss text by text, without padding, from its definition."""
    advantages = [0.5, -0.5, -1.0, 1.0]  # of the rewards (1, 0), (0, 2)
    total = 0.0
    steered = base.with_vectors({layer: vector.detach() for layer, vector in vectors.items()})
    for prompt, response, advantage in zip(PROMPTS, RESPONSES, advantages, strict=True):
        ids = torch.tensor([[*prompt, *response]])
        with torch.no_grad():
            own, plain = (
                (model.model(ids).logits[0, len(prompt) - 1 : -1] / temperature).log_softmax(-1)
                for model in (steered, base)
            )
        for place, token in enumerate(response):
            total -= advantage * float(own[place, token])
            total += kl_weight * float((own[place].exp() * (own[place] - plain[place])).sum())
    return total / sum(map(len, RESPONSES))


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize(("kl_weight", "temperature"), [(0.0, 1.0), (0.7, 0.6)])
def test_the_gradient_is_that_of_finite_differences(
    tiny: Tiny, architecture: str, kl_weight: float, temperature: float
) -> None:
    base = wrap(tiny(architecture).model.double(), tiny().tokenizer)
    vectors = trainable(base)
    steered = base.with_vectors(vectors)
    learnt = learn(
        steered,
        base,
        list(vectors.values()),
        attempts([[1.0, 0.0], [0.0, 2.0]]),
        kl_weight=kl_weight,
        temperature=temperature,
        n_rows=3,
    )
    assert learnt.n_learnt == 4 and learnt.kl > 0
    for layer, vector in vectors.items():
        assert vector.grad is not None and vector.grad.norm() > 0
        for coordinate in (0, 7, 20):
            ends = []
            for step in (1e-3, -1e-3):
                moved = {key: value.detach().clone() for key, value in vectors.items()}
                moved[layer][coordinate] += step
                ends.append(loss_of(base, moved, kl_weight, temperature))
            assert float(vector.grad[coordinate]) == pytest.approx((ends[0] - ends[1]) / 2e-3, rel=2e-3, abs=2e-6)


def test_the_gradient_depends_neither_on_how_many_are_read_together_nor_on_padding(tiny: Tiny) -> None:
    base = tiny()
    gradients = []
    for n_rows in (1, 2, 4):
        vectors = trainable(base)
        learnt = learn(
            base.with_vectors(vectors), base, list(vectors.values()), attempts([[1.0, 0.0], [0.0, 2.0]]), n_rows=n_rows
        )
        gradients.append((torch.stack([vector.grad for vector in vectors.values()]), learnt.kl))  # type: ignore[misc]
    for gradient, kl in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0][0], rtol=1e-4, atol=1e-6)
        assert kl == pytest.approx(gradients[0][1], rel=1e-4)


@pytest.mark.parametrize("reward", [0.1, 1.0, -0.3])
def test_where_all_rewards_are_equal_the_gradient_is_exactly_zero(tiny: Tiny, reward: float) -> None:
    base = tiny()
    vectors = trainable(base)
    learnt = learn(base.with_vectors(vectors), base, list(vectors.values()), attempts([[reward] * 2] * 2))
    assert learnt.n_learnt == 0 and learnt.kl > 0
    assert all(vector.grad is not None and not vector.grad.any() for vector in vectors.values())


def test_no_weight_of_the_model_is_moved_or_given_a_gradient(tiny: Tiny) -> None:
    base = tiny()
    fingerprint = base.fingerprint
    vectors = trainable(base)
    learn(base.with_vectors(vectors), base, list(vectors.values()), attempts([[1.0, 0.0], [0.0, 2.0]]), kl_weight=1.0)
    assert all(weight.grad is None for weight in base.model.parameters()) and base.fingerprint == fingerprint


def test_a_planted_optimum_is_found(tiny: Tiny) -> None:
    """Tokens of even number are rewarded: half of them come by chance, and one vector at the last block does it."""
    base = tiny()
    base.model.get_output_embeddings().weight.data *= 20  # at random its logits hardly differ
    vector = torch.zeros(base.d_model, requires_grad=True)
    steered = base.with_vectors({-1: vector})
    optimizer = torch.optim.Adam([vector], lr=0.3)
    prompts = [[5, 6, 7]] * 16 + [[9]] * 16
    sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=3)

    def share_of_even(seed: int) -> tuple[list[list[int]], Tensor]:
        responses = generate(steered, prompts, sampling, seed=seed)
        return responses, torch.tensor([sum(token % 2 == 0 for token in row) / len(row) for row in responses])

    before = float(share_of_even(1000)[1].mean())
    for step in range(40):
        responses, rewards = share_of_even(step)
        learn(steered, base, [vector], Attempts(prompts, responses, rewards.view(2, 16)))
        optimizer.step()
    after = float(share_of_even(1000)[1].mean())
    assert before < 0.7 and after > 0.9


def test_a_coordinate_is_as_large_as_the_mean_norm_says(tiny: Tiny) -> None:
    base = tiny()
    moved = base.with_vectors({0: torch.full((base.d_model,), 30.0)})
    sizes = coordinate_sizes(moved, ["Why?"], ["Because two and two make four."], [0])
    assert sizes[0] == pytest.approx(30.0, rel=0.1)


@pytest.mark.parametrize(
    ("rewards", "kl_weight", "by_hand"),
    [
        # Lengths of prompt and response together: 5, 7, 2, 4; the base reads the first of each group, 5 + 2.
        ([[1.0, 0.0], [0.0, 2.0]], 0.0, 2 * (5 + 7 + 2 + 4) + 5 + 2),
        ([[1.0, 0.0], [0.0, 2.0]], 0.7, 2 * (5 + 7 + 2 + 4) + (5 + 7 + 2 + 4)),
        ([[1.0, 0.0], [1.0, 1.0]], 0.0, 2 * (5 + 7) + 2 + 5 + 2),  # of the second group one is read, without a gradient
        ([[1.0, 1.0], [1.0, 1.0]], 0.0, 5 + 2 + 5 + 2),
    ],
)
def test_the_tokens_that_are_run_are_those_that_blocks_see(
    tiny: Tiny, rewards: list[list[float]], kl_weight: float, by_hand: int
) -> None:
    base = tiny()
    vectors = trainable(base)
    n_seen = 0

    def count(module: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor | tuple[Tensor, ...]) -> None:
        nonlocal n_seen
        hidden = output if isinstance(output, Tensor) else output[0]
        n_seen += inputs[0].shape[0] * inputs[0].shape[1] * (2 if hidden.requires_grad else 1)

    steered = base.with_vectors(vectors)
    handles = [
        model.blocks[0].register_forward_hook(count) for model in {id(m.model): m for m in (base, steered)}.values()
    ]
    learnt = learn(steered, base, list(vectors.values()), attempts(rewards), kl_weight=kl_weight, n_rows=1)
    for handle in handles:
        handle.remove()
    assert learnt.n_run == by_hand == n_seen
