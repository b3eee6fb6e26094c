"""A directory that holds one run: what was asked, with what, how far it came, and its results.

`run.json` names the verb, its configuration, versions and timings. The same configuration on the same directory
resumes or is done; another one is refused, so that results of two runs never mix. Nothing is written before `record`,
so a run that fails on its input leaves no trace.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .atomic import atomic_path
from .errors import InputError

PACKAGES = ("reasonlens", "torch", "transformers", "scikit-learn", "numpy")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; NaN is refused, since it is no JSON."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


class RunDirectory:
    """The run of `verb` with `config` at `path`. Raises InputError when the directory cannot serve for it."""

    def __init__(self, path: Path, verb: str, config: dict[str, Any]) -> None:
        self.path = path
        self._file = path / "run.json"
        self._recorded = False
        self._run: dict[str, Any] = {
            "verb": verb,
            "status": "running",
            "config": json.loads(json.dumps(config)),
            "command": sys.argv,
            "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
            "timings_seconds": {},
        }
        existing = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            raise InputError(
                f"cannot write to {path}: {existing} is no directory you may write to; choose another --out"
            )
        if self._file.is_file():
            self._continue()
        elif path.is_dir() and any(not each.match(".*.tmp") for each in path.iterdir()):
            raise InputError(
                f"{path} holds files and no run.json, so it is not the directory of a run; choose another --out"
            )

    @property
    def timings_seconds(self) -> dict[str, float]:
        return dict(self._run["timings_seconds"])

    def _continue(self) -> None:
        try:
            earlier = json.loads(self._file.read_text("utf-8"))
            before = {"verb": earlier["verb"]} | earlier["config"]
            status, timings = earlier["status"], earlier["timings_seconds"]
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise InputError(f"{self._file} cannot be read ({error}); choose another --out or remove it") from error
        now = {"verb": self._run["verb"]} | self._run["config"]
        differing = [key for key in now if before.get(key) != now[key]]
        if differing:
            changes = ", ".join(f"{key} {before.get(key)!r} there, {now[key]!r} asked" for key in differing)
            raise InputError(f"{self.path} holds another run ({changes}); choose another --out or remove it")
        self._run |= {"status": status, "timings_seconds": timings}
        self._recorded = True

    def is_done(self, artifacts: Sequence[str]) -> bool:
        """Whether the run has ended and everything it writes is there."""
        return self._run["status"] == "done" and all((self.path / name).is_file() for name in artifacts)

    def record(self) -> None:
        """Claim the directory: from here on the run can be taken up again."""
        self._recorded = True
        write_json(self._file, self._run)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; run.json, once recorded, says how long it took."""
        start = time.perf_counter()
        yield
        self._run["timings_seconds"][name] = round(time.perf_counter() - start, 2)
        if self._recorded:
            write_json(self._file, self._run)

    def finish(self) -> None:
        """Note that everything has been written."""
        self._run["status"] = "done"
        self.record()
