"""Whether what is asked agrees with what a directory holds, and what to say where it does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Every field of `asked` that is another in `there`, in words; empty where they agree. Nested fields by name."""
    return ", ".join(
        f"{name} {before!r:.60} there, {now!r:.60} asked"
        for name, now in _flat(asked).items()
        if (before := _flat(there).get(name)) != now
    )


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in json.loads(json.dumps(fields)).items():
        nested = {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
        flat |= nested
    return flat
