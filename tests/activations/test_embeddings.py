from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from transformers import AutoModelForCausalLM, OPTConfig

from reasonlens import (
    Activations,
    InputError,
    LanguageModel,
    Read,
    Span,
    Trace,
    collect,
    encode,
    load,
)
from reasonlens.activations import embeddings as embeddings_module
from reasonlens.models import wrap

from ..conftest import CONFIGS, D_MODEL, VOCABULARY
from .store.conftest import OPTIONS, SHARDS, files


def naive(model: LanguageModel, traces: Sequence[Trace], read: Read) -> Tensor:
    """Plain float64 means over the tokens of each span, one looked up at a time."""
    embed = model.model.get_input_embeddings()
    rows = []
    for encoded in encode(model, traces):
        for span in encoded.spans:
            positions = [] if span is None else [at for at in read.positions(*span) if not encoded.is_markup[at]]
            if positions:
                with torch.no_grad():
                    each = [embed(torch.tensor(int(encoded.token_ids[at]))).double() for at in positions]
                rows.append(torch.stack(each).mean(dim=0))
    return torch.stack(rows).float()


@pytest.mark.parametrize("read", ["mean", "before:1", "window:-1:10"])
@pytest.mark.parametrize("architecture", CONFIGS)
def test_embeddings_equal_a_naive_loop_over_tokens(tiny, traces, architecture: str, read: str) -> None:
    model = tiny(architecture)
    found = collect(model, traces, read=read, layers=[0], progress=False)
    assert found.embeddings.shape == (len(found.examples), D_MODEL) and found.embeddings.dtype == torch.float32
    torch.testing.assert_close(found.embeddings, naive(model, traces, Read.parse(read)), rtol=1e-5, atol=1e-7)


def test_markup_inside_a_span_and_the_first_token_enter_no_embedding(tiny) -> None:
    text = "One two</s> three</s></s> four five."
    trace = Trace("m", "", text, (Span(0, len(text), "x"), Span(4, 17, "y")))
    model = tiny()
    found = collect(model, [trace], progress=False).embeddings
    torch.testing.assert_close(found, naive(model, [trace], Read.mean()), rtol=1e-5, atol=1e-7)
    everything = collect(model, [trace], progress=False, include_markup=True).embeddings
    token_ids = torch.from_numpy(encode(model, [trace])[0].token_ids)
    weight = model.model.get_input_embeddings().weight.detach()
    torch.testing.assert_close(everything[0], weight[token_ids].mean(dim=0), rtol=1e-5, atol=1e-7)


def test_padding_shared_prefixes_and_chunks_change_no_embedding(tiny, traces, monkeypatch) -> None:
    shared = [
        replace(trace, prompt="The same long beginning of every one of these texts, to share.") for trace in traces
    ]
    found = collect(tiny(), shared, progress=False).embeddings
    assert torch.equal(collect(tiny(), shared, tokens_per_batch=16, progress=False).embeddings, found)
    assert torch.equal(collect(tiny(), shared, share_prefixes=False, progress=False).embeddings, found)
    monkeypatch.setattr(embeddings_module, "CHUNK_TOKENS", 7)
    torch.testing.assert_close(collect(tiny(), shared, progress=False).embeddings, found, rtol=1e-5, atol=1e-7)


def test_embeddings_narrower_than_the_residual_stream_keep_their_width(tokenizer, traces, tmp_path: Path) -> None:
    shape = {"vocab_size": VOCABULARY, "hidden_size": D_MODEL, "ffn_dim": 48, "word_embed_proj_dim": 12}
    config = OPTConfig(**shape, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=1024)
    model = wrap(AutoModelForCausalLM.from_config(config), tokenizer, name="tiny-projected")
    found = collect(model, traces, out=tmp_path / "out", **OPTIONS)
    assert found.layer(0).shape == (72, D_MODEL)
    torch.testing.assert_close(found.embeddings, naive(model, traces, Read.mean()), rtol=1e-5, atol=1e-7)


def test_embeddings_of_half_precision_models_are_averaged_in_float32(tiny, traces) -> None:
    model = tiny()
    model.model.to(torch.bfloat16)
    found = collect(model, traces, progress=False).embeddings
    torch.testing.assert_close(found, naive(model, traces, Read.mean()), rtol=1e-5, atol=1e-7)
    assert not torch.equal(found, found.bfloat16().float())


