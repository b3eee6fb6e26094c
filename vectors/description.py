"""Check the JSON description of a file of directions, field by field, before its tensors are used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..models.sites import Site
from ..rundir import InputError, check_kinds
from .soundness import check_sizes

KINDS: dict[str, type] = {
    "method": str,
    "model": dict,
    "site": str,
    "read": str,
    "operation": str,
    "data_digest": str,
    "layers": list,
    "residual_norm": list,
    "norms": dict,
    "n_examples": dict,
    "n_problems": int,
    "scores": dict,
}


def check_description(description: dict[str, Any], path: str | Path) -> None:
    """Check that the description of a file of directions has every field, each of its kind.

    Args:
        description: What the metadata of the file hold.
        path: The file, for the message.

    Raises:
        InputError: A field is missing, or it or a part of it is of another kind.
    """
    check_kinds(description, KINDS, path)
    if not isinstance(description.get("n_problems_showing", {}), dict):
        raise InputError(f"{path} is damaged: its n_problems_showing is no object; write it again")
    split = description.get("split", {})
    if not isinstance(split, dict) or not all(isinstance(problems, list) for problems in split.values()):
        raise InputError(f"{path} is damaged: its split is no lists of problems; write it again")
    injection = description.get("injection", [])
    if not isinstance(injection, list) or not all(isinstance(row, dict) for row in injection):
        raise InputError(f"{path} is damaged: its injection is no list of rates; write it again")
    if not all(type(layer) is int for layer in description["layers"]):
        raise InputError(f"{path} is damaged: its layers are not all whole numbers")
    try:
        Site.parse(description["site"])
    except InputError as error:
        raise InputError(f"{path} is damaged: {error}") from None
    check_sizes(description["model"], description["layers"], path)
    norms = [norm for norm in description["residual_norm"] if norm is not None]
    if not all(type(norm) in (int, float) and 0 <= norm < float("inf") for norm in norms):
        raise InputError(f"{path} is damaged: its residual norms are not all numbers from 0")
    for counts in (description["n_examples"], description.get("n_problems_showing", {})):
        if not all(type(count) is int for count in counts.values()):
            raise InputError(f"{path} is damaged: its counts are not all whole numbers")
    for name, layer_scores in description["scores"].items():
        if not isinstance(layer_scores, dict) or not all(isinstance(score, list) for score in layer_scores.values()):
            raise InputError(f"{path} is damaged: its scores for {name[:80]!r} are no lists")
        for score, values in layer_scores.items():
            is_number = all(value is None or type(value) in (int, float) for value in values)
            if len(values) != len(description["layers"]) or not is_number:
                raise InputError(
                    f"{path} is damaged: its score {score[:80]!r} of {name[:80]!r} is no number for each layer"
                )
