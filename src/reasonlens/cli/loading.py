"""Load the model that a command is to use with a file of directions or probes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasonlens.models import LanguageModel


def load_named(model: str | None, identity: Mapping[str, Any], file: Path, device: str | None) -> LanguageModel:
    """Load the model that is asked for, else the one that the file was made with.

    Args:
        model: Name or path; None: the one in the file.
        identity: What the file says of its model.
        file: For the message.
        device: Where the model goes.

    Raises:
        InputError: None is asked for, and the file names none.
    """
    from reasonlens.models import load
    from reasonlens.rundir import InputError

    name = model or identity.get("name")
    if not name:
        raise InputError(f"{file} does not say which model it belongs to: name one with --model")
    return load(name, device=device)
