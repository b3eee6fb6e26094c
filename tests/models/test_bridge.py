from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformer_lens.model_bridge import TransformerBridge

from reasonlens import collect, load
from reasonlens.rundir import InputError


# A bridge splits GPT-2's fused attention weight into three, which rounds differently.
@pytest.mark.parametrize(("architecture", "tolerance"), [("llama", 0), ("qwen", 0), ("gpt2", 1e-6)])
@pytest.mark.parametrize("tokens_per_batch", [1, 4096], ids=["single", "batched"])
def test_a_bridge_gives_the_activations_of_the_eager_model_exactly(
    tiny, traces, architecture: str, tolerance: float, tokens_per_batch: int
) -> None:
    model = tiny(architecture, attn_implementation="eager")
    options = {"tokens_per_batch": tokens_per_batch, "progress": False}
    ours = collect(model, traces[:3], **options)
    theirs = collect(model.to_bridge(), traces[:3], **options)
    torch.testing.assert_close(theirs.values, ours.values, rtol=0, atol=tolerance)


def test_what_is_read_is_hook_out_of_the_bridge(tiny, traces) -> None:
    bridge = tiny("llama", attn_implementation="eager").to_bridge()
    read = collect(bridge, traces[:1], read="last", progress=False, template="plain")
    text = f"{traces[0].prompt}\n\n{traces[0].text}"
    ids = torch.tensor([load(bridge).tokenizer(text)["input_ids"]])
    with torch.inference_mode():
        _, cache = bridge.run_with_cache(ids)
    for slot, layer in enumerate(read.layers):  # the text ends with its last span, so the last token is read there
        torch.testing.assert_close(read.values[-1, slot], cache[f"blocks.{layer}.hook_out"][0, -1])


def test_making_a_bridge_leaves_the_model_as_it_was(tiny, traces) -> None:
    model = tiny("llama")
    attention = model.model.config._attn_implementation
    kinds = [type(block) for block in model.blocks]
    before = collect(model, traces, progress=False)
    model.to_bridge()
    assert model.model.config._attn_implementation == attention
    assert [type(block) for block in model.blocks] == kinds
    torch.testing.assert_close(collect(model, traces, progress=False).values, before.values, rtol=0, atol=0)


def test_a_bridge_in_compatibility_mode_is_refused(tiny) -> None:
    bridge = tiny("gpt2").to_bridge()
    assert load(bridge).n_layers == 3
    bridge.enable_compatibility_mode(disable_warnings=True)
    with pytest.raises(InputError, match="compatibility mode, which re-centres the residual stream"):
        load(bridge)


def test_a_bridge_reads_text_with_the_tokens_of_its_model_although_it_prepends_bos(tiny) -> None:
    model = tiny("llama")
    bridge = model.to_bridge()
    text = "Wait, that was wrong."
    expected = model.tokenizer(text)["input_ids"]
    assert bridge.tokenizer(text)["input_ids"] == [model.tokenizer.bos_token_id, *expected]
    assert load(bridge).tokenizer(text)["input_ids"] == expected


def test_a_bridge_made_elsewhere_is_read_with_the_tokenizer_on_disk(tiny, tmp_path: Path) -> None:
    model = tiny("llama")
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    text = "Wait, that was wrong."
    bridge = TransformerBridge.boot_transformers(str(tmp_path), device="cpu")
    assert load(bridge).tokenizer(text)["input_ids"] == model.tokenizer(text)["input_ids"]
