from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from reasonlens import InputError, LanguageModel
from reasonlens.probes.saved import SavedProbes, _digest

from ..conftest import D_MODEL


def make(trained_on: LanguageModel | None = None, **changed: Any) -> SavedProbes:
    """Two behaviours at layers 0 and 2 with random weights."""
    generator = torch.Generator().manual_seed(0)
    names = ("backtracking", "a.weight")  # the second is a name that looks like a tensor's
    parts: dict[str, Any] = {
        "weights": {name: torch.randn(2, D_MODEL, generator=generator) for name in names},
        "biases": {name: torch.randn(2, generator=generator) for name in names},
        "layers": (0, 2),
        "read": "mean",
        "model": trained_on.identity() if trained_on else {"name": "tiny", "n_layers": 3, "d_model": D_MODEL},
        "method": "made up",
        "best_layers": {"backtracking": 2, "a.weight": 0},
        "prevalence": {"backtracking": 0.2, "a.weight": None},
        "scores": {"backtracking": {"auroc": [0.5, 0.75]}, "a.weight": {"auroc": [0.625, math.nan]}},
        "seed": 3,
    }
    return SavedProbes(**parts | changed)


def same(one: SavedProbes, other: SavedProbes) -> bool:
    def exact(probes: SavedProbes) -> str:
        fields = (
            "layers",
            "site",
            "read",
            "model",
            "method",
            "best_layers",
            "prevalence",
            "scores",
            "seed",
            "are_log_odds",
        )
        return repr([getattr(probes, field) for field in fields])

    return (
        exact(one) == exact(other)
        and list(one.weights) == list(other.weights)
        and all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
        and all(torch.equal(one.biases[name], other.biases[name]) for name in one.biases)
    )


def test_saved_probes_open_equal(tmp_path: Path) -> None:
    probes = make(site="hook_attn_out")
    probes.save(tmp_path / "probes.safetensors")
    assert same(SavedProbes.open(tmp_path / "probes.safetensors"), probes)


def test_plain_safetensors_and_strict_json_read_the_file(tmp_path: Path) -> None:
    make().save(tmp_path / "p.safetensors")
    tensors = load_file(tmp_path / "p.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        "backtracking.weight": (2, D_MODEL),
        "backtracking.bias": (2,),
        "a.weight.weight": (2, D_MODEL),
        "a.weight.bias": (2,),
    }
    with safe_open(tmp_path / "p.safetensors", framework="pt") as file:
        about = json.loads(file.metadata()["reasonlens"], parse_constant=pytest.fail)
    assert about["format"] == "reasonlens.probes/3" and about["site"] == "hook_out"
    assert about["scores"]["a.weight"]["auroc"] == [0.625, None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_score_is_the_dot_product_plus_the_bias(dtype: torch.dtype) -> None:
    probes = make()
    acts = torch.randn(4, 5, D_MODEL).to(dtype)
    found = probes.score(acts, "backtracking", 0)
    weight, bias = probes.weights["backtracking"][0].double(), probes.biases["backtracking"][0].double()
    assert found.shape == (4, 5) and found.dtype == torch.float32
    torch.testing.assert_close(found.double(), acts.double() @ weight + bias, rtol=1e-4, atol=1e-4)


def test_the_best_layer_is_taken_unless_another_is_asked_for() -> None:
    probes, acts = make(), torch.randn(3, D_MODEL)
    assert torch.equal(probes.score(acts, "backtracking"), probes.score(acts, "backtracking", 2))
    assert torch.equal(probes.score(acts, "a.weight"), probes.score(acts, "a.weight", 0))


def test_the_prior_is_the_log_odds_of_the_prevalence() -> None:
    assert make().prior("backtracking") == pytest.approx(math.log(0.2 / 0.8))
    assert make().prior("a.weight") is None


def test_probes_without_log_odds_have_no_prior_and_say_so_in_their_file(tmp_path: Path) -> None:
    make(are_log_odds=False).save(tmp_path / "p.safetensors")
    opened = SavedProbes.open(tmp_path / "p.safetensors")
    assert not opened.are_log_odds and opened.prior("backtracking") is None
    assert make().are_log_odds


def test_what_is_not_there_is_named_with_what_is() -> None:
    acts = torch.zeros(1, D_MODEL)
    with pytest.raises(InputError, match="no probe for 'bactracking'; there are probes for backtracking, a.weight"):
        make().score(acts, "bactracking")
    with pytest.raises(InputError, match="no probe at layer 1; there are probes at 0, 2"):
        make().score(acts, "backtracking", 1)
    with pytest.raises(InputError, match="activations have 7 dimensions, and these probes read 32"):
        make().score(torch.zeros(1, 7), "backtracking")


@pytest.mark.parametrize("format", ["reasonlens.probes/1", "reasonlens.probes/2"])
def test_a_file_of_before_there_were_sites_is_refused(tmp_path: Path, format: str) -> None:
    path = tmp_path / "old.safetensors"
    make().save(path)
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["reasonlens"]) | {"format": format}
    save_file(tensors, path, metadata={"reasonlens": json.dumps(about)})
    with pytest.raises(InputError, match=f"it is of another version .{format}.: give the probes.safetensors"):
        SavedProbes.open(path)


