from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from reasonlens import (
    Activations,
    InputError,
    Trace,
    collect,
    mean_difference_directions,
)
from reasonlens.probes import sweep

from ...conftest import D_MODEL
from .conftest import OPTIONS, SHARDS, files


def test_a_store_holds_what_is_collected_in_memory(tiny, traces, stored: Path) -> None:
    expected = collect(tiny(), traces, progress=False)
    found = Activations.open(stored, verify=True)
    assert sorted(files(stored)) == ["manifest.json", *SHARDS]
    assert found.values.shape == expected.values.shape == (72, 3, D_MODEL)
    assert found.examples == expected.examples and found.layers == expected.layers
    assert (found.read, found.model, found.n_skipped) == (expected.read, expected.model, expected.n_skipped)
    for layer in expected.layers:
        torch.testing.assert_close(found.layer(layer), expected.layer(layer), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.load().values, torch.stack([found.layer(n) for n in range(3)], dim=1))
    torch.testing.assert_close(found.overall_mean, expected.overall_mean, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.residual_norm, expected.residual_norm, rtol=1e-5, atol=0)


def test_what_works_on_memory_works_on_a_store(tiny, traces, stored: Path) -> None:
    found, expected = Activations.open(stored), collect(tiny(), traces, progress=False)
    torch.testing.assert_close(
        found.where("backtracking").layer(2), expected.where("backtracking").layer(2), rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(
        found.where("backtracking").load().values, expected.where("backtracking").values, rtol=1e-4, atol=1e-6
    )
    directions, same = mean_difference_directions(found), mean_difference_directions(expected)
    torch.testing.assert_close(directions.vectors["deduction"], same.vectors["deduction"], rtol=1e-3, atol=1e-6)
    quick = {"n_folds": 3, "n_bootstrap": 20, "n_shuffles": 1, "progress": False}
    swept, same_sweep = sweep(found, **quick), sweep(expected, **quick)
    for one, other in zip(swept.behaviours["deduction"].auroc, same_sweep.behaviours["deduction"].auroc, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-3)
    found.save(stored.parent / "one.safetensors")
    torch.testing.assert_close(Activations.open(stored.parent / "one.safetensors").load().values, found.load().values)


def test_a_layer_is_one_contiguous_tensor_and_reading_it_touches_no_other(tiny, traces, stored: Path) -> None:
    expected = Activations.open(stored).layer(1).clone()
    for shard in SHARDS:
        with safe_open(stored / shard, framework="pt") as file:
            assert file.get_slice("mean/hook_out/1").get_shape() == [18, D_MODEL]
            other = file.get_tensor("mean/hook_out/2").numpy().tobytes()
        content = (stored / shard).read_bytes()
        assert content.count(other) == 1
        (stored / shard).write_bytes(content.replace(other, b"\xff" * len(other)))  # NaN
    found = Activations.open(stored)
    assert torch.equal(found.layer(1), expected)
    with pytest.raises(InputError, match="activations at layer 2 are not finite"):
        found.layer(2)


def test_half_precision_shards_are_half_as_large(tiny, traces, stored: Path, tmp_path: Path) -> None:
    found = collect(tiny(), traces, out=tmp_path / "half", dtype=torch.float16, **OPTIONS)
    torch.testing.assert_close(found.load().values, Activations.open(stored).load().values, rtol=1e-3, atol=1e-3)
    assert found.layer(0).dtype == torch.float32
    with safe_open(tmp_path / "half" / SHARDS[0], framework="pt") as file:
        assert file.get_tensor("mean/hook_out/0").dtype == torch.float16


def test_traces_may_come_from_a_generator_and_are_asked_for_window_by_window(tiny, traces, tmp_path: Path) -> None:
    ahead: list[int] = []

    def coming() -> Iterator[Trace]:
        for number, trace in enumerate(traces):
            ahead.append(number - 3 * len(list(tmp_path.glob("out/shard-*"))))
            yield trace

    assert len(collect(tiny(), coming(), out=tmp_path / "out", **OPTIONS).examples) == 72
    assert max(ahead) <= 3


def test_a_store_of_another_collection_or_other_traces_is_refused(tiny, traces, stored: Path) -> None:
    before = files(stored)
    with pytest.raises(InputError, match=r"holds another run \(reads \['mean'\] there, \['last'\] asked\); choose"):
        collect(tiny(), traces, read="last", out=stored, **OPTIONS)
    with pytest.raises(InputError, match=r"content of model \w+ \(tiny-llama\) there, \w+ \(tiny-gpt2\) asked"):
        collect(tiny("gpt2"), traces, out=stored, **OPTIONS)
    changed = [*traces[:5], replace(traces[5], text=traces[5].text + " More."), *traces[6:]]
    with pytest.raises(InputError, match=f"{SHARDS[1]} was read from other traces than those given now"):
        collect(tiny(), changed, out=stored, **OPTIONS)
    with pytest.raises(InputError, match="holds 4 shards, and the traces given now make 2"):
        collect(tiny(), traces[:6], out=stored, **OPTIONS)
    assert files(stored) == before
    other = stored.parent / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"other holds files \(thesis.tex\) and no run.json"):
        collect(tiny(), traces, out=other, **OPTIONS)


def test_a_directory_that_is_no_store_says_so(tmp_path: Path, stored: Path) -> None:
    with pytest.raises(InputError, match="cannot read .*manifest.json"):
        Activations.open(tmp_path)
    (stored / "manifest.json").write_text(json.dumps({"format": "something"}))
    with pytest.raises(InputError, match="is no manifest of reasonlens"):
        Activations.open(stored)


def test_an_altered_manifest_is_named(tiny, traces, stored: Path) -> None:
    content = (stored / "manifest.json").read_text()
    (stored / "manifest.json").write_text(content.replace('"n_examples": 18', '"n_examples": 81', 1))
    with pytest.raises(InputError, match="manifest.json is altered: its digest is another"):
        Activations.open(stored)
    with pytest.raises(InputError, match="manifest.json is altered: its digest is another"):
        collect(tiny(), traces, out=stored, **OPTIONS)


def test_a_copy_of_the_model_under_another_name_continues_the_store_and_other_weights_do_not(
    tiny, traces, stored: Path
) -> None:
    before = files(stored)
    (stored / SHARDS[1]).unlink()
    copy = replace(tiny(), name="elsewhere/tiny-llama")
    collect(copy, traces, out=stored, **OPTIONS)
    assert files(stored) == before
    with torch.no_grad():
        weight = copy.model.model.layers[1].mlp.down_proj.weight
        weight.view(-1)[1] += 2.0**-10  # one weight, which no sample of a few would see
    with pytest.raises(InputError, match=r"holds another run \(content of model"):
        collect(copy, traces, out=stored, **OPTIONS)


def test_what_differs_is_named_where_it_is_nested(tiny, traces, stored: Path) -> None:
    half = tiny()
    half.model.to(torch.bfloat16)
    with pytest.raises(InputError, match="model.dtype 'float32' there, 'bfloat16' asked"):
        collect(half, traces, out=stored, **OPTIONS)


def test_traces_without_anything_to_read_leave_no_store(tiny, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to read: 1 traces hold 0 labelled spans"):
        collect(tiny(), [Trace("n", "Q", "Text.")], out=tmp_path / "out", **OPTIONS)
    assert not (tmp_path / "out").exists()
