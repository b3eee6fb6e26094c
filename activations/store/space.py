"""A disk that is full is a user's problem, said as one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from ...rundir import InputError, atomic_path


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """`atomic_path`, which raises InputError when there is no space left."""
    try:
        with atomic_path(path) as temporary:
            yield temporary
    except (OSError, SafetensorError) as error:
        if "No space left" not in str(error):
            raise
        raise InputError(
            f"no space left to write {path}: free some and run the same command again; what is written stays"
        ) from error
