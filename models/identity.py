"""Compare the identities of models: same weights, as far as both state them.

A fingerprint decides if there is one. It changes with precision, so a copy in another precision is recognised by name
and revision. An identity with neither fingerprint nor name may be of any model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .handle import LanguageModel


def same_weights(identity: Mapping[str, Any], model: LanguageModel) -> bool:
    """Check whether an identity (`LanguageModel.identity()`, or part of one) can be that of `model`."""
    if not {"fingerprint", "name"} & set(identity):
        return True
    if "fingerprint" in identity:
        if identity["fingerprint"] == model.fingerprint:
            return True
        if identity.get("dtype", _dtype(model)) == _dtype(model):
            return False
    return identity.get("name") == model.name and identity.get("revision") == model.revision


def state(identity: Mapping[str, Any]) -> str:
    """Describe the weights of an identity, for messages."""
    revision, fingerprint = identity.get("revision"), identity.get("fingerprint")
    known = [f"revision {revision}"] if revision else []
    known += [f"fingerprint {fingerprint}"] if fingerprint else []
    return ", ".join([*known, str(identity.get("dtype", "precision not known"))])


def _dtype(model: LanguageModel) -> str:
    return str(model.model.dtype).removeprefix("torch.")
