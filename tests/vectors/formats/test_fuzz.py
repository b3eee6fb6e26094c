"""Thousands of damaged files of each format: each is refused in one line, or gives sound and finite directions.

Half of the damage is done to bytes (flips, cuts, insertions, repeats, numbers overwritten), half to what the file says
(a value of its header, JSON or pickle replaced, with lengths and checksums made right again), which gets past them.
"""

from __future__ import annotations

import io
import json
import random
import resource
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from reasonlens import Directions, InputError
from reasonlens.vectors.formats import FORMATS, check_directions

from .conftest import make_directions

N_FILES = 5000
SLOWEST_S = 2.0
MEMORY_KB = 400_000

ODD = [
    *(None, True, -1, 0, 1, 2**31, 2**63, 2**64, 10**400, 1e308, -0.5, "", "x", "../../x", "\0", "NaN", [], {}),
    *([[]], [0], [-1, 2], [2**62, 2**62], {"": None}, float("nan"), float("inf"), [1] * 9),
]


def flipped(data: bytes, rng: random.Random) -> bytes:
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def inserted(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 4, 8, 100))) + data[at:]


def removed(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice((1, 4, 8, 32)) :]


def repeated(data: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(data))
    end = min(len(data), begin + rng.choice((8, 32, 64)))
    at = rng.randrange(len(data))
    return data[:at] + data[begin:end] + data[at:]


def overwritten(data: bytes, rng: random.Random) -> bytes:
    """A number put over eight or four bytes, near the beginning most times: lengths and counts stand there."""
    number = rng.choice((0, 1, 7, 255, 2**16, 2**31 - 1, 2**32 - 1, 2**40, 2**62, 2**63, 2**64 - 1))
    kind = rng.choice(("<Q", "<I"))
    packed = struct.pack(kind, number % (1 << (8 * struct.calcsize(kind))))
    at = rng.randrange(rng.choice((32, 200, len(data))))
    content = bytearray(data)
    content[at : at + len(packed)] = packed
    return bytes(content)


BYTES = (flipped, flipped, cut, inserted, removed, repeated, overwritten)


def altered(value: Any, rng: random.Random) -> Any:
    """A JSON value with one value somewhere in it replaced, removed, added or renamed."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        what = rng.random()
        if what < 0.1:
            return {other: kept for other, kept in value.items() if other != key}
        if what < 0.2:
            return value | {rng.choice((key + "0", "direction.9", "../x", "", "77")): value[key]}
        return value | {key: altered(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [*value[:at], altered(value[at], rng), *value[at + rng.choice((0, 1, 1, 1)) :]]
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.4:
        return rng.choice((value + 1, -value, value * 2**20, value - 1))
    return rng.choice(ODD)


def with_altered_json(data: bytes, rng: random.Random) -> bytes:
    return json.dumps(altered(json.loads(data), rng)).encode()


def with_altered_header(data: bytes, rng: random.Random) -> bytes:
    """A safetensors file whose header, or the JSON in its metadata, says something else."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    about = header.get("__metadata__", {}).get("reasonlens")
    if about and rng.random() < 0.6:
        header["__metadata__"]["reasonlens"] = json.dumps(altered(json.loads(about), rng))
    else:
        header = altered(header, rng)
    written = json.dumps(header).encode()
    return struct.pack("<Q", len(written)) + written + data[8 + length :]


