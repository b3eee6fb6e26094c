"""Put two runs of one command side by side: the same rows of both tables, and their differences with intervals.

1. Both results are read back (`classes.py`) and tabulated. A row is named by its keys (behaviour, layer, arm, k, ...);
   a key that has one value in each run, as the model of each, names the runs and not their rows.
2. Every figure with an interval is subtracted (`stats.difference_of_intervals`).
3. Settings and constants that differ are listed beside it (`settings_of_runs.py`).
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd

from ...rundir import InputError, did_you_mean
from ...rundir.result_files import RESULTS
from ...stats import Interval, difference_of_intervals
from .classes import read_result
from .comparison import RunComparison
from .settings_of_runs import different_settings

KEYS = (
    *("pair", "source", "model", "arm", "part", "role", "grading", "responses", "reading", "cell", "figure", "of"),
    *("annotator", "label", "before", "behaviour", "other", "site", "read", "layer", "strength", "k", "step", "budget"),
    *("outcome", "piece", "writer", "thinking_layer", "training", "series", "followed"),
)
FIRST = ("excess", "auroc", "gap", "difference", "accuracy", "share", "value")  # whichever is there is the measure


def compare(first: str | Path, second: str | Path, *, measure: str | None = None) -> RunComparison:
    """Compare two runs of the same command: of two models, two sets of traces, or two settings.

    Args:
        first: Directory of the run that is looked at.
        second: Directory of the run that is subtracted.
        measure: The figure to draw and to sum up, such as "auroc"; None: the first of those that matter most.

    Returns:
        Every figure with an interval that both runs have, and its difference, first minus second; and the settings in
        which the runs differ.

    Raises:
        InputError: The runs are of different commands, have no figure in common, or rows without a name.
    """
    results = [read_result(run) for run in (first, second)]
    kinds = [type(result).__name__ for result in results]
    if kinds[0] != kinds[1]:
        raise InputError(f"{first} is a {kinds[0]} and {second} a {kinds[1]}: compare two runs of one command")
    frames = [_values(result.to_frame()) for result in results]
    keys = _keys(frames)
    for run, frame in zip((first, second), frames, strict=True):
        if frame.duplicated(keys).any():
            row = frame[frame.duplicated(keys)].iloc[0]
            raise InputError(
                f"{run} has several rows of {', '.join(str(row[key]) for key in keys) or 'one name'}; they cannot be "
                "paired with those of another run"
            )
    measures = [name for name in _measures(frames[0]) if name in _measures(frames[1])]
    if not measures:
        raise InputError(f"{first} and {second} have no figure with an interval in common")
    chosen = measure or next((name for name in FIRST if name in measures), measures[0])
    if chosen not in measures:
        raise InputError(
            f"{chosen!r:.60} is no figure with an interval of both runs; there are {', '.join(measures)}."
            f"{did_you_mean(chosen, measures)}"
        )
    both = frames[0].merge(frames[1], on=keys, suffixes=("", "@second")) if keys else _side_by_side(frames)
    if both.empty:
        raise InputError(f"{first} and {second} have no row in common (rows are named by {', '.join(keys)})")
    names = _names(first, second)
    named = [name for name in KEYS if all(name in frame.columns for frame in frames)]
    return RunComparison(
        first=names[0],
        second=names[1],
        measure=chosen,
        keys=tuple(keys),
        frame=pd.DataFrame([_row(row, keys, name) for name in measures for row in both.to_dict("records")]),
        n_alone=(len(frames[0]) - len(both), len(frames[1]) - len(both)),
        differs=different_settings(first, second, frames, named),
    )


def _values(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.rename(columns={"measure": "followed"})  # a measure is a column here
    columns = [name for name in KEYS if name in frame.columns]
    measures = _measures(frame)
    ends = [f"{name}{end}" for name in measures for end in ("", "_low", "_high")]
    return frame[[*columns, *ends]].copy()


def _measures(frame: pd.DataFrame) -> list[str]:
    columns = set(frame.columns)
    return [str(name) for name in frame.columns if {f"{name}_low", f"{name}_high"} <= columns and name not in KEYS]


def _keys(frames: list[pd.DataFrame]) -> list[str]:
    """Name the columns that name a row: not those that are one value throughout each run and differ between them."""
    keys = [name for name in KEYS if all(name in frame.columns for frame in frames)]
    constants = [key for key in keys if all(frame[key].nunique(dropna=False) == 1 for frame in frames)]
    return [key for key in keys if key not in constants]


def _side_by_side(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return frames[0].join(frames[1], rsuffix="@second")


def _row(row: dict[Hashable, Any], keys: list[str], measure: str) -> dict[str, Any]:
    first, second = (_interval(row, f"{measure}{{}}{of}") for of in ("", "@second"))
    difference = difference_of_intervals(first, second)
    return {
        **{key: row[key] for key in keys},
        "measure": measure,
        "first": first.value,
        "second": second.value,
        **difference.columns("difference"),
    }


def _names(first: str | Path, second: str | Path) -> tuple[str, str]:
    """Name both runs as short as they differ."""
    paths = [Path(run).parent if Path(run).name == RESULTS else Path(run) for run in (first, second)]
    if paths[0].name != paths[1].name:
        return paths[0].name, paths[1].name
    return str(paths[0]), str(paths[1])


def _interval(row: dict[Hashable, Any], name: str) -> Interval:
    return Interval(float(row[name.format("")]), float(row[name.format("_low")]), float(row[name.format("_high")]))
