from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from reasonlens import (
    Directions,
    InputError,
    collect,
    import_,
    mean_difference_directions,
)
from reasonlens.models.sites import Site


@pytest.fixture
def directions(tiny, traces) -> Directions:
    activations = collect(tiny(), traces, layers=[0, 2], progress=False)
    return mean_difference_directions(activations, data_digest="abc", scores={"backtracking": {"auroc": [0.7, 0.8]}})


def test_saved_directions_open_equal(directions: Directions, tmp_path: Path) -> None:
    directions = replace(directions, site=Site("hook_attn_out"))
    directions.save(tmp_path / "vectors.safetensors")
    opened = Directions.open(tmp_path / "vectors.safetensors")
    assert opened.behaviours == directions.behaviours
    for behaviour in directions.behaviours:
        torch.testing.assert_close(opened.vectors[behaviour], directions.vectors[behaviour], rtol=0, atol=0)
    for field in ("layers", "method", "model", "read", "residual_norm", "n_examples", "n_problems", "scores"):
        assert getattr(opened, field) == getattr(directions, field), field
    assert (opened.site, opened.operation, opened.data_digest) == (Site("hook_attn_out"), "add", "abc")


def test_plain_safetensors_reads_the_file(directions: Directions, tmp_path: Path) -> None:
    path = tmp_path / "vectors.safetensors"
    directions.save(path)
    tensors = load_file(path)
    assert set(tensors) == {"deduction", "backtracking", "verification"}
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["reasonlens"])
    assert (description["format"], description["site"]) == ("reasonlens.directions/2", "hook_out")
    assert description["layers"] == [0, 2]
    assert description["norms"]["deduction"] == pytest.approx(tensors["deduction"].norm(dim=-1).tolist())


def test_a_file_of_before_there_were_sites_or_of_an_unknown_one_is_refused(
    directions: Directions, tmp_path: Path
) -> None:
    path = tmp_path / "vectors.safetensors"
    directions.save(path)
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["reasonlens"])
    for change, message in (
        ({"format": "reasonlens.directions/1"}, r"another version \(reasonlens.directions/1\)"),
        ({"site": "hook_atn_out"}, "damaged: unknown site 'hook_atn_out'.*Did you mean 'hook_attn_out'"),
    ):
        save_file(tensors, path, metadata={"reasonlens": json.dumps(description | change)})
        with pytest.raises(InputError, match=message):
            Directions.open(path)


def test_a_vector_is_named_by_its_block_and_not_by_its_row(directions: Directions) -> None:
    torch.testing.assert_close(directions.at("backtracking", 2), directions.vectors["backtracking"][1])
    with pytest.raises(InputError, match="no direction for .backtracking. at layer 1; these are covered: 0, 2"):
        directions.at("backtracking", 1)
    with pytest.raises(InputError, match="no direction for .bactracking'; there are directions for deduction"):
        directions["bactracking"]


def test_another_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="holds no directions of reasonlens"):
        Directions.open(tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="cannot read directions from"):
        Directions.open(tmp_path / "absent.safetensors")


def test_a_file_with_a_damaged_description_is_refused(directions: Directions, tmp_path: Path) -> None:
    path = tmp_path / "damaged.safetensors"
    for description in ({"format": "reasonlens.directions/2"}, {"format": "reasonlens.directions/2", "norms": 3}, []):
        save_file({"x": torch.zeros(2, 3)}, path, metadata={"reasonlens": json.dumps(description)})
        with pytest.raises(InputError):
            Directions.open(path)


def test_vectors_that_are_not_finite_are_neither_made_nor_saved_nor_opened(
    directions: Directions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vectors.safetensors"
    for number, kind in ((torch.nan, "holds NaN"), (torch.inf, "holds infinity"), (3e38, "its norm is beyond float32")):
        broken = directions.vectors["verification"].clone()
        broken[1, :2] = number
        message = f"vector for 'verification' at layer 2 .*{kind}"
        with pytest.raises(InputError, match=message):
            replace(directions, vectors=directions.vectors | {"verification": broken})
        changed = replace(directions, vectors=dict(directions.vectors))
        changed.vectors["verification"] = broken
        with pytest.raises(InputError, match=message):
            changed.save(path)
        assert not path.exists()
        with monkeypatch.context() as unchecked:  # as versions before this one wrote it
            unchecked.setattr("reasonlens.vectors._directions.check_all_finite", lambda *_: None)
            changed.save(path)
        for reading in (Directions.open, lambda file: import_(file, "safetensors")):
            with pytest.raises(InputError, match=f"vectors.safetensors.*{message}"):
                reading(path)
        path.unlink()
    with pytest.raises(InputError, match="mean residual norm at layer 0 is infinite"):
        replace(directions, residual_norm=(torch.inf, 1.0))
    assert replace(directions, residual_norm=(torch.nan, 1.0)).residual_norm[1] == 1  # not known: allowed
