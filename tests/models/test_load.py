from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from reasonlens import collect
from reasonlens.generation import encode_prompts
from reasonlens.models import LanguageModel, load
from reasonlens.rundir import InputError


def test_a_saved_directory_loads_with_the_same_weights(tiny, tmp_path: Path) -> None:
    original = tiny("llama")
    original.model.save_pretrained(tmp_path)
    original.tokenizer.save_pretrained(tmp_path)
    loaded = load(tmp_path, device="cpu")
    assert isinstance(loaded, LanguageModel) and not loaded.model.training
    for name, weight in original.model.state_dict().items():
        torch.testing.assert_close(loaded.model.state_dict()[name], weight, rtol=0, atol=0)


def test_half_precision_weights_are_float32_on_the_cpu_unless_asked_otherwise(tiny, tmp_path: Path) -> None:
    model = tiny("llama")
    model.model.to(torch.bfloat16).save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    assert load(tmp_path, device="cpu").model.dtype == torch.float32
    assert load(tmp_path, device="cpu", dtype=torch.bfloat16).model.dtype == torch.bfloat16


def test_a_model_object_needs_its_tokenizer(tiny) -> None:
    model = tiny("gpt2")
    assert load(model.model, model.tokenizer).n_layers == model.n_layers
    assert load(model) is model
    with pytest.raises(InputError, match=r"without its tokenizer.*reasonlens.load\(model, tokenizer\)"):
        load(model.model)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "no/such-model-here",
            r"cannot load the model 'no/such-model-here'.*Built-in are smollm2-135m, gemma3-270m, organism/b",
        ),
        ("./nowhere/model", "there is no model at ./nowhere/model"),
        ("absent.gguf", "there is no model at absent.gguf"),
    ],
)
def test_an_unknown_model_says_what_can_be_given(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(name)


def test_a_directory_without_weights_is_named(tiny, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="no config.json"):
        load(tmp_path)
    tiny().model.config.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="a config.json and no weights"):
        load(tmp_path)


def test_torn_weights_are_named(tiny, tmp_path: Path) -> None:
    model = tiny()
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(InputError, match="cannot load the model .*" + tmp_path.name):
        load(tmp_path)


def test_a_file_that_is_no_gguf_is_refused_and_caches_nothing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("REASONLENS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "fake.gguf").write_bytes(b"not a model")
    with pytest.raises(InputError, match="fake.gguf is not a GGUF file"):
        load(tmp_path / "fake.gguf")
    (tmp_path / "torn.gguf").write_bytes(b"GGUF" + bytes(40))
    with pytest.raises(InputError, match="cannot convert .*torn.gguf"):
        load(tmp_path / "torn.gguf")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))
    assert not list((tmp_path / "cache").rglob("*.tmp"))


def test_an_unusable_device_is_named(tiny, tmp_path: Path) -> None:
    tiny().model.save_pretrained(tmp_path)
    tiny().tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="device 'warp:0' cannot be used here"):
        load(tmp_path, device="warp:0")


def test_something_that_is_no_model_is_refused() -> None:
    with pytest.raises(InputError, match="cannot use a int as a model"):
        load(3)


def test_a_model_without_values_is_refused(tiny) -> None:
    config = tiny().model.config
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(InputError, match=r"30 weights of this LlamaForCausalLM are on the meta device, .* and 26 more"):
        load(model, tiny().tokenizer)


def test_a_token_beyond_the_embedding_is_named_before_anything_is_run(tiny, traces) -> None:
    model = tiny()
    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.add_tokens(["Wait"])
    extended = load(model.model, tokenizer)
    message = (
        r"trace 't0' has the token 400 \('Wait'\), and the embedding of .* has 400 rows: .*resize_token_embeddings"
    )
    with pytest.raises(InputError, match=message):
        collect(extended, traces, progress=False)
    with pytest.raises(InputError, match="has the token 400"):
        encode_prompts(extended, ["Wait, what?"])
    assert collect(model, traces, progress=False).values.isfinite().all()


def test_what_load_returns_is_shown_in_a_line() -> None:
    for name in ("organism/rl-timing", "organism/rl-timing@40"):
        assert len(repr(load(name, device="cpu"))) < 105 and name in repr(load(name, device="cpu"))


def test_a_model_spread_over_devices_is_read_where_it_lies(tiny, traces, tmp_path: Path) -> None:
    """Blocks offloaded to disk stand for blocks on several devices: their weights are nowhere until they run."""
    model = tiny("llama")
    model.model.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    places = {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}
    places |= {"model.layers.0": "cpu", "model.layers.1": "disk", "model.layers.2": "disk"}
    spread = load(tmp_path / "model", device_map=places, offload_folder=str(tmp_path / "offload"), dtype=torch.float32)
    assert next(spread.blocks[1].parameters()).device.type == "meta"
    expected = collect(model, traces, progress=False)
    for _ in range(2):  # stopping after the last wanted block must leave the model fit for another pass
        found = collect(spread, traces, layers=[0, 1], progress=False)
        torch.testing.assert_close(found.values, expected.values[:, :2])
    torch.testing.assert_close(collect(spread, traces, progress=False).values, expected.values)


def test_a_quantised_model_is_read_in_float32(tiny, traces) -> None:
    model = tiny("llama")
    expected = collect(model, traces, progress=False)
    for block in model.blocks:
        for name, linear in list(block.mlp.named_children()):
            if isinstance(linear, torch.nn.Linear):
                setattr(block.mlp, name, EightBitLinear(linear))
    found = collect(model, traces, progress=False)
    assert found.values.dtype == torch.float32
    assert 0 < (found.values - expected.values).abs().max() < 0.02 * expected.values.abs().max()


class EightBitLinear(torch.nn.Module):
    """A linear layer of integer weights, as quantisation libraries put in the place of the usual one."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(linear.weight.detach().abs().amax() / 127, requires_grad=False)
        self.register_buffer("weight", (linear.weight.detach() / self.scale).round().to(torch.int8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, self.weight.float() * self.scale)
