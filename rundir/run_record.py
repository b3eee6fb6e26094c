"""What run.json holds: command, settings, digests of inputs, versions, seeds, timings, state, digests of artifacts."""

from __future__ import annotations

import json
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
    """Write down what is asked (see `RunDirectory`); state, timings and artifacts are added as the run goes on."""
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


def earlier_record(directory: Path, asked: Record) -> Record | None:
    """Go on from the record of the run that a directory holds.

    Args:
        directory: Of a run, empty, or not there.
        asked: What is asked now.

    Returns:
        `asked` with the state, timings and artifacts of the earlier run; with other changeable settings it is not done.
        None where there is no run.

    Raises:
        InputError: The record cannot be read, or is of another run (what differs is named), or the directory is not
            that of a run.
    """
    file = directory / RUN
    if not file.is_file():
        _check_empty(directory)
        return None
    try:
        earlier = json.loads(file.read_text("utf-8"))
        if earlier["format"] != FORMAT:
            raise ValueError(f"format {earlier['format']!r}, not {FORMAT!r}")
        different = changes(earlier, asked)
        known = {name: earlier[name] for name in ("state", "timings_seconds", "artifacts")}
        if not all(isinstance(known[name], dict) for name in ("timings_seconds", "artifacts")):
            raise TypeError("timings and artifacts are no objects")
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise InputError(f"{file} cannot be read ({error}); choose another --out or remove it") from error
    if different:
        raise InputError(f"{short(file.parent)} holds another run ({different}); choose another --out or remove it")
    if known["state"] != "done" or differences(earlier["changeable"], asked["changeable"]):
        known["state"] = "running"
    return asked | known


def _check_empty(directory: Path) -> None:
    names = [entry.name for entry in directory.iterdir()] if directory.is_dir() else []
    foreign = sorted(name for name in names if not is_left_over(name) and not is_of_the_lock(name))
    if foreign:
        raise InputError(
            f"{short(directory)} holds files ({foreign[0]}) and no {RUN}, so it is not the directory of a run; choose "
            "another --out"
        )


def changes(there: Mapping[str, Json], asked: Mapping[str, Json]) -> str:
    """Name what two runs should have in common and have not: command, version, every setting, every input."""
    before, now = (
        {"command": run["command"], "reasonlens": run["versions"]["reasonlens"], **run["settings"]}
        for run in (there, asked)
    )
    names = dict.fromkeys([*asked["inputs"], *there["inputs"]])
    different = [name for name in names if there["inputs"].get(name) != asked["inputs"].get(name)]
    inputs = [f"content of {name} {_input(there, name)} there, {_input(asked, name)} asked" for name in different]
    return ", ".join(part for part in (differences(before, now), *inputs) if part)


def _input(run: Mapping[str, Json], name: str) -> str:
    """Describe an input by its digest, and by its name where the options tell one."""
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