def test_embeddings_offloaded_to_disk_are_brought_in(tiny, traces, tmp_path: Path) -> None:
    model = tiny()
    model.model.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    places = {"model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu", "model.layers": "cpu"}
    places |= {"model.embed_tokens": "disk"}
    away = load(tmp_path / "model", device_map=places, offload_folder=str(tmp_path / "away"), dtype=torch.float32)
    assert away.model.get_input_embeddings().weight.device.type == "meta"
    expected = collect(model, traces, progress=False).embeddings
    assert torch.equal(collect(away, traces, progress=False).embeddings, expected)


def test_embeddings_are_the_same_from_memory_a_file_and_a_store(tiny, traces, tmp_path: Path) -> None:
    expected = collect(tiny(), traces, progress=False)
    expected.save(tmp_path / "one.safetensors")
    stored = collect(tiny(), traces, out=tmp_path / "stored", **OPTIONS)
    for found in (Activations.open(tmp_path / "one.safetensors"), stored, stored.load(), expected.load()):
        torch.testing.assert_close(found.embeddings, expected.embeddings, rtol=1e-6, atol=1e-8)
    half = collect(tiny(), traces, out=tmp_path / "half", dtype=torch.float16, **OPTIONS)
    assert half.embeddings.dtype == torch.float32
    torch.testing.assert_close(half.embeddings, expected.embeddings.half().float(), rtol=1e-3, atol=1e-5)
    with safe_open(tmp_path / "half" / SHARDS[0], framework="pt") as file:
        assert file.get_tensor("mean/embeddings").dtype == torch.float16


def test_choosing_a_behaviour_keeps_the_embeddings_of_its_examples(tiny, traces, tmp_path: Path) -> None:
    expected = collect(tiny(), traces, progress=False)
    rows = torch.from_numpy(expected.shows("backtracking"))
    stored = collect(tiny(), traces, out=tmp_path / "stored", **OPTIONS)
    for found in (expected, stored, stored.load()):
        chosen = found.where("backtracking")
        torch.testing.assert_close(chosen.embeddings, expected.embeddings[rows], rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(chosen.load().embeddings, chosen.embeddings, rtol=0, atol=0)


def test_reading_embeddings_from_a_store_touches_no_layer(tiny, traces, tmp_path: Path) -> None:
    expected = collect(tiny(), traces, layers=[1], out=tmp_path / "stored", **OPTIONS).embeddings.clone()
    for shard in SHARDS:
        content = (tmp_path / "stored" / shard).read_bytes()
        with safe_open(tmp_path / "stored" / shard, framework="pt") as file:
            layer = file.get_tensor("mean/hook_out/1").numpy().tobytes()
        (tmp_path / "stored" / shard).write_bytes(content.replace(layer, b"\xff" * len(layer)))  # NaN
    found = Activations.open(tmp_path / "stored")
    assert torch.equal(found.embeddings, expected)
    with pytest.raises(InputError, match="activations at layer 1 are not finite"):
        found.layer(1)


def test_a_store_that_was_cut_off_ends_with_the_embeddings_of_one_left_alone(tiny, traces, tmp_path: Path) -> None:
    expected = collect(tiny(), traces, out=tmp_path / "stored", **OPTIONS).embeddings.clone()
    before = files(tmp_path / "stored")
    (tmp_path / "stored" / SHARDS[2]).unlink()
    collect(tiny(), traces, out=tmp_path / "stored", **OPTIONS)
    assert files(tmp_path / "stored") == before
    (tmp_path / "stored" / SHARDS[1]).unlink()
    again = collect(tiny(), traces, out=tmp_path / "stored", tokens_per_batch=16, **OPTIONS)
    assert torch.equal(again.embeddings, expected)


def test_a_shard_without_a_readable_span_holds_no_embedding(tiny, traces, tmp_path: Path) -> None:
    plain = [Trace(f"n{number}", "Q", "Text.") for number in range(18)]
    found = collect(tiny(), [*plain, *traces], out=tmp_path / "out", **OPTIONS)
    expected = collect(tiny(), traces, progress=False)
    torch.testing.assert_close(found.embeddings, expected.embeddings, rtol=1e-6, atol=1e-8)


def test_activations_without_embeddings_have_none_also_from_a_file(tiny, traces, tmp_path: Path) -> None:
    bare = replace(collect(tiny(), traces, progress=False), embedding_values=None)
    assert bare.embeddings is None and bare.where("backtracking").embeddings is None
    bare.save(tmp_path / "bare.safetensors")
    assert Activations.open(tmp_path / "bare.safetensors").embeddings is None
