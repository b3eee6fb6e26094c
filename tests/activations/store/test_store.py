from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from reasonlens import Activations, InputError, Trace, collect, mean_difference_directions
from reasonlens.activations import collect as collect_module  # noqa: F401
from reasonlens.activations.store import store as store_module
from reasonlens.probes import sweep

from ...conftest import D_MODEL

OPTIONS = {"spans_per_shard": 18, "progress": False}  # three traces a shard: four shards
SHARDS = [f"shard-{number:05d}.safetensors" for number in range(4)]


@pytest.fixture
def stored(tiny, traces, tmp_path: Path) -> Path:
    collect(tiny(), traces, out=tmp_path / "stored", **OPTIONS)
    return tmp_path / "stored"


def files(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.iterdir()) if file.name != "lock"}


def test_a_store_holds_what_is_collected_in_memory(tiny, traces, stored: Path) -> None:
    expected = collect(tiny(), traces, progress=False)
    found = Activations.open(stored, verify=True)
    assert sorted(files(stored)) == ["manifest.json", *SHARDS]
    assert found.acts.shape == expected.acts.shape == (72, 3, D_MODEL)
    assert found.examples == expected.examples and found.layers == expected.layers
    assert (found.read, found.model, found.n_skipped) == (expected.read, expected.model, expected.n_skipped)
    for layer in expected.layers:
        torch.testing.assert_close(found.layer(layer), expected.layer(layer), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.load().acts, torch.stack([found.layer(n) for n in range(3)], dim=1))
    torch.testing.assert_close(found.overall_mean, expected.overall_mean, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.residual_norm, expected.residual_norm, rtol=1e-5, atol=0)


def test_what_works_on_memory_works_on_a_store(tiny, traces, stored: Path) -> None:
    found, expected = Activations.open(stored), collect(tiny(), traces, progress=False)
    torch.testing.assert_close(
        found.where("backtracking").layer(2), expected.where("backtracking").layer(2), rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(
        found.where("backtracking").load().acts, expected.where("backtracking").acts, rtol=1e-4, atol=1e-6
    )
    directions, same = mean_difference_directions(found), mean_difference_directions(expected)
    torch.testing.assert_close(directions["deduction"], same["deduction"], rtol=1e-3, atol=1e-6)
    quick = {"n_folds": 3, "n_bootstrap": 20, "n_shuffles": 1, "progress": False}
    swept, same_sweep = sweep(found, **quick), sweep(expected, **quick)
    for one, other in zip(swept.behaviours["deduction"].auroc, same_sweep.behaviours["deduction"].auroc, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-3)
    found.save(stored.parent / "one.safetensors")
    torch.testing.assert_close(Activations.open(stored.parent / "one.safetensors").load().acts, found.load().acts)


def test_a_layer_is_one_contiguous_tensor_and_reading_it_touches_no_other(tiny, traces, stored: Path) -> None:
    expected = Activations.open(stored).layer(1).clone()
    for shard in SHARDS:
        with safe_open(stored / shard, framework="pt") as file:
            assert file.get_slice("layer.1").get_shape() == [18, D_MODEL]
            other = file.get_tensor("layer.2").numpy().tobytes()
        content = (stored / shard).read_bytes()
        assert content.count(other) == 1
        (stored / shard).write_bytes(content.replace(other, b"\xff" * len(other)))  # NaN
    found = Activations.open(stored)
    assert torch.equal(found.layer(1), expected) and found.layer(2).isnan().all()


def test_half_precision_shards_are_half_as_large(tiny, traces, stored: Path, tmp_path: Path) -> None:
    found = collect(tiny(), traces, out=tmp_path / "half", dtype=torch.float16, **OPTIONS)
    torch.testing.assert_close(found.load().acts, Activations.open(stored).load().acts, rtol=1e-3, atol=1e-3)
    assert found.layer(0).dtype == torch.float32
    with safe_open(tmp_path / "half" / SHARDS[0], framework="pt") as file:
        assert file.get_tensor("layer.0").dtype == torch.float16


def test_traces_may_come_from_a_generator_and_are_asked_for_window_by_window(tiny, traces, tmp_path: Path) -> None:
    ahead: list[int] = []

    def coming() -> Iterator[Trace]:
        for number, trace in enumerate(traces):
            ahead.append(number - 3 * len(list(tmp_path.glob("out/shard-*"))))
            yield trace

    assert len(collect(tiny(), coming(), out=tmp_path / "out", **OPTIONS).examples) == 72
    assert max(ahead) <= 3


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda path: (path / SHARDS[1]).write_bytes((path / SHARDS[1]).read_bytes()[:-100]), SHARDS[1]),
        (lambda path: _flip_a_bit(path / SHARDS[2]), SHARDS[2]),
        (lambda path: (path / SHARDS[0]).unlink(), SHARDS[0]),
        (lambda path: _swap(path / SHARDS[1], path / SHARDS[2]), SHARDS[1]),
    ],
    ids=["torn", "altered", "missing", "swapped"],
)
def test_a_damaged_shard_is_named_and_read_again(tiny, traces, stored: Path, damage, named: str) -> None:
    before = files(stored)
    damage(stored)
    with pytest.raises(InputError, match=f"{named} is missing, torn or altered; run the command"):
        Activations.open(stored, verify=True)
    collect(tiny(), traces, out=stored, **OPTIONS)
    assert files(stored) == before
    Activations.open(stored, verify=True)


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)


