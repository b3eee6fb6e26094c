from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from reasonlens import (
    Activations,
    InputError,
    Read,
    mean_difference,
    mean_difference_directions,
)
from reasonlens.activations import Example


def synthetic(n_examples: int = 4000, n_layers: int = 3, d_model: int = 64) -> tuple[Activations, torch.Tensor]:
    """Noise with a planted direction for "planted" at every layer, and two labels that carry none."""
    generator = torch.Generator().manual_seed(0)
    planted = normalize(torch.randn(n_layers, d_model, generator=generator), dim=-1)
    labels = [("planted", "other", "third")[number % 3] for number in range(n_examples)]
    shows = torch.tensor([label == "planted" for label in labels])
    acts = torch.randn(n_examples, n_layers, d_model, generator=generator) + 2 * shows[:, None, None] * planted
    examples = tuple(Example(f"t{n // 9}", f"p{n // 9}", label, 0, 1, "x", None) for n, label in enumerate(labels))
    overall = acts.reshape(-1, 10, n_layers, d_model).mean(dim=1).mean(dim=0)
    activations = Activations(
        values=acts,
        examples=examples,
        layers=tuple(range(n_layers)),
        read=Read.mean(),
        model={"name": "noise"},
        overall_mean=overall,
        residual_norm=acts.norm(dim=-1).mean(dim=0),
    )
    return activations, planted


@pytest.mark.parametrize("against", ["others", "overall"])
def test_a_planted_direction_is_recovered_at_every_layer(against: str) -> None:
    activations, planted = synthetic()
    found = mean_difference_directions(activations, against=against).vectors["planted"]
    assert cosine_similarity(found, planted, dim=-1).min() > 0.95


def test_shuffled_labels_give_a_direction_of_noise_size() -> None:
    generator = torch.Generator().manual_seed(0)
    acts = torch.randn(4000, 1, 64, generator=generator)
    shuffled = torch.randperm(4000, generator=generator) % 2 == 0
    noise_norm = (64 * 4 / 4000) ** 0.5  # sqrt(d_model * (1 / n_positive + 1 / n_negative))
    assert abs(mean_difference(acts, shuffled).norm() / noise_norm - 1) < 0.3


def test_both_published_forms_equal_their_definition_in_float64() -> None:
    activations, _ = synthetic(n_examples=300)
    acts = activations.values.numpy().astype(np.float64)
    shows = activations.shows("other")
    expected_others = acts[shows].mean(axis=0) - acts[~shows].mean(axis=0)
    expected_overall = acts[shows].mean(axis=0) - activations.overall_mean.numpy().astype(np.float64)
    others = mean_difference_directions(activations, against="others")
    overall = mean_difference_directions(activations, against="overall")
    np.testing.assert_allclose(others.vectors["other"], expected_others, atol=1e-6)
    np.testing.assert_allclose(overall.vectors["other"], expected_overall, atol=1e-6)
    assert (others.method, overall.method) == ("mean difference against others", "mean difference against overall")


def test_rescaled_directions_have_the_norm_of_the_overall_mean_and_their_own_sense() -> None:
    activations, _ = synthetic(n_examples=300)
    plain = mean_difference_directions(activations, against="overall")
    scaled = mean_difference_directions(activations, against="overall", rescale=True)
    for behaviour in plain.behaviours:
        torch.testing.assert_close(scaled.vectors[behaviour].norm(dim=-1), activations.overall_mean.norm(dim=-1))
        assert cosine_similarity(scaled.vectors[behaviour], plain.vectors[behaviour], dim=-1).min() > 0.9999


def test_large_offsets_lose_no_precision() -> None:
    activations, _ = synthetic(n_examples=600, n_layers=1)
    shows = torch.from_numpy(activations.shows("planted"))
    near = mean_difference(activations.values, shows)
    far = mean_difference((activations.values.double() + 2**17).float(), shows)  # a step of 1/64 in float32
    torch.testing.assert_close(far, near, atol=2e-3, rtol=0)


def test_an_empty_class_is_named_with_the_remedy() -> None:
    with pytest.raises(InputError, match="no example shows the behaviour .* spelling in the traces"):
        mean_difference(torch.zeros(2, 1, 4), torch.tensor([False, False]))
    with pytest.raises(InputError, match="no example lacks the behaviour"):
        mean_difference(torch.zeros(2, 1, 4), torch.tensor([True, True]))
