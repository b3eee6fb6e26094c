"""Outcomes kept one file each as they come, so that a sweep that was cut off goes on where it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...rundir import InputError, write_json
from .condition import Condition
from .outcome import Outcome

ABOUT, OUTCOMES = "sweep.json", "outcomes"


class OutcomeLog:
    """Under `out`, or nowhere. Raises InputError where another sweep was kept there."""

    def __init__(self, out: Path | None, about: dict[str, Any]) -> None:
        self._folder = None if out is None else out / OUTCOMES
        if out is None:
            return
        given = json.loads(json.dumps(about))
        kept = out / ABOUT
        if kept.is_file():
            try:
                there = json.loads(kept.read_text("utf-8"))
            except ValueError as error:
                raise InputError(f"{kept} cannot be read ({error}); choose another --out or remove it") from error
            differing = [key for key in given if there.get(key) != given[key]]
            if differing:
                raise InputError(f"{out} holds a sweep of another {differing[0]}; choose another --out or remove it")
        elif out.is_dir() and any(out.iterdir()):
            raise InputError(f"{out} holds files and no {ABOUT}, so it is not the directory of a sweep; choose another")
        else:
            write_json(kept, given)

    def get(self, condition: Condition) -> Outcome | None:
        """What came of it, if that is known."""
        if self._folder is None or not (file := self._folder / _name(condition)).is_file():
            return None
        try:
            return Outcome.of_json(json.loads(file.read_text("utf-8")))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{file} holds no outcome ({error}); remove it, and it is measured again") from error

    def add(self, outcome: Outcome) -> None:
        if self._folder is not None:
            write_json(self._folder / _name(outcome.condition), outcome.to_json())


def _name(condition: Condition) -> str:
    digest = hashlib.sha256(json.dumps(asdict(condition)).encode()).hexdigest()[:12]
    return f"{condition.kind}-{digest}.json"
