"""Every site equals what hand-made hooks see, and what a block has not, or nothing confirms, is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from reasonlens.models import LanguageModel
from reasonlens.models.find_place import place_of, places_of
from reasonlens.models.one_pass import one_pass
from reasonlens.models.sites import BLOCK_OUTPUT, SITES, Site
from reasonlens.rundir import InputError

from .architectures import BY_HAND, PARALLEL, make

LAYER = 1
IDS = torch.tensor([[5, 17, 200, 3, 44, 91], [7, 7, 8, 300, 21, 2]])

PROJECTIONS = {
    "gpt2": "attn.c_proj",
    "gptj": "attn.out_proj",
    "mixtral": "self_attn.o_proj",
    "llama": "self_attn.o_proj",
}
PROJECTIONS |= {"phi": "self_attn.dense", "falcon": "self_attention.dense", "granite": "self_attn.o_proj"}
PROJECTIONS |= {"opt": "self_attn.out_proj", "gemma3": "self_attn.o_proj", "neox": "attention.dense"}


@pytest.fixture
def handle(tokenizer: PreTrainedTokenizerFast) -> Callable[..., LanguageModel]:
    return lambda architecture, dtype=torch.float32: make(architecture, tokenizer, dtype)


def at_sites(model: LanguageModel, sites: list[Site], layers: tuple[int, ...] = (LAYER,)) -> dict[Any, Tensor]:
    """What one pass over IDS has at each of several sites."""
    activations: dict[Any, Tensor] = {}
    places = places_of(model, layers, sites)

    def reader(key: tuple[int, Site]) -> Callable[[Tensor], None]:
        return lambda values: activations.__setitem__(key if len(layers) > 1 else key[1], values.clone())

    with torch.inference_mode(), one_pass(model, readers={place: reader(key) for key, place in places.items()}):
        model.body(IDS, use_cache=False)
    return activations


@contextmanager
def seen(model: LanguageModel, path: str, is_input: bool = False) -> Iterator[list[Tensor]]:
    """What a module of the block has received or returned, by a plain hook."""
    module, values = model.blocks[LAYER].get_submodule(path), list[Tensor]()

    def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        values.append((args[0] if args else kwargs["hidden_states"]).clone())

    def after(_module: nn.Module, _args: Any, output: Any) -> None:
        values.append((output[0] if isinstance(output, tuple) else output).clone())

    hook = (
        module.register_forward_pre_hook(before, with_kwargs=True) if is_input else module.register_forward_hook(after)
    )
    yield values
    hook.remove()


def by_hand(model: LanguageModel, path: str, is_input: bool = False) -> Tensor:
    with seen(model, path, is_input) as values, torch.inference_mode():
        model.model.eval()(IDS, use_cache=False)
    (only,) = values
    return only.reshape(*IDS.shape, -1)


@pytest.mark.parametrize("architecture", BY_HAND)
def test_every_site_is_what_a_plain_hook_sees(handle: Callable[..., LanguageModel], architecture: str) -> None:
    model = handle(architecture)
    attention, middle, mlp, factor = BY_HAND[architecture]
    expected = {
        "hook_resid_pre": by_hand(model, "", is_input=True),
        "hook_attn_out": factor * by_hand(model, attention),
        "hook_mlp_out": factor * by_hand(model, mlp),
        "hook_out": by_hand(model, ""),
    } | ({} if middle is None else {"hook_resid_mid": by_hand(model, middle, is_input=True)})
    activations = at_sites(model, [Site(name) for name in expected])
    for name, values in expected.items():
        assert torch.equal(activations[Site(name)], values), name


@pytest.mark.parametrize("architecture", BY_HAND)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_stream_is_the_sum_of_what_attention_and_mlp_add(
    handle: Callable[..., LanguageModel], architecture: str, dtype: torch.dtype
) -> None:
    model = handle(architecture, dtype)
    names = [name for name in SITES[:5] if name != "hook_resid_mid" or architecture not in PARALLEL]
    read = {site.name: values.double() for site, values in at_sites(model, [Site(name) for name in names]).items()}
    tolerance = {"rtol": 8 * torch.finfo(dtype).eps, "atol": 8 * torch.finfo(dtype).eps}
    if architecture == "opt-norms-after":
        first, last = (model.blocks[LAYER].get_submodule(f"{name}_layer_norm") for name in ("self_attn", "final"))
        normed = first((read["hook_resid_pre"] + read["hook_attn_out"]).to(dtype)).double()
        torch.testing.assert_close(normed, read["hook_resid_mid"], **tolerance)
        total = last((read["hook_resid_mid"] + read["hook_mlp_out"]).to(dtype)).double()
        torch.testing.assert_close(total, read["hook_out"], **tolerance)
        return
    if "hook_resid_mid" in read:
        torch.testing.assert_close(read["hook_resid_pre"] + read["hook_attn_out"], read["hook_resid_mid"], **tolerance)
    total = read["hook_resid_pre"] + read["hook_attn_out"] + read["hook_mlp_out"]
    torch.testing.assert_close(total, read["hook_out"], **tolerance)


@pytest.mark.parametrize("architecture", PROJECTIONS)
def test_heads_add_up_to_the_output_of_attention(handle: Callable[..., LanguageModel], architecture: str) -> None:
    model = handle(architecture)
    heads = [Site("attn.hook_result", head) for head in range(4)]
    read = at_sites(model, [*heads, Site("attn.hook_out")])
    projection: Any = model.blocks[LAYER].get_submodule(PROJECTIONS[architecture])
    bias = 0 if projection.bias is None else projection.bias
    factor = BY_HAND[architecture][3]
    total = sum(read[head] for head in heads) / factor + bias
    torch.testing.assert_close(total, read[Site("attn.hook_out")], rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match=r"head 4 does not exist: tiny-.* has 4 heads \(0\.\.3\)"):
        place_of(model, LAYER, Site("attn.hook_result", 4))


def test_a_head_is_what_is_left_where_only_its_values_reach_the_projection(
    handle: Callable[..., LanguageModel],
) -> None:
    model = handle("llama")
    head = Site("attn.hook_result", 2)
    with torch.no_grad():
        for block in model.blocks:  # without a bias, the other heads then add nothing
            weight = block.get_submodule("self_attn.o_proj").weight
            weight[:, :16], weight[:, 24:] = 0, 0
    read = at_sites(model, [head, Site("attn.hook_out")])
    torch.testing.assert_close(read[head], read[Site("attn.hook_out")], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("architecture", "module"), [("gemma3", "self_attn"), ("granite", "self_attn")])
def test_the_modules_own_output_is_before_a_norm_or_a_factor(
    handle: Callable[..., LanguageModel], architecture: str, module: str
) -> None:
    model = handle(architecture)
    read = at_sites(model, [Site(name) for name in ("attn.hook_out", "mlp.hook_out", "hook_attn_out", "hook_mlp_out")])
    assert torch.equal(read[Site("attn.hook_out")], by_hand(model, module))
    assert torch.equal(read[Site("mlp.hook_out")], by_hand(model, "mlp"))
    assert not torch.allclose(read[Site("attn.hook_out")], read[Site("hook_attn_out")])
    assert not torch.allclose(read[Site("mlp.hook_out")], read[Site("hook_mlp_out")])


@pytest.mark.parametrize("architecture", PARALLEL)
def test_no_stream_between_is_invented_where_attention_and_mlp_run_side_by_side(
    handle: Callable[..., LanguageModel], architecture: str
) -> None:
    message = (
        "has no site hook_resid_mid: its attention and its MLP read the same stream.* It has hook_resid_pre, hook_attn"
    )
    with pytest.raises(InputError, match=message):
        place_of(handle(architecture), LAYER, Site("hook_resid_mid"))


@pytest.mark.parametrize(
    ("architecture", "layer", "site", "reason"),
    [
        ("mamba", 1, "hook_attn_out", r"no attention \(its modules: mixer\).* It has hook_resid_pre, hook_out"),
        ("mamba", 1, "hook_mlp_out", r"no MLP \(its modules: mixer\)"),
        ("mamba", 1, "hook_resid_mid", "no module there .of mixer. was confirmed"),
        ("mamba", 1, "attn.hook_result:0", "no attention"),
        ("jamba", 0, "hook_attn_out", r"no attention \(its modules: mamba, feed_forward\)"),
        ("bloom", 1, "attn.hook_out", "no module there"),
    ],
)
def test_a_site_that_a_block_lacks_is_refused_by_name(
    handle: Callable[..., LanguageModel], architecture: str, layer: int, site: str, reason: str
) -> None:
    with pytest.raises(InputError, match=f"block {layer} of tiny-{architecture} has no site {site}: .*{reason}"):
        place_of(handle(architecture), layer, Site.parse(site))


def test_a_block_of_another_kind_in_the_same_model_has_its_own_sites(handle: Callable[..., LanguageModel]) -> None:
    model = handle("jamba")
    assert place_of(model, 1, Site("hook_attn_out")).module is model.blocks[1].get_submodule("self_attn")
    assert place_of(model, 0, Site("hook_mlp_out")).module is model.blocks[0].get_submodule("feed_forward")


def test_a_block_whose_sums_are_other_ones_is_refused_and_not_guessed(
    handle: Callable[..., LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules by the usual names, and a sum that no configuration speaks of."""
    model = handle("llama")
    block: Any = model.blocks[LAYER]

    def forward(hidden_states: Tensor, **options: Any) -> Tensor:
        added, _ = block.self_attn(hidden_states=block.input_layernorm(hidden_states), **options)
        hidden_states = hidden_states + 0.7 * added
        return hidden_states + block.mlp(block.post_attention_layernorm(hidden_states)) * 1.01

    monkeypatch.setattr(block, "forward", forward)
    for name in ("hook_attn_out", "hook_resid_mid", "hook_mlp_out", "attn.hook_out", "mlp.hook_out"):
        with pytest.raises(InputError, match=f"block 1 of tiny-llama has no site {name}: no module there .*confirmed"):
            place_of(model, LAYER, Site(name))
    assert place_of(model, 0, Site("hook_attn_out")).module is model.blocks[0].get_submodule("self_attn")


