"""A store comes through damage, kills, full disks and second writers, and says what was wrong."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path

import pytest

from reasonlens import Activations, InputError, collect
from reasonlens.activations.store import store as store_module
from reasonlens.models.causality import check_causal

from .conftest import OPTIONS, SHARDS, files


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
def test_a_damaged_shard_is_named_and_read_again(tiny, traces, stored: Path, damage, named: str, caplog) -> None:
    before = files(stored)
    damage(stored)
    with pytest.raises(InputError, match=f"{named} is missing, torn or altered; run the command"):
        Activations.open(stored, verify=True)
    collect(tiny(), traces, out=stored, **OPTIONS)
    assert any(f"{named} is missing, torn or altered: it is read again" in line for line in caplog.messages)
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
    check_causal(model)  # a pass of its own, once a model
    ran: list[int] = []
    model.blocks[0].register_forward_pre_hook(lambda *_: ran.append(1))
    collect(model, traces, out=stored, **OPTIONS)
    assert not ran
    (stored / SHARDS[3]).unlink()
    collect(model, traces, out=stored, **OPTIONS)
    assert len(ran) == 1


def _hold(path: Path, held, release) -> None:
    from reasonlens.rundir.lock import only_writer

    with only_writer(path):
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
    with pytest.raises(InputError, match=f"out is being written by process {other.pid} on .* wait for it"):
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
    with pytest.raises(InputError, match=f"cannot write .*{SHARDS[2]}: No space left on device. Free some space"):
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
        with pytest.raises(InputError, match="cannot write .*: No space left on device"):
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


def test_a_smaller_batch_may_be_asked_for_when_going_on(tiny, traces, stored: Path) -> None:
    (stored / SHARDS[3]).unlink()
    model = tiny()
    check_causal(model)  # a pass of its own, once a model
    widest: list[int] = []
    model.blocks[0].register_forward_pre_hook(lambda _m, inputs: widest.append(inputs[0].shape[:2].numel()))
    collect(model, traces, out=stored, tokens_per_batch=16, **OPTIONS)
    assert max(widest) <= 16


def test_what_a_killed_writer_left_half_written_is_removed(tiny, traces, stored: Path) -> None:
    before = files(stored)
    (stored / SHARDS[3]).unlink()
    for name in (
        ".tmpA1b2C3",
        f".{SHARDS[3]}.0a1b2c3d-1f-00000000.tmp",
        ".manifest.json.0a1b2c3d-1f-00000000.tmp",
    ):  # the first: safetensors' own
        (stored / name).write_bytes(b"half")
    collect(tiny(), traces, out=stored, **OPTIONS)
    assert files(stored) == before
