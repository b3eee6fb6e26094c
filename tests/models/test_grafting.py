"""Grafts of weights: identities bit for bit, parts against names written by hand, and a control of the same norm."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable

import pytest
import torch

from reasonlens.models import LanguageModel, wrap
from reasonlens.models.grafting import check_graftable, difference_norm, graft, permuted_graft, tensors_of
from reasonlens.models.parts import PARTS, weight_places
from reasonlens.rundir import InputError

ARCHITECTURES = ("llama", "qwen", "gemma", "phi", "gpt-neox", "gpt2", "opt")
IDS = torch.tensor([[5, 17, 300, 41, 8]])
OWN_NAMES = {  # of the tensors of attention and MLPs, as each architecture calls them
    "llama": (r"self_attn\.", r"\.mlp\."),
    "qwen": (r"self_attn\.", r"\.mlp\."),
    "gemma": (r"self_attn\.", r"\.mlp\."),
    "phi": (r"self_attn\.", r"\.mlp\."),
    "gpt-neox": (r"\.attention\.", r"\.mlp\."),
    "gpt2": (r"\.attn\.", r"\.mlp\."),
    "opt": (r"self_attn\.", r"\.fc[12]\."),
}


def moved(model: LanguageModel, pattern: str = "") -> LanguageModel:
    """The model with noise on the weights whose name matches."""
    other = copy.deepcopy(model.model)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, weight in other.named_parameters():
            if re.search(pattern, name):
                weight += 0.3 * torch.randn(weight.shape, generator=generator)
    return wrap(other, model.tokenizer, name="moved")


def logits(model: LanguageModel) -> torch.Tensor:
    with torch.inference_mode():
        return model.model(IDS).logits


def names_of(model: LanguageModel, part: str) -> list[str]:
    return [name for name, place in weight_places(model).items() if place.part == part]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_weights_make_the_other_model_and_none_the_base_bit_for_bit(tiny: Callable, architecture: str) -> None:
    base = tiny(architecture)
    other = moved(base)
    check_graftable(base, other)
    before = logits(base), logits(other)
    assert not torch.equal(*before)
    assert torch.equal(logits(graft(base, other, list(tensors_of(base)), "all")), before[1])
    assert torch.equal(logits(graft(base, other, [], "none")), before[0])
    assert torch.equal(logits(base), before[0]) and torch.equal(logits(other), before[1])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_part_is_what_its_architecture_calls_so_and_each_weight_has_one(tiny: Callable, architecture: str) -> None:
    base = tiny(architecture)
    attention, mlp = OWN_NAMES[architecture]
    names = list(dict(base.model.named_parameters()))
    assert [name for name in names if name in names_of(base, "attention")] == [
        name for name in names if re.search(attention, name)
    ]
    assert [name for name in names if name in names_of(base, "mlp")] == [name for name in names if re.search(mlp, name)]
    assert not [name for name in names if name in names_of(base, "other")]
    assert sorted(name for part in PARTS for name in names_of(base, part)) == sorted(tensors_of(base))
    layers = {place.layer for place in weight_places(base).values()}
    assert layers == {None, *range(base.n_layers)}


@pytest.mark.parametrize("architecture", ("llama", "gpt2", "opt"))
def test_a_graft_of_attention_is_the_base_with_these_entries_of_the_state_dict(
    tiny: Callable, architecture: str
) -> None:
    base = tiny(architecture)
    other = moved(base)
    reference = copy.deepcopy(base.model)
    state = reference.state_dict()
    own = {name for name in state if re.search(OWN_NAMES[architecture][0], name)}
    reference.load_state_dict({name: (other.model if name in own else base.model).state_dict()[name] for name in state})
    grafted = graft(base, other, names_of(base, "attention"), "attention")
    assert torch.equal(logits(grafted), logits(wrap(reference, base.tokenizer, name="reference")))
    assert grafted.fingerprint not in (base.fingerprint, other.fingerprint)


def test_the_control_moves_each_tensor_as_far_and_elsewhere(tiny: Callable) -> None:
    base = tiny()
    other = moved(base)
    names = names_of(base, "mlp")
    control = permuted_graft(base, other, names, "control", seed=3)
    own, others, controls = (tensors_of(model) for model in (base, other, control))
    for name in own:
        if name not in names:
            assert controls[name] is own[name]
            continue
        difference, moved_by = others[name] - own[name], controls[name] - own[name]
        assert torch.allclose(difference.norm(), moved_by.norm(), rtol=1e-4)
        assert torch.allclose(
            difference.abs().flatten().sort().values, moved_by.abs().flatten().sort().values, atol=1e-5
        )
        cosine = torch.cosine_similarity(difference.flatten(), moved_by.flatten(), dim=0)
        assert abs(cosine) < 5 / difference.numel() ** 0.5
    assert difference_norm(base, control, names) == pytest.approx(difference_norm(base, other, names), rel=1e-4)
    again = permuted_graft(base, other, list(own), "more", seed=3)
    assert all(torch.equal(tensors_of(again)[name], controls[name]) for name in names)
    another = permuted_graft(base, other, names, "another", seed=4)
    assert not torch.equal(tensors_of(another)[names[0]], controls[names[0]])


def test_the_norms_of_parts_add_up(tiny: Callable) -> None:
    base = tiny("gpt2")
    other = moved(base)
    parts = [difference_norm(base, other, names_of(base, part)) for part in PARTS]
    assert sum(norm**2 for norm in parts) ** 0.5 == pytest.approx(difference_norm(base, other, list(tensors_of(base))))


def test_models_that_are_not_of_one_kind_are_refused_with_what_differs(tiny: Callable) -> None:
    base = tiny()
    with pytest.raises(InputError, match="a LlamaForCausalLM and a GPT2LMHeadModel"):
        check_graftable(base, tiny("gpt2"))
    deeper = tiny()
    deeper.model.config.rope_theta = 123.0
    with pytest.raises(InputError, match=r"compute different things with equal weights.*(rope_theta|rope_parameters)"):
        check_graftable(base, deeper)
    with pytest.raises(InputError, match="adds vectors, which are no weights"):
        check_graftable(base, base.with_vectors(torch.ones(base.n_layers, base.d_model)))
    with pytest.raises(InputError, match="has no weights nonsense"):
        graft(base, moved(base), ["nonsense"], "x")
    half = wrap(copy.deepcopy(base.model).to(torch.bfloat16), base.tokenizer, name="half")
    with pytest.raises(InputError, match="cannot be exchanged: .* is .*float32 and .*bfloat16"):
        check_graftable(base, half)
