"""Models that were tuned with adapters are read as tuned, and are other models than their base."""

from __future__ import annotations

import copy
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import (
    IA3Config,
    LoraConfig,
    PeftModel,
    PromptTuningConfig,
    VeraConfig,
    get_peft_model,
)
from safetensors.torch import load_file, save_file
from torch import Tensor

import reasonlens
from reasonlens import collect
from reasonlens.models import load
from reasonlens.models.content import model_digest
from reasonlens.rundir import InputError
from reasonlens.traces import Trace

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # of peft

LORA: dict[str, Any] = {"r": 4, "lora_alpha": 64, "task_type": "CAUSAL_LM", "init_lora_weights": False}
KINDS = {
    "lora": LoraConfig(**LORA, target_modules=["q_proj", "up_proj"]),
    "dora": LoraConfig(**LORA, target_modules=["q_proj", "up_proj"], use_dora=True),
    "lora with a whole module": LoraConfig(**LORA, target_modules=["q_proj"], modules_to_save=["lm_head"]),
    "ia3": IA3Config(
        task_type="CAUSAL_LM",
        target_modules=["k_proj", "down_proj"],
        feedforward_modules=["down_proj"],
        init_ia3_weights=False,
    ),
    "vera": VeraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "o_proj"], init_weights=False),
}


@pytest.fixture
def base(tiny, tmp_path: Path) -> Path:
    tiny().model.save_pretrained(tmp_path / "base")
    tiny().tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def _tuned(base: Path, kind: str = "lora") -> PeftModel:
    torch.manual_seed(1)
    return get_peft_model(load(base, device="cpu").model, copy.deepcopy(KINDS[kind])).eval()


def _activations(model: Any, traces: list[Trace]) -> Tensor:
    values: Tensor = collect(model, traces[:4], progress=False).values
    return values


def _merged(tuned: PeftModel) -> Any:
    return copy.deepcopy(tuned).merge_and_unload()


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    _tuned(base).save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_is_read_as_its_merged_weights_from_an_object_and_from_its_directory(
    tiny, traces, base: Path, tmp_path: Path, kind: str
) -> None:
    tuned = _tuned(base, kind)
    tuned.save_pretrained(tmp_path / "adapter")
    merged = load(_merged(tuned), tiny().tokenizer)
    expected = _activations(merged, traces)
    for model in (load(tuned, tiny().tokenizer), load(tmp_path / "adapter", device="cpu")):
        torch.testing.assert_close(_activations(model, traces), expected, rtol=1e-4, atol=1e-5)
        ids = torch.arange(20)[None]
        torch.testing.assert_close(model.model(ids).logits, merged.model(ids).logits, rtol=1e-4, atol=1e-5)
    untuned = _activations(load(base, device="cpu"), traces)
    assert float((untuned - expected).norm() / expected.norm()) > 0.01