def test_the_site_goes_with_the_probes_and_an_unknown_one_is_refused() -> None:
    assert "at hook_attn_out, width" in repr(make(site="hook_attn_out"))
    assert "hook_out" not in repr(make())
    with pytest.raises(InputError, match="unknown site 'hook_atn_out'.*Did you mean 'hook_attn_out'"):
        make(site="hook_atn_out")


def test_the_model_that_they_were_trained_on_is_taken_also_in_another_precision(tiny: Callable[..., Any]) -> None:
    probes = make(tiny())
    probes.check(tiny())
    probes.check(tiny(dtype=torch.bfloat16))
    renamed = replace(tiny(), name="the same in another place")
    probes.check(renamed)


def test_other_weights_are_refused_unless_forced(tiny: Callable[..., Any]) -> None:
    other = tiny()
    with torch.no_grad():
        other.model.model.embed_tokens.weight += 1
    probes = make(tiny())
    with pytest.raises(InputError, match=r"trained on tiny-llama \(fingerprint .* has other weights.*--force"):
        probes.check(other)
    probes.check(other, force=True)
    with pytest.raises(InputError, match="trained on tiny .*tiny-llama .*has other weights"):
        make().check(tiny())  # nothing but a name is known of it
    with pytest.raises(InputError, match="has other weights"):
        probes.check(replace(tiny(dtype=torch.bfloat16), name="another"))


def test_another_shape_is_refused_also_when_forced(tiny: Callable[..., Any]) -> None:
    narrow = {name: torch.zeros(2, 16) for name in make().weights}
    with pytest.raises(InputError, match="with d_model 16, and tiny-llama has 32"):
        make(weights=narrow).check(tiny(), force=True)
    with pytest.raises(InputError, match="with 9 blocks, and tiny-llama has 3"):
        make(model={"name": "deep", "n_layers": 9}).check(tiny(), force=True)
    with pytest.raises(InputError, match="with 6 blocks, and tiny-llama has 3"):
        make(model={}, layers=(2, 5), best_layers={"backtracking": 2, "a.weight": 5}).check(tiny(), force=True)


