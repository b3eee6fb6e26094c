"""TransformerLens: what is read at every site is what its cache holds under the same name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from reasonlens.models import load
from reasonlens.models.find_place import places_of
from reasonlens.models.one_pass import one_pass
from reasonlens.models.sites import SITES, Site
from tests.models.architectures import PARALLEL, make

pytestmark = pytest.mark.interop

IDS = torch.tensor([[5, 17, 200, 3, 44, 91]])
TOLERANCE = 1e-5  # of the largest number at the site
ARCHITECTURES = ("llama", "qwen3", "gemma3", "olmo2", "granite", "mixtral", "gpt2", "opt", "falcon", "cohere2")
ARCHITECTURES += ("neox", "neox-one-after-the-other", "gptj", "phi", "bloom")
NO_HEADS = ("gptj", "opt", "bloom")  # no single heads in TransformerLens, or none beside attn.o.hook_out
OTHER_NAMES = {  # where what attention adds has another name in its cache
    ("bloom", "hook_attn_out"): "attn.o.hook_out",
    ("bloom", "hook_mlp_out"): "mlp.out.hook_out",
    ("opt", "hook_mlp_out"): "mlp.out.hook_out",
}


def at_sites(model: Any, ids: Tensor, sites: list[Site]) -> dict[tuple[int, Site], Tensor]:
    activations: dict[tuple[int, Site], Tensor] = {}
    places = places_of(model, range(model.n_layers), sites)

    def reader(key: tuple[int, Site]) -> Any:
        return lambda values: activations.__setitem__(key, values.clone())

    with torch.no_grad(), one_pass(model, readers={place: reader(key) for key, place in places.items()}):
        model.body(ids)
    return activations


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_site_is_what_the_cache_of_transformer_lens_holds(architecture: str, tokenizer, measured) -> None:
    model = make(architecture, tokenizer, attn_implementation="eager")
    bridge = model.to_bridge()
    names = [name for name in SITES if name != "hook_resid_mid" or architecture not in PARALLEL]
    if architecture == "bloom":
        names = [name for name in names if "." not in name]  # its modules add the stream themselves
    if architecture == "opt":
        names.remove("mlp.hook_out")  # there is no module for the MLP
    sites = [Site(name) for name in names]
    if architecture not in NO_HEADS:
        sites += [Site("attn.hook_result", head) for head in range(4)]
        bridge.set_use_attn_result(True)
    with torch.no_grad():
        _, cache = bridge.run_with_cache(IDS)
    if architecture in PARALLEL:
        assert "blocks.1.hook_resid_mid" not in cache
    distances: dict[str, float] = {}
    for (layer, site), ours in at_sites(model, IDS, sites).items():
        name = OTHER_NAMES.get((architecture, site.name), site.name)
        theirs = cache[f"blocks.{layer}.{name}"]
        theirs = (theirs if site.head is None else theirs[:, :, site.head]).reshape(ours.shape)
        distance = float((ours - theirs).abs().max() / theirs.abs().max())
        distances[site.name] = max(distances.get(site.name, 0.0), distance)
    figures = ", ".join(f"{name} {value:.0e}" for name, value in distances.items())
    measured("transformer-lens", f"{architecture}: distance at sites", figures)
    assert max(distances.values()) < TOLERANCE, figures


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2", "phi"])
def test_the_model_inside_a_bridge_has_the_same_sites(architecture: str, tokenizer) -> None:
    model = make(architecture, tokenizer, attn_implementation="eager")
    inside = load(model.to_bridge())
    names = [name for name in SITES[:5] if name != "hook_resid_mid" or architecture not in PARALLEL]
    sites = [Site(name) for name in names]
    expected = at_sites(model, IDS, sites)
    for key, values in at_sites(inside, IDS, sites).items():
        torch.testing.assert_close(values, expected[key], rtol=1e-5, atol=1e-5)
