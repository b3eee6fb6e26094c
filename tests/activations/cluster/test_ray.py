"""One machine with two actors: the same shards and the same moments as without Ray, also when an actor is killed."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonlens import (
    ClusterSettings,
    CollectSettings,
    InputError,
    Moments,
    Trace,
    collect,
    collect_moments,
    collect_on_ray,
    write_traces,
)

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of many kinds

OPTIONS = {"spans_per_shard": 12, "progress": False}
TWO = ClusterSettings(workers=2, load_options={"device": "cpu"})


@pytest.fixture(scope="module")
def many() -> list[Trace]:
    from ...conftest import _short_trace

    return [replace(_short_trace(number), id=f"{number}-{copy}") for copy in range(8) for number in range(12)]


@pytest.fixture(scope="module")
def model(tiny, tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("model")
    made = tiny()
    made.model.save_pretrained(directory)
    made.tokenizer.save_pretrained(directory)
    return str(directory)


@pytest.fixture(scope="module")
def loud(tiny, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same with a residual stream beyond float16."""
    directory = tmp_path_factory.mktemp("loud")
    made = tiny()
    with torch.no_grad():
        made.model.get_input_embeddings().weight.mul_(1e8)
    made.model.save_pretrained(directory)
    made.tokenizer.save_pretrained(directory)
    return str(directory)


@pytest.fixture(scope="module")
def jsonl(many: list[Trace], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "many.jsonl"
    write_traces(many, path)
    return path


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    # Actors compute with one thread, whatever the machine has: sums are then the same to the last bit.
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, logging_level="ERROR")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    ray.shutdown()


def files(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.iterdir()) if file.name != "run.json"}


@pytest.mark.long
def test_many_workers_write_the_shards_that_one_process_writes(
    model: str, many: list[Trace], jsonl: Path, tmp_path: Path
) -> None:
    reads = ["mean", "before:1"]
    settings = CollectSettings(read=reads)
    found = collect_on_ray(model, jsonl, tmp_path / "ray", settings=settings, cluster=TWO, **OPTIONS)
    both = collect(model, many, read=reads, out=tmp_path / "both", **OPTIONS)
    assert files(tmp_path / "ray") == files(tmp_path / "both")
    for read in reads:
        alone = collect(model, many, read=read, out=tmp_path / read.replace(":", "-"), **OPTIONS)
        assert torch.equal(found.at(read).layer(2), alone.layer(2))
        assert torch.equal(both.at(read).layer(2), alone.layer(2))