def test_an_adapter_is_another_model_than_its_base_and_than_another_adapter(
    tiny, base: Path, adapter: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(adapter, other)
    weights = {name: 2 * weight for name, weight in load_file(other / "adapter_model.safetensors").items()}
    save_file(weights, other / "adapter_model.safetensors")
    models = [load(path, device="cpu") for path in (base, adapter, other)]
    assert len({model.fingerprint for model in models}) == 3
    assert len({model_digest(path) for path in (base, adapter, other)}) == 3
    assert models[1].revision and models[1].revision != models[2].revision
    copied = tmp_path / "copied"
    shutil.copytree(adapter, copied)
    assert model_digest(copied) == model_digest(adapter)
    assert load(copied, device="cpu").fingerprint == models[1].fingerprint
    base_weights = load_file(base / "model.safetensors")
    save_file({name: 2 * weight for name, weight in base_weights.items()}, base / "model.safetensors", {"format": "pt"})
    assert model_digest(copied) != model_digest(other)
    assert load(copied, device="cpu").fingerprint != models[1].fingerprint


def test_which_adapter_is_active_decides_activations_and_identity(tiny, traces, base: Path) -> None:
    tuned = _tuned(base)
    tuned.add_adapter("second", LoraConfig(**LORA, target_modules=["v_proj"]))
    tokenizer = tiny().tokenizer
    first = load(tuned, tokenizer)
    identity, digest = first.identity(), model_digest(first)
    assert identity["adapters"] == ["default"] and first.name.endswith("+default")
    expected = _activations(load(_merged(tuned), tokenizer), traces)
    torch.testing.assert_close(_activations(first, traces), expected, rtol=1e-4, atol=1e-5)
    with tuned.disable_adapter():
        off = load(tuned, tokenizer)
        torch.testing.assert_close(
            _activations(off, traces), _activations(load(base, device="cpu"), traces), rtol=1e-5, atol=1e-6
        )
        assert off.identity()["adapters"] == [] and "+" not in off.name
        assert first.fingerprint != identity["fingerprint"] and model_digest(first) != digest
    assert first.fingerprint == identity["fingerprint"] and model_digest(first) == digest
    tuned.set_adapter("second")
    second = load(tuned, tokenizer)
    fingerprint = second.fingerprint
    expected = _activations(load(_merged(tuned), tokenizer), traces)
    torch.testing.assert_close(_activations(second, traces), expected, rtol=1e-4, atol=1e-5)
    assert second.identity()["adapters"] == ["second"] and fingerprint != identity["fingerprint"]
    tuned.base_model.set_adapter(["default", "second"])
    assert second.identity()["adapters"] == ["default", "second"] and second.fingerprint != fingerprint


def test_a_store_of_the_base_is_not_taken_up_with_an_adapter(
    tiny, traces, base: Path, adapter: Path, tmp_path: Path
) -> None:
    collect(base, traces, out=tmp_path / "store", progress=False)
    with pytest.raises(InputError, match="model"):
        collect(adapter, traces, out=tmp_path / "store", progress=False)
    with pytest.raises(InputError, match="model"):
        collect(load(_tuned(base), tiny().tokenizer), traces, out=tmp_path / "store", progress=False)


def test_a_merged_adapter_can_be_saved_and_bridged_like_any_model(traces, adapter: Path, tmp_path: Path) -> None:
    model = load(adapter, device="cpu")
    model.model.save_pretrained(tmp_path / "saved")
    model.tokenizer.save_pretrained(tmp_path / "saved")
    torch.testing.assert_close(
        _activations(load(tmp_path / "saved", device="cpu"), traces), _activations(model, traces)
    )
    assert load(model.to_bridge()).fingerprint == model.fingerprint


def test_what_takes_no_adapters_says_so(tiny, base: Path) -> None:
    with pytest.raises(InputError, match="TransformerLens takes no adapters: merge them into the weights first"):
        load(_tuned(base), tiny().tokenizer).to_bridge()


def test_steering_changes_what_the_tuned_model_does(tiny, base: Path) -> None:
    tuned = _tuned(base)
    model = load(tuned, tiny().tokenizer)
    direction = reasonlens.Directions(
        vectors={"up": torch.ones(model.n_layers, model.d_model)},
        layers=tuple(range(model.n_layers)),
        method="planted",
        model=model.identity(),
        read="first",
        residual_norm=(1.0,) * model.n_layers,
        n_examples={"up": 3},
        n_problems=2,
    )["up"]
    ids = torch.arange(12)[None]
    before = tuned(ids).logits
    with reasonlens.steer(tuned, direction, layer=1, strength=3.0, tokenizer=tiny().tokenizer):
        assert not torch.allclose(tuned(ids).logits, before)
    torch.testing.assert_close(tuned(ids).logits, before, rtol=0, atol=0)


def test_the_tokenizer_beside_an_adapter_is_preferred_to_that_of_its_base(tiny, adapter: Path) -> None:
    assert load(adapter, device="cpu").tokenizer.chat_template is None
    tokenizer = copy.deepcopy(tiny().tokenizer)
    tokenizer.chat_template = "{{ messages[0].content }}!"
    tokenizer.save_pretrained(adapter)
    assert load(adapter, device="cpu").tokenizer.chat_template == "{{ messages[0].content }}!"


def _change_settings(adapter: Path, **settings: Any) -> None:
    content = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(content | settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_model_name_or_path": "/no/such/base"}, r"base of the adapter '.*adapter', .* says is '/no/such/base'"),
        ({"base_model_name_or_path": "no/such-base"}, r"base of the adapter .*hub cannot be reached.*pass a PeftModel"),
        ({"base_model_name_or_path": None}, "does not name the adapter's base: set base_model_name_or_path"),
        ({"peft_type": "NEW"}, "cannot load the adapter '.*adapter': "),
        ({"target_modules": ["no_such_module"]}, "cannot load the adapter '.*adapter': Target modules .*not found"),
        ({"target_modules": ["q_proj"]}, r"does not fit its base: 6 weights have no place \(.*up_proj"),
        (
            {"target_modules": ["q_proj", "up_proj", "o_proj"]},
            r"does not fit its base: 6 weights are missing \(.*o_proj",
        ),
        ({"r": 8}, "cannot load the adapter '.*adapter': .*Does it belong to this base"),
        ({"alora_invocation_tokens": [1, 2]}, "acts outside the model's modules or only after certain tokens"),
    ],
)
def test_an_adapter_that_cannot_be_used_is_refused_in_a_line(
    adapter: Path, settings: dict[str, Any], message: str
) -> None:
    _change_settings(adapter, **settings)
    with pytest.raises(InputError, match=message) as error:
        load(adapter, device="cpu")
    assert "\n" not in str(error.value)


def test_prompts_that_were_tuned_are_refused(tiny, base: Path) -> None:
    tuned = get_peft_model(
        load(base, device="cpu").model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    )
    with pytest.raises(InputError, match="of the kind PROMPT_TUNING, which acts outside the model's modules"):
        load(tuned, tiny().tokenizer)


def test_a_directory_that_is_both_model_and_adapter_is_refused(base: Path, adapter: Path) -> None:
    shutil.copy(adapter / "adapter_config.json", base)
    with pytest.raises(InputError, match="holds both a model .* and an adapter .* into a directory each"):
        load(base)


def test_without_peft_an_adapter_names_the_extra(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.setattr("reasonlens.models.adapter.find_spec", lambda _: None)
    with pytest.raises(
        InputError, match=r"is an adapter, which needs the package peft: pip install 'reasonlens\[peft\]'"
    ):
        load(adapter, device="cpu")
