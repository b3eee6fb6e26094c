"""Complete what is typed after an option: built-in models, and the behaviours of the file that is named before.

Nothing heavy is imported: a key press must not wait for torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer

BUILT_IN = ("smollm2-135m", "gemma3-270m")
MOST_BYTES = 1 << 25  # of a file that is read for one key press


def complete_models(incomplete: str) -> list[str]:
    """List the built-in models and the paths that begin so."""
    names = [*BUILT_IN, *_organisms()]
    return [name for name in names if name.startswith(incomplete)] + complete_paths(incomplete)


def complete_traces(incomplete: str) -> list[str]:
    """List `bundled` and the paths that begin so."""
    return [name for name in ("bundled",) if name.startswith(incomplete)] + complete_paths(incomplete)


def complete_behaviours(context: typer.Context, incomplete: str) -> list[str]:
    """List the behaviours of the traces, directions or probes that stand on the line; after a comma one more."""
    before, comma, last = incomplete.rpartition(",")
    named = set(before.split(","))
    try:
        known = sorted({name for source in _sources(context.params) for name in source})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []  # a damaged file is for the command to name
    return [f"{before}{comma}{name}" for name in known if name.startswith(last) and name not in named]


def _organisms() -> list[str]:
    spec = find_spec("reasonlens.organisms")
    weights = Path(spec.origin).with_name("weights") if spec and spec.origin else Path()
    return sorted(f"organism/{path.parent.name}" for path in weights.glob("*/config.json"))


def complete_paths(incomplete: str) -> list[str]:
    """List the paths that begin so."""
    if not incomplete:
        return []
    shown, place = os.path.split(incomplete)
    directory = Path(os.path.expanduser(shown or "."))
    if not directory.is_dir():
        return []
    names = sorted(path.name + "/" * path.is_dir() for path in directory.iterdir() if path.name.startswith(place))
    return [os.path.join(shown, name) for name in names]


def _sources(parameters: dict[str, Any]) -> Iterator[Iterator[str]]:
    for name in ("vectors", "probes", "file", "source"):
        for path in _as_list(parameters.get(name)):
            yield _in_safetensors(Path(path))
    traces = parameters.get("traces")
    if traces == "bundled":
        spec = find_spec("reasonlens.traces")
        yield _in_traces(Path(spec.origin).with_name("bundled.jsonl") if spec and spec.origin else Path())
    elif traces:
        yield _in_traces(Path(traces))


def _in_safetensors(path: Path) -> Iterator[str]:
    """List the names of tensors, from the header alone: `NAME` in directions, `NAME.weight` in probes."""
    with path.open("rb") as file:
        header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), MOST_BYTES)))
    yield from (name.removesuffix(".weight") for name in header if name != "__metadata__" and name[-5:] != ".bias")


def _in_traces(path: Path) -> Iterator[str]:
    if path.stat().st_size > MOST_BYTES:
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield from (span["label"] for span in json.loads(line).get("spans", ()))


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value] if value else []