def test_attention_that_adds_nothing_confirms_nothing(handle: Callable[..., LanguageModel]) -> None:
    model = handle("llama")
    with torch.no_grad():
        model.blocks[LAYER].get_submodule("self_attn.o_proj").weight.zero_()
    with pytest.raises(InputError, match="no module there"):
        place_of(model, LAYER, Site("hook_resid_mid"))


def test_several_sites_of_several_blocks_come_from_one_pass(handle: Callable[..., LanguageModel]) -> None:
    model = handle("gpt2")
    sites = [Site(name) for name in SITES]
    n_passes: list[int] = []
    places_of(model, range(3), sites)
    model.blocks[0].register_forward_pre_hook(lambda *_: n_passes.append(1))
    together = at_sites(model, sites, layers=(0, 1, 2))
    assert len(n_passes) == 1 and len(together) == 21
    for site in sites:
        assert torch.equal(at_sites(model, [site])[site], together[LAYER, site])


def test_the_model_is_looked_at_once_and_the_blocks_ends_need_no_look(handle: Callable[..., LanguageModel]) -> None:
    model = handle("llama")
    n_passes: list[int] = []
    model.body.register_forward_pre_hook(lambda *_: n_passes.append(1))
    places_of(model, range(3), [BLOCK_OUTPUT, Site("hook_resid_pre")])
    assert not n_passes
    for _ in range(2):
        places_of(model, range(3), [Site("hook_mlp_out")])
    assert len(n_passes) == 1
    model.blocks[0].add_module("another", nn.Identity())
    place_of(model, 0, Site("hook_mlp_out"))
    assert len(n_passes) == 2


