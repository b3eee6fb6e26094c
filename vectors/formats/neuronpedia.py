"""Read and write Neuronpedia's upload of a vector: the JSON body of POST /api/vector/new, one layer of one behaviour.

Checked against hijohnnylin/neuronpedia (`app/api/vector/new/route.ts`): `modelId`, `layerNumber`, `hookType`, `vector`,
`vectorLabel` and `vectorDefaultSteerStrength` (-300 to 300) are required, and `hookType` must be `hook_resid_pre`, the
*input* of a block: the output of block L is written as layerNumber L + 1, and that of the last block cannot be. With
`hook_type="hook_resid_post"`, for a server that accepts it, layerNumber is L.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...rundir import InputError
from .._directions import Directions
from ..soundness import MAX_LAYERS
from .entry import Format
from .imported import imported
from .json_file import parse_vector, read_json, write_json
from .selection import select

HOOKS = {"hook_resid_pre": 1, "hook_resid_post": 0}  # what is added to L
MAX_LENGTH = 24576
MAX_STRENGTH = 300.0


def write(
    directions: Directions,
    path: str | Path,
    *,
    behaviour: str | None = None,
    layers: Sequence[int] | int | None = None,
    strength: float | None = None,
    hook_type: str = "hook_resid_pre",
    model_id: str | None = None,
    default_strength: float = 1.0,
) -> None:
    """Write one behaviour at one layer.

    Args:
        directions: The directions to take the vector from.
        path: The file to write.
        behaviour: Which behaviour; may be left out where there is only one.
        layers: The layer; may be left out where the directions cover only one.
        strength: What a coefficient of 1 adds, in units of the mean residual norm; None writes the vector as it is.
        hook_type: hook_resid_pre or hook_resid_post.
        model_id: Neuronpedia's name of the model; None means the last part of the model's name, in lower case.
        default_strength: What the page multiplies the vector with at first, from -300 to 300.

    Raises:
        InputError: There is more than one layer, or the layer, the model's name or a number is one that Neuronpedia
            does not accept.
    """
    selection = select(directions, behaviour, layers=layers, strength=strength)
    if len(selection.rows) != 1:
        raise InputError(
            f"Neuronpedia takes one layer at a time, and {len(selection.rows)} are chosen: give one (--layer)"
        )
    ((layer, row),) = selection.rows.items()
    n_layers = selection.model.get("n_layers")
    if hook_type not in HOOKS:
        raise InputError(f"the hook type {hook_type!r} is not one of {', '.join(HOOKS)}")
    number = layer + HOOKS[hook_type]
    if isinstance(n_layers, int) and number >= n_layers:
        raise InputError(
            f"Neuronpedia steers before a block, and no block comes after layer {layer}, the last of {n_layers}: take "
            "an earlier layer"
        )
    if not abs(default_strength) <= MAX_STRENGTH:
        raise InputError(f"Neuronpedia takes default strengths from -300 to 300, and not {default_strength}")
    if len(row) > MAX_LENGTH:
        raise InputError(f"Neuronpedia takes vectors of up to {MAX_LENGTH} numbers, and this one has {len(row)}")
    name = model_id or str(selection.model.get("name") or "").split("/")[-1].lower()
    if not name:
        raise InputError("these directions do not say which model they belong to: give its Neuronpedia name (model_id)")
    write_json(
        Path(path),
        {
            "modelId": name,
            "layerNumber": number,
            "hookType": hook_type,
            "vector": row.tolist(),
            "vectorDefaultSteerStrength": default_strength,
            "vectorLabel": selection.behaviour,
        },
    )


def read(path: str | Path, *, behaviour: str | None = None) -> Directions:
    """Read the vector of such a body; its label is the behaviour."""
    path = Path(path)
    body = read_json(path)
    label, number, name = body.get("vectorLabel"), body.get("layerNumber"), body.get("modelId")
    if type(number) is not int or not 0 <= number < MAX_LAYERS or not isinstance(label, str) or not label:
        raise InputError(f"{path} has no layerNumber and vectorLabel, and is no upload of Neuronpedia's")
    hook_type = body.get("hookType")
    if not isinstance(hook_type, str) or hook_type not in HOOKS:
        raise InputError(f"{path}: its hook type {str(hook_type)[:40]!r} is not one of {', '.join(HOOKS)}")
    layer = number - HOOKS[hook_type]
    if layer < 0:
        raise InputError(f"{path} steers before the first block, where no block's output is")
    return imported(
        {behaviour or label: {layer: parse_vector(body.get("vector"), "its vector", path)}},
        path=path,
        method="read from an upload of Neuronpedia's",
        model={"neuronpedia": name} if isinstance(name, str) else {},
    )


FORMAT = Format(
    name="neuronpedia",
    about="the JSON body of Neuronpedia's vector upload, one layer",
    suffix=".json",
    index="layerNumber L + 1 with hook_resid_pre, L with hook_resid_post",
    coefficient="the page adds strength x vector; vectorDefaultSteerStrength is where it begins",
    read=read,
    write=write,
    one_layer=True,
    options={"hook_type": str, "model_id": str, "default_strength": float},
)
