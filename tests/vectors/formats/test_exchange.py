from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reasonlens import Directions, InputError
from reasonlens.models.sites import BLOCK_OUTPUT, Site
from reasonlens.vectors.formats import (
    FORMATS,
    check_directions,
    check_fits,
    export,
    file_name,
    format_named,
    import_,
    select,
)

from ...conftest import D_MODEL
from .conftest import WIDTH, make_directions, with_unknown_origin


def test_every_format_says_what_it_is_and_how_it_counts() -> None:
    for name, entry in FORMATS.items():
        assert name == entry.name and entry.about and entry.index and entry.coefficient
    assert {name for name, entry in FORMATS.items() if entry.write is None} == {"published-means"}
    assert {name for name, entry in FORMATS.items() if entry.read is None} == {"baked"}
    with pytest.raises(InputError, match="there is no format 'gguf'; there are safetensors, repeng, llama.cpp"):
        format_named("gguf")


@pytest.mark.parametrize("name", [name for name, entry in FORMATS.items() if entry.write and name != "safetensors"])
def test_a_site_that_a_tool_cannot_take_is_refused_by_name(name: str, tiny, tmp_path: Path) -> None:
    directions = replace(make_directions(layers=(1,), width=D_MODEL), model={}, site=Site("hook_attn_out"))
    model = tiny() if FORMATS[name].needs_model else None
    with pytest.raises(InputError, match="'deduction' is of the site hook_attn_out, and this tool takes .*hook_out"):
        export(directions, tmp_path / f"file{FORMATS[name].suffix}", name, behaviour="deduction", model=model)
    assert not list(tmp_path.iterdir())


