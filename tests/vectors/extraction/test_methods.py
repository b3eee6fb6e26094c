from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from reasonlens import Directions, InputError, Moments
from reasonlens.vectors.extraction import METHODS, at_layers, method_named

FROM_MOMENTS = ("mean-difference", "lda", "ridge")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_recovers_a_planted_direction_at_every_layer(planted, name: str) -> None:
    activations, truth = planted(n_problems=200)
    found = METHODS[name].find(activations)
    assert cosine_similarity(found.vectors["backtracking"], truth, dim=-1).min() > 0.97
    assert found.behaviours == activations.behaviours and found.layers == (0, 3)


@pytest.mark.parametrize("name", METHODS)
def test_every_direction_is_as_long_as_the_classes_lie_apart_along_it(planted, name: str) -> None:
    activations, truth = planted(n_problems=200)
    found = METHODS[name].find(activations)
    for behaviour in found.behaviours:
        shows = torch.from_numpy(activations.shows(behaviour))
        for slot, layer in enumerate(found.layers):
            acts = activations.layer(layer)
            apart = acts[shows].mean(dim=0) - acts[~shows].mean(dim=0)
            along = float(apart @ torch.nn.functional.normalize(found.vectors[behaviour][slot], dim=0))
            length = float(found.vectors[behaviour][slot].norm())
            assert along > 0, "towards the behaviour"
            if name != "pca":  # its own differences are those within traces
                assert length == pytest.approx(along, rel=1e-4)
    assert found.vectors["backtracking"].norm(dim=1).numpy() == pytest.approx([2, 2], rel=0.1), "planted: 2"


@pytest.mark.parametrize("name", METHODS)
def test_what_is_known_of_the_source_is_kept(planted, name: str) -> None:
    activations, _ = planted()
    found = METHODS[name].find(activations, behaviours=["backtracking"])
    assert found.behaviours == ("backtracking",)
    assert found.n_examples == {"backtracking": int(activations.shows("backtracking").sum())}
    assert (found.n_problems, found.read, found.model) == (60, "before:1", {"name": "planted"})
    assert found.residual_norm == pytest.approx(activations.residual_norm.tolist())
    whole = METHODS[name].find(activations)
    torch.testing.assert_close(
        found.vectors["backtracking"], whole.vectors["backtracking"], msg="the others are negatives all the same"
    )


@pytest.mark.parametrize("name", METHODS)
def test_the_layers_that_are_chosen_are_found_as_among_all(planted, name: str) -> None:
    activations, _ = planted()
    only = METHODS[name].find(at_layers(activations, [3]), behaviours=["doubt"])
    assert only.layers == (3,)
    whole = METHODS[name].find(activations, behaviours=["doubt"])
    torch.testing.assert_close(only.at("doubt", 3), whole.at("doubt", 3))
    with pytest.raises(InputError, match="layer 1 was not collected; these were: 0, 3"):
        at_layers(activations, [1])


@pytest.mark.parametrize("name", FROM_MOMENTS)
def test_moments_give_the_directions_of_their_activations(planted, name: str) -> None:
    activations, _ = planted(content=3.0)
    options = {"shrinkage": 0.3} if name == "lda" else {}
    kept = METHODS[name].find(activations, **options)
    moments = Moments.of(activations, covariance=True)
    added = METHODS[name].find(moments, **options)
    one = METHODS[name].find(at_layers(moments, [3]), **options)
    for behaviour in kept.behaviours:
        torch.testing.assert_close(added.vectors[behaviour], kept.vectors[behaviour], atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(one.at(behaviour, 3), added.at(behaviour, 3))


@pytest.mark.parametrize("name", sorted(set(METHODS) - set(FROM_MOMENTS)))
def test_a_method_that_needs_every_span_says_so_of_moments(planted, name: str) -> None:
    moments = Moments.of(planted()[0], covariance=True)
    with pytest.raises(InputError, match="needs every span's activation, and these are moments; collect with --keep"):
        METHODS[name].find(moments)


@pytest.mark.parametrize("name", METHODS)
def test_mistakes_are_named(planted, name: str) -> None:
    activations, _ = planted()
    with pytest.raises(InputError, match="no span shows 'dreaming'; the labels here are .*Check the spelling"):
        METHODS[name].find(activations, behaviours=["dreaming"])
    alike = replace(activations, examples=tuple(replace(each, label="doubt") for each in activations.examples))
    with pytest.raises(InputError, match="every span is labelled 'doubt': a direction needs spans that do not show it"):
        METHODS[name].find(alike)


@pytest.mark.parametrize("name", METHODS)
def test_a_dimension_that_never_varies_gets_no_weight(planted, name: str) -> None:
    activations, _ = planted()
    acts = activations.values.clone()
    acts[..., 5] = 7.0
    found = METHODS[name].find(replace(activations, values=acts))
    for vectors in found.vectors.values():
        assert vectors.isfinite().all() and vectors[:, 5].abs().max() < 1e-5


@pytest.mark.parametrize("name", METHODS)
def test_directions_survive_their_file(planted, name: str, tmp_path) -> None:
    found = METHODS[name].find(planted()[0])
    found.save(tmp_path / "vectors.safetensors")
    opened = Directions.open(tmp_path / "vectors.safetensors")
    assert opened.method == found.method and opened.scores == found.scores
    torch.testing.assert_close(opened.vectors["doubt"], found.vectors["doubt"], rtol=0, atol=0)


def test_an_unknown_name_or_option_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="no way 'magic' to find directions; there are mean-difference, pca, lda"):
        method_named("magic")
    with pytest.raises(InputError, match="lda has no option 'C'; it has shrinkage"):
        method_named("lda").check_options("lda", {"C": np.float64(1)})
