"""Tokens that a direction promotes: the final norm and unembedding by hand, a planted token, random directions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from reasonlens import Direction, InputError, collect, mean_difference_directions
from reasonlens.models import LanguageModel
from reasonlens.vectors.promoted import promoted_frame, unembedded


def vectors(model: LanguageModel, n: int = 4) -> torch.Tensor:
    return torch.randn(n, model.d_model, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def with_norms(tiny: Callable) -> Callable[[str], LanguageModel]:
    """Models whose final norm is not the identity, with a bias where it has one."""

    def make(architecture: str) -> LanguageModel:
        model = tiny(architecture)
        generator = torch.Generator().manual_seed(2)
        norm = model.body.norm if architecture in ("llama", "gemma") else model.body.ln_f
        with torch.no_grad():
            for weight in norm.parameters():
                weight += torch.randn(weight.shape, generator=generator)
        return model

    return make


def centred(logits: torch.Tensor, model: LanguageModel) -> torch.Tensor:
    logits = logits[:, : len(model.tokenizer)]
    return logits - logits.mean(dim=-1, keepdim=True)


def test_a_root_mean_square_norm_scales_each_dimension(with_norms) -> None:
    for architecture in ("llama", "gemma"):
        model = with_norms(architecture)
        rows = vectors(model)
        scale = model.body.norm.weight + (1 if architecture == "gemma" else 0)
        normed = rows / rows.square().mean(dim=-1, keepdim=True).sqrt() * scale
        expected = centred(normed @ model.model.get_output_embeddings().weight.T, model)
        torch.testing.assert_close(unembedded(model, 7 * rows), expected.detach(), rtol=1e-3, atol=1e-3)


def test_a_layer_norm_takes_away_the_mean_and_its_bias_is_no_part_of_a_direction(with_norms) -> None:
    model = with_norms("gpt2")
    rows = vectors(model)
    norm = model.body.ln_f
    assert norm.bias.abs().max() > 0.1
    normed = (rows - rows.mean(dim=-1, keepdim=True)) / rows.std(dim=-1, unbiased=False, keepdim=True) * norm.weight
    scaled = rows / rows.norm(dim=-1, keepdim=True) * model.d_model**0.5
    assert torch.allclose(scaled.norm(dim=-1), torch.tensor(model.d_model**0.5))
    expected = centred(normed @ model.model.get_output_embeddings().weight.T, model)
    torch.testing.assert_close(unembedded(model, rows), expected.detach(), rtol=1e-3, atol=1e-3)


def test_a_planted_token_comes_first_and_beyond_random_directions(tiny) -> None:
    model = tiny()
    head = model.model.get_output_embeddings().weight.detach()
    frame = promoted_frame(model, {("planted", 2): head[123]}, n=3)
    first = frame[frame["way"] == "raised"].iloc[0]
    assert first["token"] == model.tokenizer.decode([123]) and first["score"] > first["random_95"]
    opposite = promoted_frame(model, {("planted", 2): -head[123]}, n=3)
    assert opposite[opposite["way"] == "lowered"].iloc[0]["token"] == model.tokenizer.decode([123])
    assert opposite["score"].tolist()[:3] == pytest.approx((-frame["score"]).tolist()[3:], rel=1e-4)


def test_random_directions_move_no_token_further_than_the_control_says(tiny) -> None:
    model = tiny()
    drawn = torch.randn(200, model.d_model, generator=torch.Generator().manual_seed(5))
    frame = promoted_frame(model, {(str(number), 0): row for number, row in enumerate(drawn)}, n=1, n_random=400)
    highest = frame.assign(score=frame["score"].abs()).groupby("behaviour")["score"].max()
    assert 0.01 < (highest > frame["random_95"].iloc[0]).mean() < 0.11


def test_directions_tabulate_every_behaviour_and_layer_and_one_does_what_all_do(tiny, traces) -> None:
    model = tiny()
    directions = mean_difference_directions(collect(model, traces, progress=False))
    frame = directions.top_tokens(model, n=2)
    assert len(frame) == len(directions) * model.n_layers * 2 * 2
    one = directions["deduction"].top_tokens(model, layers=[1], n=2)
    own = frame[(frame["behaviour"] == "deduction") & (frame["layer"] == 1)].reset_index(drop=True)
    assert one["token"].tolist() == own["token"].tolist()
    assert one["score"].tolist() == pytest.approx(own["score"].tolist(), rel=1e-5)


def test_a_direction_of_another_model_or_of_zeros_is_refused(tiny, traces) -> None:
    directions = mean_difference_directions(collect(tiny(), traces, progress=False))
    with pytest.raises(InputError, match="has other weights"):
        directions.top_tokens(tiny("qwen"))
    assert len(directions.top_tokens(tiny("qwen"), force=True, n=1))
    with pytest.raises(InputError, match="is zero"):
        Direction.of(torch.zeros(32), layers=0).top_tokens(tiny())
    with pytest.raises(InputError, match="7 dimensions"):
        Direction.of(torch.ones(7), layers=0).top_tokens(tiny())
    with pytest.raises(InputError, match="n takes a whole number"):
        directions.top_tokens(tiny(), n=0)