def test_our_own_file_keeps_the_site(directions: Directions, tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    export(replace(directions, site=Site("attn.hook_result", 3)), path, "safetensors")
    assert import_(path, "safetensors").site == Site("attn.hook_result", 3)
    export(directions, tmp_path / "v.gguf", "repeng", behaviour="deduction")
    assert import_(tmp_path / "v.gguf", "repeng").site == BLOCK_OUTPUT


def test_a_directory_gets_a_file_for_each_behaviour(directions: Directions, tmp_path: Path) -> None:
    files = export(directions, tmp_path / "all", "repeng")
    assert [file.name for file in files] == ["backtracking.gguf", "deduction.gguf"]
    for file in files:
        assert import_(file, "repeng").behaviours == (file.stem,)
    with pytest.raises(InputError, match="holds one behaviour, and there are backtracking, deduction: name one"):
        export(directions, tmp_path / "one.gguf", "repeng")


@pytest.mark.parametrize("name", ["../outside", "/etc/x", "a/b", "..", ".hidden", "", "c:\\x", "a\nb", "x" * 200, "\0"])
def test_names_of_behaviours_cannot_leave_their_directory(name: str, directions: Directions, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be a file name"):
        file_name(name)
    two = replace(directions, vectors={name: directions.vectors["deduction"], "b": directions.vectors["deduction"]})
    with pytest.raises(InputError, match="cannot be a file name"):
        export(two, tmp_path / "into", "repeng")
    assert not list(tmp_path.iterdir())
    assert file_name("adding-knowledge (2)") == "adding-knowledge (2)"


def test_bad_requests_are_one_line_each(directions: Directions, tmp_path: Path) -> None:
    def refused(said: str, **given: object) -> None:
        with pytest.raises(InputError, match=said) as error:
            export(directions, tmp_path / "b.gguf", "repeng", **{"behaviour": "deduction"} | given)
        assert "\n" not in str(error.value)

    refused("no direction for 'doubt'; there are directions for backtracking, deduction", behaviour="doubt")
    refused("no direction for 'deduction' at layer 7; these are covered: 1, 2, 3", layers=[7])
    refused("layers names no layer", layers=[])
    for strength in (math.nan, math.inf, -math.inf):
        refused("strength must be a finite number", strength=strength)
    refused("format repeng has no option 'position'; it has zero_filled", position=2)
    refused("option zero_filled of repeng takes a value of type bool, not 'yes'", zero_filled="yes")
    unknown = replace(directions, residual_norm=(math.nan,) * 3)
    with pytest.raises(InputError, match="which is not known at layer 1.*leave --strength out"):
        select(unknown, "deduction", strength=1.0)
    with pytest.raises(InputError, match="made for the operation 'project-out'"):
        select(replace(directions, operation="project-out"), "deduction")
    with pytest.raises(InputError, match="published-means can be read and not written"):
        export(directions, tmp_path / "x", "published-means")
    with pytest.raises(InputError, match="baked can be written and not read"):
        import_(tmp_path / "x", "baked")
    assert not list(tmp_path.iterdir())


def test_zero_vectors_have_no_direction_to_scale(directions: Directions) -> None:
    zero = replace(directions, vectors={"x": torch.zeros(3, WIDTH)})
    with pytest.raises(InputError, match="the direction for 'x' at layer 1 is zero"):
        select(zero, strength=1.0)


def test_directions_of_another_model_are_refused_unless_forced(tiny, tmp_path: Path) -> None:
    model = tiny("llama")
    ours = replace(make_directions(layers=(0, 1), width=D_MODEL), model=model.identity())
    check_fits(ours, model)
    check_fits(with_unknown_origin(ours), model)
    other = replace(ours, model=model.identity() | {"name": "other", "fingerprint": "0" * 16})
    with pytest.raises(InputError, match="has other weights"):
        check_fits(other, model)
    check_fits(other, model, force=True)
    revised = replace(ours, model=model.identity() | {"revision": "abc", "fingerprint": "0" * 16})
    with pytest.raises(InputError, match="has other weights"):
        check_fits(replace(revised, model=revised.model | {"fingerprint": "1" * 16}), model)
    typed = replace(ours, model={"model_type": "qwen2"})
    with pytest.raises(InputError, match="made for a model of type qwen2, and tiny-llama is of type llama"):
        check_fits(typed, model)
    check_fits(typed, model, force=True)
    for unfit in (make_directions(layers=(0, 1), width=D_MODEL + 1), make_directions(layers=(2, 3), width=D_MODEL)):
        with pytest.raises(InputError, match="dimensions|has 3 blocks"):
            export(unfit, tmp_path / "b.gguf", "repeng", behaviour="deduction", model=model, force=True)


def test_an_import_with_its_model_is_checked_and_knows_it(tiny, tmp_path: Path) -> None:
    model = tiny("llama")
    found = with_unknown_origin(make_directions(layers=(0, 2), width=D_MODEL))
    export(found, tmp_path / "b.gguf", "repeng", behaviour="deduction", model=model)
    assert import_(tmp_path / "b.gguf", "repeng").model == model.identity()
    export(found, tmp_path / "b.gguf", "repeng", behaviour="deduction")
    assert import_(tmp_path / "b.gguf", "repeng").model == {}
    assert import_(tmp_path / "b.gguf", "repeng", model=model).model == model.identity()
    with pytest.raises(InputError, match="dimensions"):
        import_(tmp_path / "b.gguf", "repeng", model=_wider(model, tmp_path))


def _wider(model, directory: Path):
    from transformers import AutoModelForCausalLM, LlamaConfig

    from reasonlens.models import wrap

    config = LlamaConfig(vocab_size=50, hidden_size=64, intermediate_size=8, num_hidden_layers=3, num_attention_heads=2)
    return wrap(AutoModelForCausalLM.from_config(config), model.tokenizer, name="wider")


def test_unsound_directions_are_named(directions: Directions) -> None:
    check_directions(directions)
    for change, said in (
        ({"vectors": {}}, "no directions"),
        ({"layers": (3, 2, 1)}, "in rising order"),
        ({"residual_norm": (1.0,)}, "1 residual norms for 3 layers"),
        ({"vectors": {"x": torch.zeros(2, WIDTH)}}, "one row of floating-point numbers for each"),
        ({"vectors": {"x": torch.zeros(3, 4), "y": torch.zeros(3, 5)}}, "one width, and have 4, 5"),
        ({"vectors": {"x": torch.full((3, 4), 1e38)}}, "norm is beyond float32"),
    ):
        with pytest.raises(InputError, match=said):
            check_directions(replace(directions, **change))


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [("LlamaForCausalLM", "llama"), ("Qwen2ForCausalLM", "qwen2"), ("GPTNeoXForCausalLM", "gpt_neox"), ("Nothing", "")],
)
def test_the_model_type_is_the_one_that_transformers_uses(architecture: str, kind: str, directions: Directions) -> None:
    of = replace(directions, model={"architecture": architecture})
    assert select(of, "deduction").model_type == kind


@pytest.mark.parametrize(
    ("format", "layers", "left"),
    [("llama.cpp", (0, 1, 2), (1, 2)), ("svec", (0, 3, 4), (0, 3)), ("refusal-direction", (0, 3, 4), (0, 3))],
)
def test_layers_that_a_tool_cannot_steer_are_left_out_and_named(
    format: str, layers: tuple[int, ...], left: tuple[int, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directions = make_directions(layers=layers)  # of a model of five blocks
    (file,) = export(directions, tmp_path / "b.x", format, behaviour="deduction")
    assert import_(file, format).layers == left
    (missing,) = set(layers) - set(left)
    assert [record.message.split(":")[0] for record in caplog.records] == [f"layer {missing} is left out"]
    with pytest.raises(InputError, match=f"layer {missing}"):
        export(directions, tmp_path / "c.x", format, behaviour="deduction", layers=layers)  # as asked, or not at all
    assert not (tmp_path / "c.x").exists()
    caplog.clear()
    export(make_directions(layers=left), tmp_path / "d.x", format, behaviour="deduction")
    assert not caplog.records


def test_directions_at_no_other_layer_than_one_that_a_tool_cannot_steer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no layer is left to write"):
        export(make_directions(layers=(0,)), tmp_path / "b.gguf", "llama.cpp", behaviour="deduction")


@pytest.mark.parametrize(("layers", "chosen"), [("2", (2,)), ("1:3", (1, 2)), (-2, (3,)), ([3, 1], (1, 3)), (2, (2,))])
def test_our_own_file_takes_layers_as_other_formats_do(
    layers: str | list[int] | int, chosen: tuple[int, ...], directions: Directions, tmp_path: Path
) -> None:
    (file,) = export(directions, tmp_path / "b.safetensors", "safetensors", layers=layers)
    assert import_(file, "safetensors").layers == chosen


@pytest.mark.parametrize("name", ["__metadata__", "half \ud83d"])
def test_names_that_no_file_can_hold_are_refused(name: str, directions: Directions) -> None:
    with pytest.raises(InputError, match="rename it"):
        replace(directions, vectors={name: directions.vectors["deduction"]})


@pytest.mark.parametrize("format", ["safetensors", "repeng"])
@pytest.mark.parametrize("change", [{"n_layers": size} for size in (10**12, 3, -3, 0, True, "5")] + [{"d_model": -8}])
def test_sizes_that_no_model_has_are_refused(
    format: str, change: dict[str, object], directions: Directions, tmp_path: Path
) -> None:
    unsound = replace(directions, model=directions.model | change)
    (file,) = export(unsound, tmp_path / "b.x", format, behaviour="deduction")
    with pytest.raises(InputError, match=f"is damaged: it states {next(iter(change))} = "):
        import_(file, format)
