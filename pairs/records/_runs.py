"""List the runs below a directory. A run may hold others (activations, parts): these are not listed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from ...figures import Result
from ...rundir import InputError, expanded, printable, read_json
from ...rundir.result_files import RESULTS
from ...rundir.run_record import RUN
from .classes import read_result
from .run_list import RunEntry, RunList

N_CHARACTERS = 160  # of a headline
OF_MODELS = ("model", "base", "thinking", "pair", "pairs")


def runs(directory: str | Path = "runs") -> RunList:
    """List run directories with what they found.

    Args:
        directory: Where to look, at any depth.

    Returns:
        The runs, those that changed last first.

    Raises:
        InputError: The directory does not exist.
    """
    place = expanded(directory)
    if not place.is_dir():
        raise InputError(f"there is no directory {place}; name the one that your runs are in")
    times = {path: _changed(path) for path in _run_directories(place)}
    latest_first = sorted(times, key=lambda path: (-times[path], path))
    entries = tuple(_entry(place, path, times[path]) for path in latest_first)
    return RunList(directory=str(directory), runs=entries)


def _run_directories(place: Path) -> Iterator[Path]:
    for path, folders, files in os.walk(place):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        if RUN in files or RESULTS in files:
            folders.clear()
            yield Path(path)


def _changed(path: Path) -> float:
    return max(file.stat().st_mtime for name in (RUN, RESULTS) if (file := path / name).is_file())


def _entry(place: Path, path: Path, changed: float) -> RunEntry:
    record: dict[str, Any] = {}
    headline = ""
    try:
        if (path / RUN).is_file():
            record = read_json(path / RUN, "a run")
        if record.get("state", "done") == "done" and (path / RESULTS).is_file():
            headline = _headline(read_result(path))
    except InputError as error:
        headline = f"cannot be read: {error}".replace(f"{path}{os.sep}", "")
    return RunEntry(
        path=str(path.relative_to(place)),
        command=str(record.get("command", "")),
        state=str(record.get("state", "written")),
        changed=datetime.fromtimestamp(changed).strftime("%Y-%m-%d %H:%M"),
        model=printable(_model(record)),
        headline=printable(headline)[:N_CHARACTERS],
    )


def _headline(result: Result) -> str:
    """Shorten what a result says of itself: the class's name and what to look at are left out."""
    text = repr(result).split("; look:")[0]
    return text.removeprefix(f"{type(result).__name__}(").removesuffix(")")


def _model(record: dict[str, Any]) -> str:
    """Name what a run was of: its options hold the labels of its inputs."""
    options = record.get("options")
    stated = options if isinstance(options, dict) else {}
    names = [stated[name] for name in OF_MODELS if stated.get(name)]
    return " + ".join(name if isinstance(name, str) else ", ".join(map(str, name)) for name in names)
