"""Read and write IBM activation-steering's `.svec`: JSON; key k is added *before* block k, so block L is key L + 1.

Checked against IBM/activation-steering (`steering_vector.py`, `leash_layer.py`): a LeashLayer adds the vector to the
input of its block, which is the output of the block before. Three properties of the tool matter: it extracts the vector
of key k at the output of block k, one block later than it applies it, so the tool's own file is read as it acts
(`as_found=True`: as it was extracted); it steers only the first row of a batch; it casts vectors to float16, so that
numbers beyond 65504 cannot be written. Key 0 acts before the first block and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...rundir import InputError
from .._directions import Directions
from .entry import Format
from .imported import one_behaviour, sound_origin
from .json_file import parse_vector, read_json, write_json
from .selection import last_block, select

_FLOAT16_MAX = 65504.0


def write(
    directions: Directions,
    path: str | Path,
    *,
    behaviour: str | None = None,
    layers: Sequence[int] | int | None = None,
    strength: float | None = None,
) -> None:
    """Write one behaviour; raise InputError for the last block (no block comes after it) and for large numbers."""
    selection = select(directions, behaviour, layers=layers, strength=strength)
    selection.without_last_block("activation-steering")
    largest = max(float(row.abs().max()) for row in selection.rows.values())
    if largest > _FLOAT16_MAX:
        raise InputError(
            f"activation-steering holds vectors in float16, up to 65504, and these go up to {largest:.0f}: write them "
            "with a smaller --strength"
        )
    write_json(
        Path(path),
        {
            "model_type": selection.model_type or "unknown",
            "directions": {str(layer + 1): row.tolist() for layer, row in selection.rows.items()},
            "explained_variances": {},
            "reasonlens": selection.origin(),
        },
    )


def read(path: str | Path, *, behaviour: str | None = None, as_found: bool = False) -> Directions:
    """Read one behaviour; `as_found` takes key k as block k, where the tool extracts it, not k - 1, where it acts."""
    path = Path(path)
    content = read_json(path)
    directions = content.get("directions")
    if not isinstance(directions, dict):
        raise InputError(f"{path} has no `directions`, and is no .svec file")
    rows = {}
    for key, numbers in directions.items():
        if not key.isascii() or not key.isdigit() or len(key) > 6:
            raise InputError(f"{path} has a direction for {key[:40]!r}, which is no layer")
        layer = int(key) - (0 if as_found else 1)
        if layer >= 0:
            rows[layer] = parse_vector(numbers, f"direction {key}", path)
    origin = sound_origin(content.get("reasonlens"))
    kind = content.get("model_type")
    return one_behaviour(
        rows,
        path=path,
        origin=origin,
        behaviour=behaviour,
        method=f"read from a .svec of activation-steering, where it was {'found' if as_found else 'applied'}",
        model=({"model_type": kind} if isinstance(kind, str) and kind != "unknown" else {}),
    )


FORMAT = Format(
    name="svec",
    about="IBM activation-steering's .svec (JSON), for SteeringVector.load",
    suffix=".svec",
    index="key L + 1: the tool adds before a block; the last block cannot be steered",
    coefficient="behavior_vector_strength=S adds S x vector, to the first row of a batch only",
    read=read,
    write=write,
    unwritable=lambda directions: last_block(directions.model, "activation-steering"),
    options={"as_found": bool},
)