def _swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


@pytest.mark.parametrize("n_kept", [0, 1, 3])
def test_a_run_that_fails_half_way_goes_on_and_ends_bit_identical(
    tiny, traces, stored: Path, tmp_path: Path, monkeypatch, n_kept: int
) -> None:
    record = store_module.Store.record

    def dies(self, index: int, *rest: object) -> None:
        if index == n_kept:  # the shard stands on disk, the manifest does not name it yet
            raise KeyboardInterrupt
        record(self, index, *rest)

    monkeypatch.setattr(store_module.Store, "record", dies)
    with pytest.raises(KeyboardInterrupt):
        collect(tiny(), traces, out=tmp_path / "cut", **OPTIONS)
    assert (tmp_path / "cut" / SHARDS[n_kept]).is_file()
    if n_kept:
        with pytest.raises(InputError, match=f"not whole yet: {n_kept} shards are done. Run the command"):
            Activations.open(tmp_path / "cut")
    monkeypatch.setattr(store_module.Store, "record", record)
    collect(tiny(), traces, out=tmp_path / "cut", **OPTIONS)
    assert files(tmp_path / "cut") == files(stored)


def test_nothing_is_run_again_that_stands_in_the_store(tiny, traces, stored: Path) -> None:
    model = tiny()
    ran: list[int] = []
    model.blocks[0].register_forward_pre_hook(lambda *_: ran.append(1))
    collect(model, traces, out=stored, **OPTIONS)
    assert not ran
    (stored / SHARDS[3]).unlink()
    collect(model, traces, out=stored, **OPTIONS)
    assert len(ran) == 1


def test_a_store_of_another_collection_or_other_traces_is_refused(tiny, traces, stored: Path) -> None:
    before = files(stored)
    with pytest.raises(InputError, match=r"holds another collection \(read 'mean' there, 'last' asked\); choose"):
        collect(tiny(), traces, read="last", out=stored, **OPTIONS)
    with pytest.raises(InputError, match="holds another collection .model.name 'tiny-llama' there, 'tiny-gpt2' asked"):
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
    with pytest.raises(InputError, match="other holds thesis.tex, which does not belong"):
        collect(tiny(), traces, out=other, **OPTIONS)


def test_a_directory_that_is_no_store_says_so(tmp_path: Path, stored: Path) -> None:
    with pytest.raises(InputError, match="cannot read .*manifest.json"):
        Activations.open(tmp_path)
    (stored / "manifest.json").write_text(json.dumps({"format": "something"}))
    with pytest.raises(InputError, match="is no manifest of reasonlens"):
        Activations.open(stored)


def _hold(path: Path, held, release) -> None:
    from reasonlens.activations.store.lock import only_writer

    with only_writer(path, ("shard-", "manifest.json")):
        held.set()
        release.wait(30)


