"""Say in which settings and constants two runs differ: a difference of numbers is theirs as much as the models'.

Compared are what run.json holds of both runs (settings, inputs by digest, options, seeds, versions), else the settings
in both results.json; and the names that are one value throughout each run, as that of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...rundir import brief, different_fields, expanded, read_json
from ...rundir.result_files import RESULTS
from ...rundir.run_record import RUN

SECTIONS = ("settings", "changeable", "inputs", "options", "versions")
NOT_GIVEN = "not given"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSetting:
    """A setting or constant that differs between two runs.

    Attributes:
        name: Of it, nested ones as `sampling.temperature`.
        first: Its value in the run that is looked at.
        second: In the run that is subtracted. Of both `not given` where it is None, or where a run has none.
    """

    name: str
    first: str
    second: str

    __repr__ = brief


def different_settings(
    first: str | Path, second: str | Path, frames: Sequence[pd.DataFrame], keys: Sequence[str]
) -> tuple[RunSetting, ...]:
    """List what differs between two runs beside their figures.

    Args:
        first: Directory of the run that is looked at, or its results.json.
        second: Of the run that is subtracted.
        frames: Tables of both.
        keys: Columns of these that may name a row.

    Returns:
        Constants of the tables first, then settings, inputs, options and versions.
    """
    constants = [{key: frame[key].iloc[0] for key in keys if frame[key].nunique(dropna=False) == 1} for frame in frames]
    in_both = [name for name in constants[0] if name in constants[1]]
    places = [place.parent if place.name == RESULTS else place for place in map(expanded, (first, second))]
    if all((place / RUN).is_file() for place in places):
        records = [dict(read_json(place / RUN, "a run")) for place in places]
    else:
        records = [{"settings": dict(read_json(place / RESULTS, "a result")).get("settings")} for place in places]
    sections = [name for name in SECTIONS if all(isinstance(record.get(name), dict) for record in records)]
    of_tables = [{name: _plain(some[name]) for name in in_both} for some in constants]
    differing = _differing("", *of_tables)
    for name in sections:
        differing += _differing("" if name == "settings" else f"{name}.", *(record[name] for record in records))
    return tuple(differing)


def _differing(prefix: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> list[RunSetting]:
    return [
        RunSetting(name=f"{prefix}{name}", first=_word(one), second=_word(other))
        for name, one, other in different_fields(first, second)
    ]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _word(value: Any) -> str:
    return NOT_GIVEN if value is None else value if isinstance(value, str) else f"{value}"