ROWS = {"backtracking": torch.zeros(2, D_MODEL), "a.weight": torch.zeros(2, D_MODEL)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"layers": (2, 0)}, "whole numbers from 0, ascending"),
        ({"layers": (-1, 2)}, "whole numbers from 0, ascending"),
        ({"layers": ()}, "whole numbers from 0, ascending"),
        ({"layers": (0, 1, 2)}, r"weights of shape \(2, 32\) and biases of shape \(2,\): for 3 layers \(3, d_model\)"),
        ({"weights": ROWS | {"a.weight": torch.zeros(2, 5)}}, "probes for 'a.weight' have weights of shape"),
        ({"weights": ROWS | {"a.weight": torch.full((2, D_MODEL), math.inf)}}, "'?a.weight.weights'? holds numbers"),
        ({"weights": ROWS | {"a.weight": torch.zeros(2, D_MODEL, dtype=torch.int32)}}, "floating-point .* torch.int32"),
        ({"weights": {"backtracking": ROWS["backtracking"]}}, "the biases of probes must be given for each"),
        ({"weights": {}, "biases": {}}, "at least one behaviour"),
        ({"best_layers": {"backtracking": 1, "a.weight": 0}}, "the best layer of 'backtracking', 1, is none of"),
        ({"best_layers": {"backtracking": 2}}, "the best_layers of probes must be given for each"),
        (
            {"prevalence": {"backtracking": 1.0, "a.weight": None}},
            "prevalence of 'backtracking' must lie between 0 and",
        ),
        ({"read": "median"}, "unknown read 'median'"),
        ({"seed": "x"}, "the seed of probes must be a whole number"),
    ],
)
def test_parts_that_disagree_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(**changed)


def test_other_files_are_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="holds no probes of reasonlens"):
        SavedProbes.open(tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors here")
    for name in ("text.safetensors", "absent.safetensors", "."):
        with pytest.raises(InputError, match="cannot read probes from"):
            SavedProbes.open(tmp_path / name)
    for description in ("[1]", '"x"', '{"format": "reasonlens.probes/3"}', "[" * 100_000, "{"):
        save_file({"x": torch.zeros(2)}, tmp_path / "odd.safetensors", metadata={"reasonlens": description})
        with pytest.raises(InputError, match="odd.safetensors"):
            SavedProbes.open(tmp_path / "odd.safetensors")


def test_the_same_probes_are_the_same_bytes(tmp_path: Path) -> None:
    for number in range(20):
        make().save(tmp_path / f"{number}.safetensors")
    assert len({file.read_bytes() for file in tmp_path.iterdir()}) == 1


@pytest.mark.parametrize("wrong", [None, 0, 1.5, "x", [], {}, [None], {"a": 1}, True])
def test_a_description_with_a_field_of_another_type_is_refused_or_right(tmp_path: Path, wrong: object) -> None:
    make().save(tmp_path / "p.safetensors")
    tensors = load_file(tmp_path / "p.safetensors")
    with safe_open(tmp_path / "p.safetensors", framework="pt") as file:
        about = json.loads(file.metadata()["reasonlens"])
    del about["sha256"]
    for field in set(about) - {"format"}:
        for changed in (about | {field: wrong}, {key: about[key] for key in about if key != field}):
            signed = changed | {"sha256": _digest(json.dumps(changed), tensors)}
            metadata = {"reasonlens": json.dumps(signed)}
            save_file(tensors, tmp_path / "p.safetensors", metadata=metadata)
            try:
                SavedProbes.open(tmp_path / "p.safetensors").score(torch.zeros(D_MODEL), "backtracking")
            except InputError as error:
                assert "is damaged, or was not written by reasonlens" in str(error)


def test_damage_gives_an_error_or_the_right_probes(tmp_path: Path) -> None:
    path, probes = tmp_path / "p.safetensors", make()
    probes.save(path)
    whole, random = path.read_bytes(), np.random.default_rng(0)
    n_refused = 0
    for attempt in range(600):
        damaged = bytearray(whole)
        within = len(whole) if attempt % 3 else 1200  # the header is where most can go wrong
        for place in random.integers(0, within, int(random.integers(1, 4))):
            damaged[place] = int(random.integers(256)) if attempt % 2 else damaged[place] ^ (1 << random.integers(8))
        path.write_bytes(damaged[: int(random.integers(len(whole)))] if attempt % 10 == 0 else damaged)
        try:
            assert same(SavedProbes.open(path), probes)
        except InputError as error:
            n_refused += 1
            assert str(path) in str(error)
    assert n_refused > 400