@pytest.mark.long
def test_moments_of_many_workers_are_those_of_one_process(
    model: str, many: list[Trace], jsonl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reasonlens.activations.cluster.run.SPANS_PER_WINDOW", 40)
    settings = CollectSettings(layers=[0, 2], read=["mean", "before:1"])
    found = collect_on_ray(
        model, jsonl, tmp_path / "ray", keep="moments", settings=settings, covariance=True, cluster=TWO, progress=False
    )
    expected = collect_moments(
        model,
        many,
        layers=[0, 2],
        read=["mean", "before:1"],
        covariance=True,
        spans_per_window=40,
        out=tmp_path / "alone",
        progress=False,
    )
    assert files(tmp_path / "ray") == files(tmp_path / "alone")
    for read in ("mean", "before:1"):
        one, other = found.at(read), expected.at(read)
        assert isinstance(one, Moments)
        torch.testing.assert_close(one.of_label("deduction").comoment, other.of_label("deduction").comoment)


@pytest.mark.long
def test_a_killed_worker_loses_nothing(model: str, many: list[Trace], tmp_path: Path) -> None:
    collect(model, many, out=tmp_path / "alone", **OPTIONS)
    killed: list[int] = []

    def traces() -> Iterator[Trace]:
        for number, trace in enumerate(many):
            if number == len(many) // 2:  # both workers have windows
                killer = threading.Thread(target=kill_a_worker, args=(killed,))
                killer.start()
                killer.join()
            yield trace

    collect_on_ray(model, traces(), tmp_path / "ray", cluster=TWO, **OPTIONS)
    assert len(killed) == 1
    assert files(tmp_path / "ray") == files(tmp_path / "alone")


def kill_a_worker(killed: list[int]) -> None:
    end = time.monotonic() + 60
    while not killed and time.monotonic() < end:
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                name = entry.read_bytes()
            except OSError:
                continue
            if name.startswith(b"ray::Worker") and is_ours(int(entry.parent.name)):
                os.kill(int(entry.parent.name), signal.SIGKILL)
                killed.append(int(entry.parent.name))
                return
        time.sleep(0.05)


def is_ours(pid: int) -> bool:
    """Whether a process descends from this one."""
    while pid > 1:
        if pid == os.getpid():
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


@pytest.mark.long
def test_a_driver_that_was_cut_off_goes_on_after_its_shards(model: str, many: list[Trace], tmp_path: Path) -> None:
    collect(model, many, out=tmp_path / "alone", **OPTIONS)

    def cut() -> Iterator[Trace]:
        yield from many[:50]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect_on_ray(model, cut(), tmp_path / "ray", cluster=TWO, **OPTIONS)
    kept = json.loads((tmp_path / "ray" / "manifest.json").read_text())["shards"]
    assert kept and len(kept) < len(list((tmp_path / "alone").glob("shard-*")))
    stamps = {name: (tmp_path / "ray" / entry["file"]).stat().st_mtime_ns for name, entry in kept.items()}
    collect_on_ray(model, many, tmp_path / "ray", cluster=TWO, **OPTIONS)
    assert files(tmp_path / "ray") == files(tmp_path / "alone")
    assert stamps == {name: (tmp_path / "ray" / entry["file"]).stat().st_mtime_ns for name, entry in kept.items()}


def rows(traces: list[Trace]) -> list[dict[str, Any]]:
    return [asdict(trace) for trace in traces]


@pytest.mark.long
def test_parquet_and_hugging_face_datasets_give_what_jsonl_gives(model: str, many: list[Trace], tmp_path: Path) -> None:
    import datasets
    import pyarrow
    import pyarrow.parquet

    some = many[:12]
    collect(model, some, out=tmp_path / "alone", **OPTIONS)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows(some)), tmp_path / "some.parquet")
    datasets.Dataset.from_list(rows(some)).save_to_disk(tmp_path / "some")
    one = replace(TWO, workers=1)
    for name in ("some.parquet", "some"):
        out = tmp_path / f"from-{name}"
        collect_on_ray(model, tmp_path / name, out, cluster=one, **OPTIONS)
        assert files(out) == files(tmp_path / "alone"), name


@pytest.mark.long
def test_what_is_wrong_is_said_as_without_ray(model: str, loud: str, many: list[Trace], tmp_path: Path) -> None:
    one = replace(TWO, workers=1)
    with pytest.raises(InputError, match="layer 9 does not exist"):
        collect_on_ray(model, many, tmp_path / "a", settings=CollectSettings(layers=[9]), cluster=one, progress=False)
    with pytest.raises(InputError, match="activations at layer 0 reach .* too large for float16"):
        collect_on_ray(loud, many, tmp_path / "loud", dtype=torch.float16, cluster=one, progress=False)
    assert not list((tmp_path / "loud").glob("*.safetensors"))
    with pytest.raises(InputError, match="cannot read traces from traces.xlsx: No such file"):
        collect_on_ray(model, "traces.xlsx", tmp_path / "b", cluster=one, progress=False)
    (tmp_path / "bad.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(InputError, match="bad.jsonl, line 1: no field holds the response"):
        collect_on_ray(model, tmp_path / "bad.jsonl", tmp_path / "c", cluster=one, progress=False)
    with pytest.raises(InputError, match="cannot read traces from .*none.jsonl"):
        collect_on_ray(model, tmp_path / "none.jsonl", tmp_path / "d", cluster=one, progress=False)
    with pytest.raises(InputError, match="nothing to read: 1 traces hold 0 labelled spans"):
        collect_on_ray(model, [Trace("n", "Q", "T.")], tmp_path / "e", cluster=one, progress=False)
