from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BloomConfig,
    GPTJConfig,
    GPTNeoConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    NemotronConfig,
    Olmo2Config,
    OPTConfig,
    PretrainedConfig,
    Qwen2Config,
    SeedOssConfig,
    SmolLM3Config,
    Starcoder2Config,
)

from reasonlens import Directions, InputError, LanguageModel
from reasonlens.models import wrap
from reasonlens.vectors.formats import baked, export

from ...conftest import D_MODEL, N_LAYERS, VOCABULARY
from .conftest import make_directions

_IDS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}
_SHARED = {"vocab_size": VOCABULARY, "hidden_size": D_MODEL, "num_attention_heads": 4} | _IDS
_ROPE = _SHARED | {"num_hidden_layers": N_LAYERS, "intermediate_size": 48, "max_position_embeddings": 512}
_GROUPED = _ROPE | {"num_key_value_heads": 2}
YARN = {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 128}
MORE: dict[str, PretrainedConfig] = {
    "tied llama": LlamaConfig(**_GROUPED, tie_word_embeddings=True),
    "llama with biases": LlamaConfig(**_ROPE, mlp_bias=True, attention_bias=True),
    "qwen2": Qwen2Config(**_GROUPED),
    "tied qwen2 with yarn": Qwen2Config(**_GROUPED, tie_word_embeddings=True, rope_parameters=YARN),
    "mistral, window beyond its context": MistralConfig(**_GROUPED, sliding_window=512),
    "granite": GraniteConfig(**_GROUPED, residual_multiplier=0.22),
    "smollm3": SmolLM3Config(**_GROUPED),
    "nemotron": NemotronConfig(**_GROUPED),
    "starcoder2": Starcoder2Config(**_GROUPED),
    "seed-oss": SeedOssConfig(**_GROUPED, head_dim=8),
    "gpt-j": GPTJConfig(
        vocab_size=VOCABULARY, n_embd=D_MODEL, n_layer=N_LAYERS, n_head=4, n_positions=512, rotary_dim=4, **_IDS
    ),
    "bloom": BloomConfig(vocab_size=VOCABULARY, hidden_size=D_MODEL, n_layer=N_LAYERS, n_head=4, **_IDS),
    "gpt-neo": GPTNeoConfig(
        **_SHARED, num_layers=2, attention_types=[[["global", "local"], 1]], num_heads=4, max_position_embeddings=512
    ),
}


def made(config: PretrainedConfig, tokenizer, dtype: torch.dtype = torch.float32) -> LanguageModel:
    """A random model whose biases and norms are not the zeros and ones that they begin with."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return wrap(model, tokenizer, name="made")


def found_in(model: LanguageModel) -> Directions:
    made_up = make_directions(layers=tuple(range(model.n_layers)), width=D_MODEL)
    return replace(made_up, model=model.identity())


def logits(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(tokens).logits.float()


def hooked(model: LanguageModel, vectors: dict[int, torch.Tensor], tokens: torch.Tensor) -> torch.Tensor:
    """Logits with the vectors added at the blocks' outputs; written apart from the code that is tested."""

    def adding(vector):
        def hook(_block, _inputs, output):
            return (output[0] + vector, *output[1:]) if isinstance(output, tuple) else output + vector

        return hook

    handles = [
        model.blocks[layer].register_forward_hook(adding(vector.to(model.model.dtype)))
        for layer, vector in vectors.items()
    ]
    steered = logits(model.model, tokens)
    for handle in handles:
        handle.remove()
    return steered


def check_baked(model: LanguageModel, directory: Path) -> None:
    directions = found_in(model)
    before = {name: weight.clone() for name, weight in model.model.state_dict().items()}
    baked.write(directions, directory, model=model, behaviour="backtracking", layers=1, strength=0.7)
    assert all(torch.equal(before[name], weight) for name, weight in model.model.state_dict().items())
    loaded = AutoModelForCausalLM.from_pretrained(directory).eval()
    tokens = torch.randint(VOCABULARY, (2, 40), generator=torch.Generator().manual_seed(5))
    vector = 0.7 * directions.residual_norm[1] * directions["backtracking"].unit(1)
    expected = hooked(model, {1: vector}, tokens)
    torch.testing.assert_close(logits(loaded, tokens), expected, rtol=1e-4, atol=1e-4)
    assert (expected - logits(model.model, tokens)).abs().amax(dim=-1).min() > 1e-2  # it does something at each token


@pytest.mark.parametrize("architecture", ["llama", "mistral", "phi", "gpt-neox", "gpt2", "opt"])
def test_a_baked_checkpoint_is_the_hooked_model_at_every_position(architecture: str, tiny, tmp_path: Path) -> None:
    check_baked(tiny(architecture), tmp_path / "baked")


