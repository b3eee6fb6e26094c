from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from reasonlens import Directions
from reasonlens.cli.app import app
from reasonlens.vectors.choice import Choice
from reasonlens.vectors.formats import import_

from ..conftest import D_MODEL
from ..vectors.formats.conftest import make_directions


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with directions in it."""
    monkeypatch.chdir(tmp_path)
    make_directions().save("v.safetensors")
    return tmp_path


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    if code:
        assert done.stdout == "" and done.stderr.count("\n") == 1, done.output
        return done.stderr
    return done.stdout


def test_one_behaviour_goes_out_and_comes_back(here: Path) -> None:
    given = ("--behaviour", "backtracking", "--strength", "1.5", "--layers", "2:4")
    assert run("export", "v.safetensors", "--format", "repeng", "--out", "b.gguf", *given) == "b.gguf\n"
    out = run("import", "b.gguf", "--format", "repeng", "--out", "back.safetensors")
    assert out == "backtracking: layers 2, 3, d_model 8\n"
    back = Directions.open(here / "back.safetensors")
    assert back.layers == (2, 3)
    assert back.vectors["backtracking"].norm(dim=1).tolist() == pytest.approx([1.5 * 5, 1.5 * 6], rel=1e-5)


def test_the_next_command_prints_code_for_what_the_file_holds(here: Path) -> None:
    """The layer that was found for the behaviour, else one in the middle of those that the tool can steer."""
    choice = Choice(layer=2, strength=1.5, kl_nats=0.1, when=None, about="kept 9 of 10")
    replace(make_directions(layers=(0, 1, 2, 3)), choices={"backtracking": choice}).save("v.safetensors")

    def following(*words: str) -> list[str]:
        done = CliRunner().invoke(app, ["export", "v.safetensors", *words, "--out", "b.gguf"])
        assert done.exit_code == 0, done.output
        code = shlex.split(done.stderr.splitlines()[-1].removeprefix("next: reasonlens "))
        assert run(*code).startswith("#"), "it runs"
        return code[code.index("--behaviour") :]

    found = ("--format", "llama.cpp", "--behaviour", "backtracking")
    assert following(*found) == ["--behaviour", "backtracking", "--layer", "2", "--strength", "1.5"]
    assert import_("b.gguf", "llama.cpp").layers == (2,)
    assert following(*found, "--layers", "1:3") == ["--behaviour", "backtracking", "--layer", "2"]
    assert following(*found, "--strength", "2") == ["--behaviour", "backtracking", "--layer", "2", "--strength", "2.0"]
    sought_not = ("--format", "llama.cpp", "--behaviour", "deduction")
    assert following(*sought_not) == ["--behaviour", "deduction", "--layer", "2"]


def test_a_directory_gets_a_file_of_each_behaviour(here: Path) -> None:
    assert run("export", "v.safetensors", "--format", "steering-vectors", "--out", "all").split() == [
        "all/backtracking.safetensors",
        "all/deduction.safetensors",
    ]


def test_conversion_keeps_the_block_and_not_the_number(here: Path) -> None:
    run("export", "v.safetensors", "--format", "svec", "--behaviour", "deduction", "--out", "d.svec")
    assert set(json.loads(Path("d.svec").read_text())["directions"]) == {"2", "3", "4"}
    done = CliRunner().invoke(app, ["convert", "d.svec", "d.gguf", "--from", "svec", "--to", "llama.cpp"])
    assert done.exit_code == 0 and "layers 1..3 of reasonlens's count" in done.stderr
    read = import_("d.gguf", "llama.cpp")
    assert read.layers == (1, 2, 3)
    assert torch.equal(read.vectors["deduction"], make_directions().vectors["deduction"])


def test_options_of_a_format_are_set_by_name(here: Path) -> None:
    given = ("--format", "neuronpedia", "--behaviour", "deduction", "--layer", "2", "--out", "n.json")
    run("export", "v.safetensors", *given, "--set", "hook_type=hook_resid_post", "--set", "model-id=gemma-2-2b")
    body = json.loads(Path("n.json").read_text())
    assert (body["hookType"], body["layerNumber"], body["modelId"]) == ("hook_resid_post", 2, "gemma-2-2b")
    assert "has no option 'colour'; it has hook_type" in run(
        "export", "v.safetensors", *given, "--set", "colour=1", code=2
    )
    assert "--set takes NAME=VALUE, and 'colour' is not" in run(
        "export", "v.safetensors", *given, "--set", "colour", code=2
    )


def test_code_is_printed_ready_to_paste(here: Path) -> None:
    given = ("--behaviour", "deduction", "--layer", "-2", "--strength", "1")
    code = run("export", "v.safetensors", "--print", "transformer-lens", *given)
    assert 'fwd_hooks=[("blocks.3.hook_out", steer)]' in code and "boot_transformers('some/model')" in code
    compile(code, "printed", "exec")
    assert "--control-vector vector.gguf" in run("export", "v.safetensors", "--print", "llama.cpp", *given)


def test_a_model_is_baked_and_another_one_refused(tiny, here: Path) -> None:
    model = tiny("llama")
    model.model.save_pretrained("model")
    model.tokenizer.save_pretrained("model")
    found = replace(make_directions(layers=(0, 1, 2), width=D_MODEL), model={"name": "some/model"})
    found.save("w.safetensors")
    given = ("export", "w.safetensors", "--format", "baked", "--model", "model", "--layer", "1", "--strength", "1")
    given += ("--behaviour", "deduction", "--out", "baked")
    assert "has other weights" in run(*given, code=2)
    assert run(*given, "--force") == "baked\n"
    assert json.loads(Path("baked/config.json").read_text())["mlp_bias"] is True
    assert "is there already" in run(*given, "--force", code=2)
    wide = ("export", "v.safetensors", "--format", "repeng", "--behaviour", "deduction", "--out", "x.gguf")
    assert "8 dimensions and model 32" in run(*wide, "--model", "model", "--force", code=2)


def test_mistakes_are_one_line_and_exit_code_2(here: Path) -> None:
    def refused(*words: object) -> str:
        return run("export", "v.safetensors", *words, code=2)

    behaviour = ("--behaviour", "deduction", "--out", "x")
    assert "say what to write (--format" in refused()
    assert "one of them" in refused("--format", "repeng", "--print", "nnterp")
    assert "there is no format 'pickle'; there are safetensors" in refused("--format", "pickle", *behaviour)
    assert "say where to write (--out)" in refused("--format", "repeng", "--behaviour", "deduction")
    assert "no direction for 'doubt'" in refused("--format", "repeng", "--behaviour", "doubt", "--out", "x")
    assert "no direction for 'deduction' at layer 0" in refused("--format", "repeng", "--layer", "0", *behaviour)
    assert "name none of those that there are: 1..3" in refused("--format", "repeng", "--layers", "4:", *behaviour)
    assert "cannot read layers 'x'" in refused("--format", "repeng", "--layers", "x", *behaviour)
    assert "not both" in refused("--format", "repeng", "--layers", "1", "--layer", "1", *behaviour)
    assert "strength must be a finite number" in refused("--format", "repeng", "--strength", "nan", *behaviour)
    assert "a snippet steers one layer" in refused("--print", "nnterp", "--layers", "all", "--behaviour", "deduction")
    make_directions(layers=(0, 1)).save("first.safetensors")
    given = ("export", "first.safetensors", "--format", "llama.cpp", "--behaviour", "deduction", "--out", "x.gguf")
    assert "llama.cpp cannot steer layer 0" in run(*given, "--layers", "0,1", code=2)
    run(*given)
    Path("damaged.gguf").write_bytes(Path("x.gguf").read_bytes()[:50])
    assert "damaged" in run("import", "damaged.gguf", "--format", "repeng", "--out", "y.safetensors", code=2)
    assert not Path("y.safetensors").exists()
    assert "cannot read absent" in run("export", "absent", "--format", "repeng", *behaviour, code=2)


def test_the_formats_are_listed(here: Path) -> None:
    for command in ("export", "import", "convert"):
        listed = run(command, "--formats")
        assert "llama.cpp" in listed and "direction.L; layer 0 cannot be steered" in listed and "baked" in listed
