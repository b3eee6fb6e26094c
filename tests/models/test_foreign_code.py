"""Code that comes with a model is run when it is asked for and never else, whatever stands on standard input."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoConfig, LlamaConfig, LlamaForCausalLM
from typer.testing import CliRunner

import reasonlens
from reasonlens.cli.app import app
from reasonlens.models import LanguageModel, load, wrap
from reasonlens.models import bridge as bridge_module
from reasonlens.rundir import InputError
from reasonlens.vectors import Directions

from .gguf_files import write_gguf

CODE = """
from pathlib import Path
Path({marker!r}).write_text("the code ran")
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

class ForeignConfig(LlamaConfig):
    model_type = {model_type!r}

class ForeignModel(LlamaForCausalLM):
    config_class = ForeignConfig

class ForeignTokenizer(PreTrainedTokenizerFast):
    pass
"""
CLASSES = {"AutoConfig": "ForeignConfig", "AutoModelForCausalLM": "ForeignModel", "AutoTokenizer": "ForeignTokenizer"}


@pytest.fixture(params=["foreign", "llama"])
def model_type(request: pytest.FixtureRequest) -> str:
    """With a type of its own the model needs the code; a llama can be read without."""
    return str(request.param)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "the-code-ran"


@pytest.fixture
def directory(tiny, tmp_path: Path, marker: Path, model_type: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model directory with code; yes is answered to every question."""
    path = tmp_path / "model"
    tiny().model.save_pretrained(path)
    tiny().tokenizer.save_pretrained(path)
    # A module of one name is imported once a process, so each directory has a module of its own.
    module = f"code_{abs(hash(str(tmp_path)))}"
    (path / f"{module}.py").write_text(CODE.format(marker=str(marker), model_type=model_type))
    auto_map = {auto: f"{module}.{name}" for auto, name in CLASSES.items()}
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"model_type": model_type, "auto_map": auto_map}))
    settings = json.loads((path / "tokenizer_config.json").read_text())
    if model_type == "foreign":
        settings["tokenizer_class"] = "ForeignTokenizer"
    settings |= {
        "auto_map": {"AutoTokenizer": [f"{module}.ForeignTokenizer", f"{module}.ForeignTokenizer"]},
    }
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setenv("REASONLENS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 100))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    return path


@pytest.fixture
def in_memory(tiny, directory: Path) -> LlamaForCausalLM:
    """A model object whose files are in the directory."""
    model: LlamaForCausalLM = tiny().model
    model.config._name_or_path = str(directory)
    model.name_or_path = str(directory)
    return model


def _directions(model: LanguageModel, path: Path) -> Path:
    Directions(
        vectors={"backtracking": torch.ones(model.n_layers, model.d_model)},
        layers=tuple(range(model.n_layers)),
        method="planted",
        model=model.identity(),
        read="first",
        residual_norm=(1.0,) * model.n_layers,
        n_examples={"backtracking": 3},
        n_problems=2,
    ).save(path)
    return path


def _through(door: Callable[[], object]) -> None:
    """Open a door; what it does with the model is no matter here."""
    try:
        door()
    except InputError:
        pass


def test_the_code_runs_when_it_is_asked_for(directory: Path, marker: Path) -> None:
    load(directory, device="cpu", trust_remote_code=True)
    assert marker.read_text() == "the code ran"


def test_no_function_that_takes_a_model_runs_its_code(
    tiny, traces, directory: Path, marker: Path, tmp_path: Path
) -> None:
    vectors = Directions.open(_directions(tiny(), tmp_path / "vectors.safetensors"))
    for door in (
        lambda: load(directory, device="cpu"),
        lambda: load(str(directory), device="cpu"),
        lambda: load(directory, tiny().tokenizer, device="cpu"),
        lambda: reasonlens.collect(directory, traces, progress=False),
        lambda: reasonlens.collect(directory, traces, progress=False, out=tmp_path / "activations"),
        lambda: reasonlens.locate(directory, traces, out=tmp_path / "locate"),
        lambda: reasonlens.probe(model=directory, traces=traces, progress=False),
        lambda: reasonlens.score(directory, ["Wait."], tmp_path / "none.safetensors"),
        lambda: reasonlens.collect_moments(directory, traces, progress=False),
        lambda: reasonlens.stability(directory, traces),
        lambda: reasonlens.hybrid(directory, directory),
        lambda: reasonlens.steer_write(directory, vectors, "Count.", behaviour="backtracking", layer=1),
        lambda: reasonlens.steer(directory, vectors["backtracking"], layer=1).__enter__(),
        reasonlens.doctor,
    ):
        _through(door)
        assert not marker.exists()


def test_no_function_that_takes_a_model_object_runs_the_code_beside_its_files(
    tiny, traces, in_memory: LlamaForCausalLM, marker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = wrap(in_memory, tiny().tokenizer, name="in-memory")
    vectors = Directions.open(_directions(handle, tmp_path / "vectors.safetensors"))
    for door in (
        lambda: load(in_memory),
        lambda: reasonlens.collect(in_memory, traces, progress=False),
        lambda: reasonlens.collect(handle, traces, progress=False),
        lambda: reasonlens.export(
            vectors, tmp_path / "baked", "baked", model=handle, behaviour="backtracking", layers=1, strength=1.0
        ),
        lambda: load(handle.to_bridge()),
        lambda: reasonlens.collect(handle.to_bridge(), traces, progress=False),
        lambda: load(_bridge_made_elsewhere(handle, monkeypatch)),
    ):
        _through(door)
        assert not marker.exists()
    assert (tmp_path / "baked" / "config.json").exists()


def _bridge_made_elsewhere(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> TransformerBridge:
    """Make a bridge that is not known to be made here, whose tokenizer is looked up beside the model's files."""
    bridge = model.to_bridge()
    monkeypatch.setattr(bridge_module, "_OWN_TOKENIZER", {})
    bridge.tokenizer.name_or_path = model.model.config._name_or_path
    bridge.cfg.tokenizer_prepends_bos = True
    return bridge


def test_an_adapter_is_loaded_without_the_code_of_its_base(directory: Path, marker: Path, tmp_path: Path) -> None:
    settings = {"base_model_name_or_path": str(directory), "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2}
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(settings))
    for name in ("config.json", "tokenizer_config.json", *(file.name for file in directory.glob("*.py"))):
        (tmp_path / "adapter" / name).write_text((directory / name).read_text())
    with pytest.raises(InputError, match="cannot load"):
        load(tmp_path / "adapter", device="cpu")
    assert not marker.exists()


def test_a_gguf_file_is_converted_without_the_code_beside_it(tiny, directory: Path, marker: Path) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    file = write_gguf(directory / "m.gguf", LlamaForCausalLM(config), tiny().tokenizer)
    _through(lambda: load(file, device="cpu"))
    assert not marker.exists()


@pytest.mark.parametrize("model_type", ["foreign"])  # commands take long with a model that can be read
def test_no_command_runs_the_code(tiny, directory: Path, marker: Path, tmp_path: Path) -> None:
    vectors = str(_directions(tiny(), tmp_path / "vectors.safetensors"))
    problems = tmp_path / "problems.jsonl"
    problems.write_text("".join(f'{{"question": "What is {n} + 1?", "answer": "{n + 1}"}}\n' for n in range(4)))
    model = str(directory)
    commands: list[list[str]] = [
        ["collect", "--model", model, "--out", str(tmp_path / "a")],
        ["locate", "--model", model, "--out", str(tmp_path / "b")],
        ["directions", "--method", "optimised", "--model", model, "--traces", "bundled", "--out", f"{vectors}.out"],
        ["stability", "--model", model, "--out", str(tmp_path / "d")],
        ["hybrid", "--base", model, "--thinking", model, "--problems", str(problems), "--out", str(tmp_path / "e")],
        ["steer", "write", vectors, "--model", model, "--behaviour", "backtracking", "--layer", "1", "--prompt", "x"],
        ["steer", "sweep", vectors, "--model", model, "--out", str(tmp_path / "f")],
        ["export", vectors, "--format", "baked", "--model", model, "--layer", "1", "--out", str(tmp_path / "h")],
        ["doctor"],
    ]
    for command in commands:
        result = CliRunner().invoke(app, command, input="y\n" * 100)
        assert not marker.exists(), command
        if command != ["doctor"]:
            assert "has code of its own" in result.stderr, command


def test_the_classes_of_transformers_do_ask_and_run_it(directory: Path, marker: Path, model_type: str) -> None:
    """The control: without the explicit refusal, an answer of yes runs the code of a model that needs it."""
    AutoConfig.from_pretrained(directory)
    assert marker.exists() == (model_type == "foreign")
