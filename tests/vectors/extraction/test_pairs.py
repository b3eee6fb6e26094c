from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from reasonlens import Activations, InputError
from reasonlens.vectors.extraction import pca_directions


def naive_differences(activations: Activations, behaviour: str, layer: int) -> np.ndarray:
    acts, found = activations.layer(layer).double().numpy(), []
    for row, example in enumerate(activations.examples):
        others = [
            acts[other]
            for other, each in enumerate(activations.examples)
            if each.trace == example.trace and each.label != behaviour
        ]
        if example.label == behaviour and others:
            found.append(acts[row] - np.mean(others, axis=0))
    return np.array(found)


@pytest.mark.parametrize("centred", [False, True])
def test_directions_are_the_first_components_of_naively_paired_spans(planted, centred: bool) -> None:
    activations, _ = planted(content=3.0)
    found = pca_directions(activations, centred=centred)
    for behaviour in found.behaviours:
        for slot, layer in enumerate(activations.layers):
            x = naive_differences(activations, behaviour, layer)
            # Zou et al. flip every second pair, repeng stacks both ends of a pair around its middle: no mean is left.
            reference = PCA(1).fit(x if centred else np.concatenate([x, -x]))
            axis = reference.components_[0] * np.sign(x.mean(axis=0) @ reference.components_[0])
            np.testing.assert_allclose(
                found.vectors[behaviour][slot].numpy(), (x.mean(axis=0) @ axis) * axis, atol=2e-4
            )
            explained = found.scores[behaviour]["explained"][slot]
            assert explained == pytest.approx(reference.explained_variance_ratio_[0], rel=1e-4)


def test_what_a_text_is_about_cancels_in_pairs(planted) -> None:
    """Content ten times the behaviour, and more of the behaviour in texts of one kind: a mean difference follows it."""
    activations, truth = planted(n_problems=200, strength=3.0, content=10.0, confounded=True)
    pairs = pca_directions(activations).vectors["backtracking"]
    assert torch.cosine_similarity(pairs, truth, dim=-1).min() > 0.95
    shows = torch.from_numpy(activations.shows("backtracking"))
    apart = activations.values[shows].mean(dim=0) - activations.values[~shows].mean(dim=0)
    assert torch.cosine_similarity(apart, truth, dim=-1).max() < 0.6


def test_a_behaviour_that_stands_alone_in_its_traces_has_no_pairs(planted) -> None:
    activations, _ = planted()
    apart = tuple(replace(each, trace=f"{each.trace}-{each.label}") for each in activations.examples)
    with pytest.raises(InputError, match="'backtracking' has 0 spans in traces that hold other labels too.*take mean-"):
        pca_directions(replace(activations, examples=apart), behaviours=["backtracking"])
    once = (replace(activations.examples[0], label="rare"), *activations.examples[1:])
    found = pca_directions(replace(activations, examples=once))
    assert "rare" not in found.behaviours and len(found.behaviours) == 3, "left out where nobody asked for it"
    with pytest.raises(InputError, match="'rare' has 1 spans"):
        pca_directions(replace(activations, examples=once), behaviours=["rare"])