def test_a_place_that_does_not_run_in_the_pass_is_an_error(handle: Callable[..., LanguageModel]) -> None:
    model = handle("llama")
    place = place_of(model, LAYER, Site("hook_mlp_out"))
    with pytest.raises(InputError, match="block 1 of tiny-llama did not run"), one_pass(model, readers={place: print}):
        pass
    with (
        pytest.raises(InputError, match="block 1 of tiny-llama ran several times"),
        one_pass(model, readers={place: lambda values: None}),
        torch.no_grad(),
    ):
        model.body(IDS)
        model.body(IDS)


CHANGED = [(architecture, name) for architecture in BY_HAND for name in SITES[:5]]


@pytest.mark.parametrize(
    ("architecture", "name"),
    [pair for pair in CHANGED if pair[0] not in PARALLEL or pair[1] != "hook_resid_mid"],
)
def test_what_is_added_at_a_site_is_what_a_plain_hook_adds(
    handle: Callable[..., LanguageModel], architecture: str, name: str
) -> None:
    model = handle(architecture)
    vector = torch.randn(32, generator=torch.Generator().manual_seed(2))
    attention, _, mlp, factor = BY_HAND[architecture]
    middle = "self_attn_layer_norm" if architecture == "opt-norms-after" else attention
    paths = {"hook_attn_out": attention, "hook_resid_mid": middle, "hook_mlp_out": mlp}
    block = model.blocks[LAYER]
    plain = by_hand(model, "")

    def add(_module: nn.Module, _args: Any, output: Any) -> Any:
        shift = vector / (factor if name in paths else 1)
        return (output[0] + shift, *output[1:]) if isinstance(output, tuple) else output + shift

    if name == "hook_resid_pre":
        added: Any = block.register_forward_pre_hook(lambda _module, args: (args[0] + vector, *args[1:]))
    else:
        added = block.get_submodule(paths.get(name, "")).register_forward_hook(add)
    expected = by_hand(model, "")
    added.remove()
    remove = place_of(model, LAYER, Site(name)).change(lambda values: values + vector)
    changed = by_hand(model, "")
    remove()
    torch.testing.assert_close(changed, expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(expected, plain, atol=1e-2) and torch.equal(by_hand(model, ""), plain)


@pytest.mark.parametrize("architecture", ["llama", "granite", "opt", "gemma3", "bloom"])
def test_a_change_of_the_stream_between_reaches_the_mlp_and_the_stream_after_it(
    handle: Callable[..., LanguageModel], architecture: str
) -> None:
    model = handle(architecture)
    middle, added, after = Site("hook_resid_mid"), Site("hook_mlp_out"), Site("hook_out")
    before = at_sites(model, [middle])[middle]
    remove = place_of(model, LAYER, middle).change(lambda values: -2 * values)
    read = at_sites(model, [middle, added, after])
    remove()
    torch.testing.assert_close(read[middle], -2 * before, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(read[after], -2 * before + read[added], rtol=1e-5, atol=1e-5)


def test_a_hook_that_returns_nothing_leaves_a_site_as_it_is(handle: Callable[..., LanguageModel]) -> None:
    model = handle("opt")
    plain = by_hand(model, "")
    for name in SITES[:5]:
        remove = place_of(model, LAYER, Site(name)).change(lambda values: None)
        assert torch.equal(by_hand(model, ""), plain)
        remove()


def test_names_are_parsed_and_written_as_transformer_lens_writes_them() -> None:
    for name in (*SITES, "attn.hook_result:3"):
        assert str(Site.parse(name)) == name
    assert Site.parse("hook_in") == Site("hook_resid_pre") and Site.parse("hook_resid_post") == BLOCK_OUTPUT
    assert Site("attn.hook_result", 3).in_block(5) == "blocks.5.attn.hook_result"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hook_atn_out", "unknown site 'hook_atn_out'.*Did you mean 'hook_attn_out'?"),
        ("blocks.3.hook_out", "Give the name without blocks"),
        ("hook_out:1", "unknown site"),
        ("attn.hook_result", "unknown site.*attn.hook_result:H"),
        ("attn.hook_result:-1", "unknown site"),
        (3, "site"),
    ],
)
def test_another_name_is_refused_with_the_nearest_one(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Site.parse(text)
