"""Make and compare the content of run.json.

Command, settings, digests of inputs, versions, seeds, timings, state and digests of artifacts.
"""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from .comparison import Json, differences, plain
from .errors import InputError, short
from .lock import is_of_the_lock
from .places import is_left_over
from .readers import WRONG_SHAPE, parse_json

FORMAT = "reasonlens.run/2"
RUN = "run.json"
PACKAGES = ("reasonlens", "torch", "transformers", "scikit-learn", "numpy")
Record: TypeAlias = dict[str, Json]


def new_record(
    command: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Any],
    changeable: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Record:
    """Make the record of a new run; arguments as for `RunDirectory`."""
    return {
        "format": FORMAT,
        "state": "running",
        "command": command,
        "settings": plain(settings),
        "changeable": plain(changeable),
        "inputs": plain(inputs),
        "options": plain(options),
        "seeds": _seeds(plain({**settings, **changeable})),
        "command_line": shlex.join(sys.argv),
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "timings_seconds": {},
        "artifacts": {},
    }


def earlier_record(directory: Path, record: Record) -> Record | None:
    """Continue the record of the run that a directory holds.

    Args:
        directory: A directory that holds a run, is empty, or does not exist.
        record: The record of the present call.

    Returns:
        `record` with the state, timings and artifacts of the earlier run; if changeable settings differ, the run counts
        as not done. None where the directory holds no run.

    Raises:
        InputError: The earlier record cannot be read or belongs to another run (the differences are named), or the
            directory holds files that are not of a run.
    """
    file = directory / RUN
    if not file.is_file():
        _check_empty(directory)
        return None
    try:
        earlier = parse_json(file.read_text("utf-8"), RUN)
        if earlier["format"] != FORMAT:
            raise ValueError(f"format {earlier['format']!r}, not {FORMAT!r}")
        different = changes(earlier, record)
        known = {name: earlier[name] for name in ("state", "timings_seconds", "artifacts")}
        if not all(isinstance(known[name], dict) for name in ("timings_seconds", "artifacts")):
            raise TypeError("timings and artifacts are no objects")
    except (*WRONG_SHAPE, RecursionError, OSError) as error:
        raise InputError(f"{file} cannot be read ({error}); choose another --out or remove it") from error
    if different:
        raise InputError(f"{short(file.parent)} holds another run ({different}); choose another --out or remove it")
    if known["state"] != "done" or differences(earlier["changeable"], record["changeable"]):
        known["state"] = "running"
    return record | known


def _check_empty(directory: Path) -> None:
    names = [entry.name for entry in directory.iterdir()] if directory.is_dir() else []
    foreign = sorted(name for name in names if not is_left_over(name) and not is_of_the_lock(name))
    if foreign:
        raise InputError(
            f"{short(directory)} holds files ({foreign[0]}) and no {RUN}, so it is not the directory of a run; choose "
            "another --out"
        )


def changes(stored: Mapping[str, Json], current: Mapping[str, Json]) -> str:
    """Name the differences between two runs in what must be equal: command, version, every setting, every input."""
    before, now = (
        {"command": run["command"], "reasonlens": run["versions"]["reasonlens"], **run["settings"]}
        for run in (stored, current)
    )
    names = dict.fromkeys([*current["inputs"], *stored["inputs"]])
    different = [name for name in names if stored["inputs"].get(name) != current["inputs"].get(name)]
    inputs = [f"content of {name} {_input(stored, name)} there, {_input(current, name)} asked" for name in different]
    return ", ".join(part for part in (differences(before, now), *inputs) if part)


def _input(run: Mapping[str, Json], name: str) -> str:
    """Describe an input by its digest, and by its name where the options hold one."""
    label = run["options"].get(name)
    digest = run["inputs"].get(name, "nothing")
    return f"{digest} ({label})" if label else str(digest)


def _seeds(settings: Mapping[str, Json], prefix: str = "") -> dict[str, Json]:
    """Collect the settings whose name says that they are seeds, nested ones too."""
    seeds: dict[str, Json] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            seeds |= _seeds(value, f"{prefix}{name}.")
        elif name == "seed" or name.endswith("_seed"):
            seeds[f"{prefix}{name}"] = value
    return seeds
