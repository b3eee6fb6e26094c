"""Compare a collection with an earlier one in the same directory, to decide whether it is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...rundir import RunDirectory

NAMES = ("name", "revision", "fingerprint")  # of a model: a copy may have other ones; its weights decide


def collection_run(path: Path, keep: str, description: Mapping[str, Any], weights: str) -> RunDirectory:
    """Open the run directory of a collection.

    Args:
        path: Its directory.
        keep: What is kept: "activations" or "moments".
        description: What decides the numbers.
        weights: Digest of the model's weights (`models.content.weights_digest`).
    """
    return RunDirectory(
        path,
        "collect",
        settings={"keep": keep, **without_names(description)},
        inputs={"model": weights},
        options={"model": description["model"]["name"]},
    )


def without_names(description: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a description says of the model that a copy need not have."""
    model = description.get("model", {})
    return {**description, "model": {name: value for name, value in model.items() if name not in NAMES}}
