"""A checkpoint whose weights are not those of its configuration is refused, and what is wrong with it is named."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from reasonlens import collect
from reasonlens.models import load
from reasonlens.rundir import InputError


@pytest.fixture
def checkpoint(tiny, tmp_path: Path) -> Path:
    tiny().model.save_pretrained(tmp_path / "model")
    tiny().tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def _change_weights(directory: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    weights = load_file(directory / "model.safetensors")
    change(weights)
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})


def _change_config(directory: Path, **settings: Any) -> None:
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | settings))


def test_weights_of_a_block_that_are_not_there_are_counted_and_named(checkpoint: Path) -> None:
    def remove_block(weights: dict[str, Tensor]) -> None:
        for name in [name for name in weights if name.startswith("model.layers.1.")]:
            del weights[name]

    _change_weights(checkpoint, remove_block)
    with pytest.raises(InputError, match=r"lacks 9 weights .*model\.layers\.1\.input_layernorm\.weight, .* and 5 more"):
        load(checkpoint, device="cpu")


def test_more_blocks_in_the_configuration_than_in_the_file_are_refused(checkpoint: Path) -> None:
    _change_config(checkpoint, num_hidden_layers=12)
    with pytest.raises(InputError, match=r"lacks 81 weights .*random numbers: model\.layers\.3\."):
        load(checkpoint, device="cpu")


def test_fewer_blocks_in_the_configuration_than_in_the_file_are_refused(checkpoint: Path) -> None:
    _change_config(checkpoint, num_hidden_layers=2)
    with pytest.raises(InputError, match=r"9 weights in its blocks .*\(2 blocks\).*model\.layers\.2\."):
        load(checkpoint, device="cpu")


@pytest.mark.parametrize(
    "weight", ["model.layers.0.mlp.up_proj.bias", "model.layers.0.self_attn.c_attn.bias", "model.layers.0.mlp.qk_scale"]
)
def test_a_weight_of_a_block_that_the_configuration_has_no_place_for_is_refused(checkpoint: Path, weight: str) -> None:
    _change_weights(checkpoint, lambda weights: weights.update({weight: torch.ones(48)}))
    with pytest.raises(InputError, match=rf"1 weights in its blocks .*{re.escape(weight)}"):
        load(checkpoint, device="cpu")


@pytest.mark.parametrize("weight", ["model.layers.0.self_attn.rotary_emb.inv_freq", "model.layers.0.attn.bias"])
def test_buffers_that_older_versions_saved_are_passed_over(checkpoint: Path, weight: str) -> None:
    _change_weights(checkpoint, lambda weights: weights.update({weight: torch.ones(4)}))
    load(checkpoint, device="cpu")


@pytest.mark.parametrize("weight", ["model.norm.bias", "lm_head.bias"])
def test_a_weight_of_the_last_norm_or_the_head_that_has_no_place_is_refused(checkpoint: Path, weight: str) -> None:
    _change_weights(checkpoint, lambda weights: weights.update({weight: torch.ones(32)}))
    with pytest.raises(InputError, match=rf"1 weights .*has no place for: {re.escape(weight)}"):
        load(checkpoint, device="cpu")


def test_weights_of_another_shape_are_named_with_both_shapes(checkpoint: Path) -> None:
    _change_config(checkpoint, intermediate_size=64)
    with pytest.raises(
        InputError, match=r"9 have another shape \(model\.layers\.0\.mlp\.\w+\.weight \(\d+, \d+\) for "
    ):
        load(checkpoint, device="cpu")


def test_a_missing_head_is_refused_unless_it_is_the_embedding(checkpoint: Path, tiny, traces) -> None:
    _change_weights(checkpoint, lambda weights: weights.pop("lm_head.weight"))
    with pytest.raises(InputError, match=r"lacks 1 weights .*: lm_head\.weight"):
        load(checkpoint, device="cpu")
    _change_config(checkpoint, tie_word_embeddings=True)
    activations = collect(load(checkpoint, device="cpu"), traces[:2], progress=False)
    torch.testing.assert_close(activations.values, collect(tiny(), traces[:2], progress=False).values)


def test_weights_outside_the_decoder_are_left_with_a_note(checkpoint: Path, caplog) -> None:
    def add(weights: dict[str, Tensor]) -> None:
        weights["score.weight"] = torch.ones(2, 32)
        weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)

    _change_weights(checkpoint, add)
    with caplog.at_level(logging.WARNING, logger="reasonlens"):
        load(checkpoint, device="cpu")
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("reasonlens")]
    assert line.startswith("1 weights of ") and "score.weight" in line


@pytest.mark.parametrize("architecture", ["llama", "qwen", "gemma", "phi", "gpt-neox", "gpt2", "opt"])
def test_what_save_pretrained_writes_is_complete_for_every_architecture(
    tiny, tmp_path: Path, architecture: str
) -> None:
    model: PreTrainedModel = tiny(architecture).model
    model.save_pretrained(tmp_path)
    tiny().tokenizer.save_pretrained(tmp_path)
    loaded = load(tmp_path, device="cpu").model
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], weight, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", b"[]", r"config.json holds a list and not an object of settings. Save the model again"),
        ("config.json", b'"llama"', r"config.json holds a str and not an object"),
        ("config.json", b"{", r"config.json is not valid JSON \(Expecting property name"),
        ("config.json", b"\xff\xfe{}", r"config.json is not valid JSON \('utf-8' codec"),
        ("config.json", b"[" * 100_000, r"config.json is not valid JSON"),
        ("config.json", b"{}", r"cannot (read config.json of|load the model) .*Unrecognized model"),
        (
            "config.json",
            b'{"model_type": "no-such-type"}',
            r"cannot (read config.json of|load the model) .*no-such-type",
        ),
        ("config.json", b'{"model_type": "llama", "hidden_size": "wide"}', r"cannot read config.json of .*hidden_size"),
        ("config.json", b'{"model_type": "llama", "num_hidden_layers": -1}', r"."),
        ("config.json", b'{"model_type": ["llama"]}', r"cannot read config.json of "),
        ("config.json", b'{"model_type": "llama", "num_attention_heads": 0}', r"cannot read config.json of "),
        ("tokenizer_config.json", b"[]", r"tokenizer_config.json holds a list"),
        ("tokenizer.json", b"{}", r"cannot load the tokenizer of .*tokenizer.save_pretrained"),
        ("tokenizer.json", b"3", r"tokenizer.json holds a int"),
        ("generation_config.json", b"[]", r"generation_config.json holds a list"),
        ("model.safetensors", b"", r"cannot load the model"),
        ("model.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{}", r"cannot load the model"),
    ],
)
def test_a_file_that_holds_something_else_is_named_in_a_line(
    checkpoint: Path, file: str, content: bytes, message: str
) -> None:
    (checkpoint / file).write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        load(checkpoint, device="cpu")
    assert "\n" not in str(error.value)


def test_an_empty_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{tmp_path.name} is empty: give a directory with a model"):
        load(tmp_path)


def test_the_report_of_transformers_is_not_printed_besides(checkpoint: Path, capfd, caplog) -> None:
    _change_config(checkpoint, num_hidden_layers=12)
    with pytest.raises(InputError):
        load(checkpoint, device="cpu")
    assert capfd.readouterr().err == "" and not caplog.records
