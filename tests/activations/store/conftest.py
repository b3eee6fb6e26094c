"""A store of four shards on disk, which the tests of this folder read, damage and continue."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasonlens import collect

OPTIONS = {"spans_per_shard": 18, "progress": False}  # three traces a shard: four shards
SHARDS = [f"shard-{number:05d}.safetensors" for number in range(4)]


@pytest.fixture
def stored(tiny, traces, tmp_path: Path) -> Path:
    collect(tiny(), traces, out=tmp_path / "stored", **OPTIONS)
    return tmp_path / "stored"


def files(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.iterdir()) if file.name != "run.json"}
