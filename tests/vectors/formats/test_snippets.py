from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import reasonlens
from reasonlens import Directions, InputError
from reasonlens.models.sites import SITES, Site
from reasonlens.vectors.formats import SNIPPETS, snippet
from reasonlens.vectors.steering import steer

from ...conftest import D_MODEL
from .conftest import make_directions

PYTHON = [tool for tool in SNIPPETS if tool not in ("llama.cpp", "hotwire")]


def saved(model, path: Path) -> Directions:
    found = replace(make_directions(layers=(0, 2), width=D_MODEL), model=model.identity())
    found.save(path)
    return found


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "opt", "gpt-neox"])
def test_the_transformers_code_steers_as_reasonlens_does(architecture: str, tiny, tmp_path: Path) -> None:
    model = tiny(architecture)
    model.model.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    found = saved(model, tmp_path / "v.safetensors")
    load, act = snippet(
        "transformers",
        found,
        tmp_path / "v.safetensors",
        behaviour="deduction",
        layer=2,
        strength=1.5,
        model=str(tmp_path / "model"),
    )
    # The hook is to be seen at work before the snippet takes it away.
    assert act.endswith("handle.remove()\n")
    scope: dict[str, object] = {}
    exec(load + act.removesuffix("handle.remove()\n"), scope)
    tokens = torch.arange(3, 30)[None]
    with torch.no_grad():
        theirs = scope["model"].eval()(tokens).logits
        with steer(model, found["deduction"], layer=2, strength=1.5):
            ours = model.model(tokens).logits
    torch.testing.assert_close(theirs, ours)
    assert isinstance(scope["text"], str)
    scope["handle"].remove()
    with torch.no_grad():
        torch.testing.assert_close(scope["model"](tokens).logits, model.model(tokens).logits)


@pytest.mark.parametrize("architecture", ["llama", "gemma"])
@pytest.mark.parametrize("site", [*SITES, "attn.hook_result:1"])
def test_the_transformer_lens_code_steers_as_reasonlens_does(
    tiny, tmp_path: Path, architecture: str, site: str
) -> None:
    model = tiny(architecture, attn_implementation="eager")
    found = replace(saved(model, tmp_path / "v.safetensors"), site=Site.parse(site))
    load, act = snippet(
        "transformer-lens", found, tmp_path / "v.safetensors", behaviour="deduction", layer=2, strength=1.5
    )
    boot = f"bridge = TransformerBridge.boot_transformers('tiny-{architecture}')\n"
    generate = 'text = bridge.generate("How many primes are below 30?", max_new_tokens=50)'
    assert boot in load and generate in act
    tokens = torch.arange(3, 30)[None]
    scope: dict[str, object] = {"bridge": model.to_bridge(), "tokens": tokens}
    with torch.no_grad():
        exec(load.replace(boot, "") + act.replace(generate, "logits = bridge(tokens)"), scope)
        with steer(model, found["deduction"], layer=2, strength=1.5):
            ours = model.model(tokens).logits
    torch.testing.assert_close(scope["logits"], ours, rtol=1e-4, atol=1e-4)
    assert (scope["logits"] - model.model(tokens).logits).abs().max() > 1e-2


@pytest.mark.parametrize("tool", PYTHON)
def test_every_snippet_is_python_whatever_the_names_are(tool: str, directions: Directions) -> None:
    odd = 'it\'s "so" {x}'
    named = replace(
        directions,
        vectors={odd: directions.vectors["deduction"]},
        model={"name": "a'b\"c", "architecture": "GPT2LMHeadModel"},
    )
    for strength in (None, 0.5, -2.0):
        load, act = snippet(tool, named, "some dir/v's.safetensors", layer=2, strength=strength)
        compile(load + act, tool, "exec")
        assert "$" not in load + act  # nothing was left to fill in


def test_a_name_cannot_break_out_of_a_comment_or_command(directions: Directions) -> None:
    evil = replace(directions, vectors={"x\nimport os": directions.vectors["deduction"]})
    with pytest.raises(InputError, match="control character"):
        snippet("repeng", evil, "v.safetensors", layer=2)
    quoted = replace(directions, vectors={"x; rm -r y": directions.vectors["deduction"]})
    load, _ = snippet("llama.cpp", quoted, "v.safetensors", layer=2)
    assert "--behaviour 'x; rm -r y' --layer 2 --format llama.cpp --out vector.gguf" in load
    assert "--control-vector-layer-range 2 2" in load


def test_the_strength_is_written_out(directions: Directions) -> None:
    load, _ = snippet("transformers", directions, "v.safetensors", behaviour="deduction", layer=2, strength=1.5)
    assert "1.5 * 5 * vector / vector.norm()  # 1.5 x the mean residual norm" in load
    load, _ = snippet("transformers", directions, "v.safetensors", behaviour="deduction", layer=2)
    share = float(directions.at("deduction", 2).norm()) / 5
    assert f"as it stands: {share:.3g} x the mean residual norm" in load


def test_what_is_missing_is_named(directions: Directions) -> None:
    with pytest.raises(InputError, match="no snippet for 'vim'; there are transformers, transformer-lens"):
        snippet("vim", directions, "v.safetensors", behaviour="deduction", layer=2)
    with pytest.raises(InputError, match=r"name it \(--layer\); there are directions at 1, 2, 3"):
        snippet("nnterp", directions, "v.safetensors", behaviour="deduction")
    first = make_directions(layers=(0,))
    with pytest.raises(InputError, match="llama.cpp cannot steer layer 0"):
        snippet("llama.cpp", first, "v.safetensors", behaviour="deduction")


def test_models_are_named_as_the_tools_can_load_them(directions: Directions, tmp_path: Path) -> None:
    def code(tool: str, name: str) -> str:
        return "".join(snippet(tool, directions, "v.safetensors", behaviour="deduction", layer=2, model=name))

    for tool in PYTHON:
        assert "'HuggingFaceTB/SmolLM2-135M-Instruct'" in code(tool, "smollm2-135m"), tool
        assert "'Qwen/Qwen2.5-1.5B'" in code(tool, "Qwen/Qwen2.5-1.5B"), tool
    scope: dict[str, Any] = {}
    line = next(line for line in code("transformers", "organism/rl-timing").splitlines() if line.startswith("model = "))
    exec(f"from transformers import AutoModelForCausalLM\n{line}", scope)  # what is printed is loaded
    assert scope["model"].config.hidden_size == reasonlens.load("organism/rl-timing").d_model
    with pytest.raises(InputError, match=r"stored as a difference to its base: save it"):
        code("transformers", "organism/rl-timing@40")
    (tmp_path / "my model.gguf").write_bytes(b"GGUF")
    assert f"-m '{tmp_path}/my model.gguf'" in code("llama.cpp", str(tmp_path / "my model.gguf"))
