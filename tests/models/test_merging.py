"""An adapter from its directory does what peft does with it, also where weights are shared or cannot hold it."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from reasonlens.models import LanguageModel, load
from reasonlens.models.content import model_digest
from reasonlens.rundir import InputError

pytestmark = [  # of peft
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

LORA: dict[str, Any] = {"r": 4, "lora_alpha": 64, "task_type": "CAUSAL_LM", "init_lora_weights": False}
SHARED: dict[str, dict[str, Any]] = {
    "tied head": {"target_modules": ["q_proj", "lm_head"]},
    "tied embedding": {"target_modules": ["q_proj", "embed_tokens"]},
    "tied rows": {"target_modules": ["q_proj"], "trainable_token_indices": [1, 2, 3]},
    "repeated blocks": {"target_modules": ["q_proj", "up_proj"], "layer_replication": [[0, 2], [1, 3]]},
}


@pytest.fixture
def base(tiny, tmp_path: Path) -> Path:
    model = copy.deepcopy(tiny().model)
    model.config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(tmp_path / "base")
    tiny().tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def _tuned(base: Path, **options: Any) -> PeftModel:
    torch.manual_seed(1)
    return get_peft_model(load(base, device="cpu").model, LoraConfig(**LORA, **options)).eval()


def _saved(base: Path, directory: Path, **options: Any) -> Path:
    _tuned(base, **options).save_pretrained(directory)
    return directory


def _states(model: Any) -> Tensor:
    with torch.no_grad():
        out = model(torch.arange(20)[None], output_hidden_states=True)
    return torch.cat([*(state.flatten() for state in out.hidden_states), out.logits.flatten()])


def _as_peft_reads_it(base: Path, adapter: Path) -> Tensor:
    return _states(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).eval())


@pytest.mark.parametrize("case", SHARED)
def test_an_adapter_on_shared_weights_acts_where_peft_applies_it(base: Path, tmp_path: Path, case: str) -> None:
    adapter = _saved(base, tmp_path / "adapter", **SHARED[case])
    model = load(adapter, device="cpu")
    expected = _as_peft_reads_it(base, adapter)
    torch.testing.assert_close(_states(model.model), expected, rtol=1e-4, atol=1e-4)
    assert "adapters" not in model.identity()
    if case.startswith("tied"):
        model.model.save_pretrained(tmp_path / "saved")
        saved = AutoModelForCausalLM.from_pretrained(tmp_path / "saved").eval()
        torch.testing.assert_close(_states(saved), expected, rtol=1e-4, atol=1e-4)


def test_an_adapter_with_biases_that_its_base_lacks_is_read_unmerged(base: Path, tmp_path: Path) -> None:
    adapter = _saved(base, tmp_path / "adapter", target_modules=["q_proj"], lora_bias=True)
    weights = load_file(adapter / "adapter_model.safetensors")
    weights |= {name: weight + 1 for name, weight in weights.items() if name.endswith("bias")}
    save_file(weights, adapter / "adapter_model.safetensors")
    model = load(adapter, device="cpu")
    torch.testing.assert_close(_states(model.model), _as_peft_reads_it(base, adapter), rtol=1e-4, atol=1e-4)
    assert model.identity()["adapters"] == ["default"]


def test_an_adapter_with_nan_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = _saved(base, tmp_path / "adapter", target_modules=["q_proj"])
    weights = load_file(adapter / "adapter_model.safetensors")
    next(iter(weights.values()))[0, 0] = torch.nan
    save_file(weights, adapter / "adapter_model.safetensors")
    with pytest.raises(InputError, match="cannot merge the adapter '.*adapter' into its base: NaNs detected"):
        load(adapter, device="cpu")


def test_a_pattern_for_modules_that_is_none_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = _saved(base, tmp_path / "adapter", target_modules=["q_proj"])
    settings = (adapter / "adapter_config.json").read_text()
    (adapter / "adapter_config.json").write_text(settings.replace('[\n    "q_proj"\n  ]', '"(("'))
    with pytest.raises(InputError, match="cannot load the adapter '.*adapter': "):
        load(adapter, device="cpu")


def test_a_pickle_of_foreign_objects_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = _saved(base, tmp_path / "adapter", target_modules=["q_proj"])
    (adapter / "adapter_model.safetensors").unlink()
    (adapter / "adapter_model.bin").write_bytes(pickle.dumps({"weight": Path("x")}, protocol=2))
    with pytest.raises(InputError, match="cannot load the adapter"):
        load(adapter, device="cpu")


@pytest.mark.parametrize(
    "content",
    [
        '{"version": "1.0", "added_tokens": []}',
        '{"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["zz yy"]}}',
    ],
)
def test_a_broken_tokenizer_is_refused(base: Path, content: str) -> None:
    (base / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match="cannot load the tokenizer of '.*base': "):
        load(base, device="cpu")


def test_an_adapter_that_was_merged_and_is_switched_off_is_not_active(tiny, base: Path) -> None:
    untuned = load(base, device="cpu")
    tuned = _tuned(base, target_modules=["q_proj", "up_proj"])
    tuned.merge_adapter()
    model = load(tuned, tiny().tokenizer)
    assert model.identity()["adapters"] == ["default"]
    digest = model_digest(model)
    with tuned.disable_adapter():
        off = load(tuned, tiny().tokenizer)
        identity, off_digest = off.identity(), model_digest(off)
        assert identity["adapters"] == [] and "+" not in off.name and off_digest != digest
        torch.testing.assert_close(_states(off.model), _states(untuned.model), rtol=1e-4, atol=1e-4)
        assert off.identity() == identity and model_digest(off) == off_digest  # a pass changes nothing more


def _train(weight: Tensor) -> None:
    with torch.no_grad():
        weight.mul_(3)


def _train_data(weight: Tensor) -> None:
    weight.data *= 3


@pytest.mark.parametrize("train", [_train, _train_data])
def test_the_identity_of_a_handle_follows_its_weights(tiny, base: Path, train: Any) -> None:
    tuned = _tuned(base, target_modules=["q_proj"])
    for model, part in ((load(base, device="cpu"), "up_proj"), (load(tuned, tiny().tokenizer), "lora_B")):
        before = model.fingerprint
        assert model.fingerprint == before
        train(next(weight for name, weight in model.model.named_parameters() if part in name))
        assert model.fingerprint != before and model.identity()["fingerprint"] == model.fingerprint


def test_another_adapter_of_the_same_name_has_another_fingerprint(tiny, base: Path, tmp_path: Path) -> None:
    tuned = _tuned(base, target_modules=["q_proj"])
    torch.manual_seed(5)
    other = get_peft_model(load(base, device="cpu").model, LoraConfig(**LORA, target_modules=["q_proj"]))
    other.save_pretrained(tmp_path / "other")
    model: LanguageModel = load(tuned, tiny().tokenizer)
    before = model.fingerprint
    tuned.delete_adapter("default")
    tuned.load_adapter(tmp_path / "other", "default")
    tuned.set_adapter("default")
    assert model.fingerprint != before
    assert model.fingerprint == load(other.eval(), tiny().tokenizer).fingerprint


@pytest.mark.parametrize("n_adapters", [1, 2])
def test_an_adapter_that_is_its_own_base_is_refused(base: Path, tmp_path: Path, n_adapters: int) -> None:
    adapters = [tmp_path / f"adapter-{number}" for number in range(n_adapters)]
    for number, adapter in enumerate(adapters):
        settings = _saved(base, adapter, target_modules=["q_proj"]) / "adapter_config.json"
        text = settings.read_text()
        assert str(base) in text
        settings.write_text(text.replace(str(base), str(adapters[number - 1])))
    for read in (load, model_digest):
        with pytest.raises(InputError, match="as its base, which is an adapter that needs"):
            read(adapters[0])
