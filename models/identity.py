"""Whether what was found in one model belongs to another: same weights, as far as both tell.

A fingerprint decides where there is one. It changes with precision, so a copy in another one is known by name and
revision. What says neither fingerprint nor name may be of any model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .handle import LanguageModel


def same_weights(theirs: Mapping[str, Any], model: LanguageModel) -> bool:
    """Whether an identity (`LanguageModel.identity()`, or part of one) is of the weights of `model`."""
    if not {"fingerprint", "name"} & set(theirs):
        return True
    if "fingerprint" in theirs:
        if theirs["fingerprint"] == model.fingerprint:
            return True
        if theirs.get("dtype", _dtype(model)) == _dtype(model):
            return False
    return theirs.get("name") == model.name and theirs.get("revision") == model.revision


def state(identity: Mapping[str, Any]) -> str:
    """What an identity says of its weights, for messages."""
    revision, fingerprint = identity.get("revision"), identity.get("fingerprint")
    known = [f"revision {revision}"] if revision else []
    known += [f"fingerprint {fingerprint}"] if fingerprint else []
    return ", ".join([*known, str(identity.get("dtype", "precision not known"))])


def _dtype(model: LanguageModel) -> str:
    return str(model.model.dtype).removeprefix("torch.")