def with_altered_member(data: bytes, rng: random.Random) -> bytes:
    """A .pt with damage in one member and the right checksum for it."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    names = archive.namelist()
    pickles = [name for name in names if name.endswith("data.pkl")]
    chosen = rng.choice(pickles * 4 + names)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as written:
        for name in names:
            content = archive.read(name)
            written.writestr(name, rng.choice(BYTES)(content, rng) if name == chosen and content else content)
    return out.getvalue()


def with_altered_entry(data: bytes, rng: random.Random) -> bytes:
    """A control vector whose counts, names, types, shapes or offsets say something else."""
    marks = [data.index(mark) for mark in (b"direction.1", b"direction.3", b"general.arch", b"controlvector.layer")]
    at = rng.choice((4, 8, 16, 24, *(mark + rng.randrange(-8, 48) for mark in marks)))
    content = bytearray(data)
    value = rng.choice((0, 1, 2, 3, 4, 8, 9, 28, 32, 64, 2**20, 2**31, 2**40, 2**63, 2**64 - 1))
    width = rng.choice((1, 4, 8))
    content[at : at + width] = (value % (1 << (8 * width))).to_bytes(width, "little")
    return bytes(content)


def sources(directory: Path) -> dict[str, tuple[str, bytes, Callable[[bytes, random.Random], bytes]]]:
    """Name -> format, a sound file of it, and how to damage what it says."""
    directions, found = make_directions(width=4), {}
    for name, entry in FORMATS.items():
        if entry.read is not None and entry.write is not None:
            path = directory / f"sound{entry.suffix}"
            layers = [2] if entry.one_layer else None
            entry.write(directions, path, behaviour=None if entry.several else "deduction", layers=layers)
            damage = {".gguf": with_altered_entry, ".safetensors": with_altered_header}
            found[name] = (name, path.read_bytes(), damage.get(entry.suffix, with_altered_json))
            if name in ("hotwire", "refusal-direction", "persona-vectors"):
                torch.save(next(iter(load_file(path).values())), directory / "sound.pt")
                found[f"{name} .pt"] = (name, (directory / "sound.pt").read_bytes(), with_altered_member)
    means = {label: {"mean": torch.randn(3, 4), "count": n} for label, n in (("overall", 3), ("deduction", 2))}
    torch.save(means, directory / "means.pt")
    found["published-means"] = ("published-means", (directory / "means.pt").read_bytes(), with_altered_member)
    return found


SOURCES = [name for name, entry in FORMATS.items() if entry.read is not None]
SOURCES += ["hotwire .pt", "refusal-direction .pt", "persona-vectors .pt"]


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: writing a file anew takes milliseconds on some disks."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as directory:
        yield Path(directory)


@pytest.mark.parametrize("source", SOURCES)
def test_a_damaged_file_is_refused_or_read_right(source: str, in_memory: Path) -> None:
    torch.manual_seed(0)
    name, sound, damage = sources(in_memory)[source]
    read = FORMATS[name].read
    assert read is not None
    path = in_memory / f"damaged{FORMATS[name].suffix}"
    rng = random.Random(f"reasonlens {source}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slowest, refused, taken = 0.0, 0, 0
    for number in range(N_FILES):
        content = damage(sound, rng) if number % 2 else rng.choice(BYTES)(sound, rng)
        path.write_bytes(content)
        begun = time.process_time()
        try:
            directions = read(path)
        except InputError as error:
            refused += 1
            assert str(path) in str(error) or "the vector for" in str(error), error
        else:
            taken += 1
            assert isinstance(directions, Directions)
            check_directions(directions)
            assert directions.d_model <= len(content) and len(directions.layers) <= len(content)
            assert all(type(layer) is int for layer in directions.layers)
        slowest = max(slowest, time.process_time() - begun)
    assert refused + taken == N_FILES and refused > N_FILES // 10
    assert slowest < SLOWEST_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KB


def test_the_damage_reaches_past_lengths_and_checksums(tmp_path: Path) -> None:
    """Without damage every source is read: what is refused above is refused for the damage."""
    for source, (name, sound, damage) in sources(tmp_path).items():
        path = tmp_path / f"sound{FORMATS[name].suffix}"
        path.write_bytes(sound)
        read = FORMATS[name].read
        assert read is not None and read(path).layers, source
        rng = random.Random(0)
        assert any(damage(sound, rng) != sound for _ in range(5))