def test_two_writers_on_one_directory_are_refused_and_the_lock_dies_with_its_holder(
    tiny, traces, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("forkserver")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "out", held, release))
    other.start()
    assert held.wait(60)
    with pytest.raises(InputError, match="another process is writing to .*out: wait for it"):
        collect(tiny(), traces, out=tmp_path / "out", **OPTIONS)
    other.kill()
    other.join()
    assert len(collect(tiny(), traces, out=tmp_path / "out", **OPTIONS).examples) == 72


def test_a_full_disk_is_said_and_what_was_written_stays(
    tiny, traces, stored: Path, tmp_path: Path, monkeypatch
) -> None:
    from reasonlens.activations.store import shard as shard_module

    save_file = shard_module.save_file
    written: list[Path] = []

    def fills(tensors: dict, path: Path, metadata: dict) -> None:
        save_file(tensors, path, metadata=metadata)
        if len(written) == 2:
            path.write_bytes(path.read_bytes()[:200])
            raise OSError(28, "No space left on device")
        written.append(path)

    monkeypatch.setattr(shard_module, "save_file", fills)
    with pytest.raises(InputError, match=f"no space left to write .*{SHARDS[2]}: free some and run the same command"):
        collect(tiny(), traces, out=tmp_path / "full", **OPTIONS)
    assert sorted(files(tmp_path / "full")) == ["manifest.json", *SHARDS[:2]]
    monkeypatch.setattr(shard_module, "save_file", save_file)
    collect(tiny(), traces, out=tmp_path / "full", **OPTIONS)
    assert files(tmp_path / "full") == files(stored)


@pytest.mark.skipif(shutil.which("mount") is None, reason="needs mount")
def test_nothing_that_loads_is_left_by_a_disk_that_is_really_full(tiny, traces, tmp_path: Path) -> None:
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount a file system here")
    try:
        with pytest.raises(InputError, match="no space left to write"):
            collect(tiny(), traces, out=small / "out", **OPTIONS)
        with pytest.raises(InputError):
            Activations.open(small / "out")
        assert not list((small / "out").glob("*.tmp"))
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_whole_store_that_is_added_to_is_not_whole_until_it_is_done(
    tiny, traces, tmp_path: Path, monkeypatch
) -> None:
    collect(tiny(), traces[:6], out=tmp_path / "out", **OPTIONS)
    record = store_module.Store.record

    def dies(self, index: int, *rest: object) -> None:
        if index == 3:
            raise KeyboardInterrupt
        record(self, index, *rest)

    monkeypatch.setattr(store_module.Store, "record", dies)
    with pytest.raises(KeyboardInterrupt):
        collect(tiny(), traces, out=tmp_path / "out", **OPTIONS)
    with pytest.raises(InputError, match="not whole yet: 3 shards are done"):
        Activations.open(tmp_path / "out")


def test_what_differs_is_named_where_it_is_nested(tiny, traces, stored: Path) -> None:
    half = tiny()
    half.model.to(torch.bfloat16)
    with pytest.raises(InputError, match="model.dtype 'float32' there, 'bfloat16' asked"):
        collect(half, traces, out=stored, **OPTIONS)


def test_traces_without_anything_to_read_leave_no_store(tiny, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to read: 1 traces hold 0 labelled spans"):
        collect(tiny(), [Trace("n", "Q", "Text.")], out=tmp_path / "out", **OPTIONS)
    assert not (tmp_path / "out").exists()


def test_a_smaller_batch_may_be_asked_for_when_going_on(tiny, traces, stored: Path) -> None:
    (stored / SHARDS[3]).unlink()
    model = tiny()
    widest: list[int] = []
    model.blocks[0].register_forward_pre_hook(lambda _m, inputs: widest.append(inputs[0].shape[:2].numel()))
    collect(model, traces, out=stored, tokens_per_batch=16, **OPTIONS)
    assert max(widest) <= 16


def test_what_a_killed_writer_left_half_written_is_removed(tiny, traces, stored: Path) -> None:
    before = files(stored)
    (stored / SHARDS[3]).unlink()
    for name in (
        ".tmpA1b2C3",
        f".{SHARDS[3]}.0a1b2c3d.tmp",
        ".manifest.json.0a1b2c3d.tmp",
    ):  # the first: safetensors' own
        (stored / name).write_bytes(b"half")
    collect(tiny(), traces, out=stored, **OPTIONS)
    assert files(stored) == before