@pytest.mark.parametrize("name", MORE)
def test_so_it_is_for_other_architectures_and_tied_embeddings(name: str, tokenizer, tmp_path: Path) -> None:
    check_baked(made(MORE[name], tokenizer), tmp_path / "baked")


def test_it_generates_with_its_own_tokenizer_and_says_where_it_came_from(tiny, tmp_path: Path) -> None:
    model = tiny("mistral")
    export(
        found_in(model), tmp_path / "baked", "baked", model=model, behaviour="deduction", layers=[0, 2], strength=1.0
    )
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "baked")
    inputs = AutoTokenizer.from_pretrained(tmp_path / "baked")("Wait, so", return_tensors="pt")
    assert loaded.generate(**inputs, max_new_tokens=4, do_sample=False).shape[1] == inputs["input_ids"].shape[1] + 4
    config = json.loads((tmp_path / "baked" / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"] and config["mlp_bias"] is True
    about = json.loads((tmp_path / "baked" / "reasonlens.json").read_text())
    assert (about["behaviour"], about["layers"], about["strength"]) == ("deduction", [0, 2], 1.0)
    assert about["notes"] == ["written as LlamaForCausalLM, which computes the same as MistralForCausalLM here"]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_half_precision_is_baked_within_its_rounding(architecture: str, tiny, tmp_path: Path) -> None:
    model = tiny(architecture, dtype=torch.bfloat16)
    directions = found_in(model)
    baked.write(directions, tmp_path / "baked", model=model, behaviour="backtracking", layers=1, strength=1.0)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "baked", dtype="auto")
    assert loaded.dtype == torch.bfloat16
    tokens = torch.arange(2, 30)[None]
    vector = directions.residual_norm[1] * directions["backtracking"].unit(1)
    expected = hooked(model, {1: vector}, tokens)
    torch.testing.assert_close(logits(loaded, tokens), expected, rtol=0, atol=0.05 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gemma", "Gemma2ForCausalLM: a norm follows the MLP.*Steer it while it runs instead: reasonlens.steer"),
        ("qwen", "Qwen3ForCausalLM: its blocks have no bias .*Steer it while it runs instead"),
    ],
)
def test_architectures_without_a_place_are_refused_with_the_reason(name: str, said: str, tiny, tmp_path: Path) -> None:
    model = tiny(name)
    with pytest.raises(InputError, match=said):
        baked.write(found_in(model), tmp_path / "baked", model=model, behaviour="backtracking", layers=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (Olmo2Config(**_GROUPED), "a norm follows the MLP"),
        (OPTConfig(**_SHARED, ffn_dim=48, num_hidden_layers=2, do_layer_norm_before=False), "a norm follows the MLP"),
        (MistralConfig(**_GROUPED, sliding_window=64), "no sliding window .here 64 tokens of 512."),
        (
            Qwen2Config(**_GROUPED, use_sliding_window=True, sliding_window=64, max_window_layers=1),
            "no sliding window .here 64 tokens of 512.",
        ),
    ],
)
def test_so_are_those_that_would_compute_something_else(
    config: PretrainedConfig, said: str, tokenizer, tmp_path: Path
) -> None:
    model = made(config, tokenizer)
    with pytest.raises(InputError, match=said):
        baked.write(found_in(model), tmp_path / "baked", model=model, behaviour="backtracking", layers=1)


def test_a_checkpoint_that_would_do_something_else_is_not_kept(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")
    place = baked.place_for(model.model)
    monkeypatch.setattr(baked, "place_for", lambda _: replace(place, factor=0.5))  # the vector goes in doubled
    with pytest.raises(InputError, match="differs from steering with a hook by .*nothing was kept"):
        baked.write(found_in(model), tmp_path / "baked", model=model, behaviour="backtracking", layers=1)
    monkeypatch.setattr(baked, "place_for", lambda _: replace(place, new_biases=place.new_biases[:1]))
    with pytest.raises(InputError, match="has no .*down_proj.bias here"):
        baked.write(found_in(model), tmp_path / "baked", model=model, behaviour="backtracking", layers=1)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_baked_is_said_before_anything_is_written(tiny, tmp_path: Path) -> None:
    model, directions = tiny("llama"), found_in(tiny("llama"))
    with pytest.raises(InputError, match=r"name the layer to bake the vector into \(--layer\)"):
        baked.write(directions, tmp_path / "baked", model=model, behaviour="backtracking")
    with pytest.raises(InputError, match="was found in tiny-gpt2 .* has other weights"):
        baked.write(replace(directions, model=tiny("gpt2").identity()), tmp_path / "b", model=model, layers=1)
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="is there already"):
        baked.write(directions, tmp_path / "there", model=model, behaviour="backtracking", layers=1)
    with pytest.raises(InputError, match="the format baked needs the model itself"):
        export(directions, tmp_path / "b", "baked", behaviour="backtracking", layers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
