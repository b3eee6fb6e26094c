"""Read published tables of a training in place of its checkpoints.

    problems   JSON {"problem": [0.25, 0.5, ...], ...}: of each problem the share of right samples at each evaluation
    behaviours CSV of `step` and `avg_NAME` (times a response); also `total_NAME`, `condition` (which run), `accuracy`,
               `response_length`. One row a step.

The first is the form of Wang et al. 2025 (one-example RL, arXiv 2504.20571), the second that of Gandhi et al. 2025
(cognitive behaviours, arXiv 2503.01307). Of problems everything has an interval over them. Where shares are eighths,
eight samples were drawn, and pass@k is known up to k = 8. Of behaviours only totals are known: no step can have an
interval, and what fluctuates from step to step takes the place of resampled problems.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite, lcm
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ...rundir import InputError, brief, did_you_mean, expanded, listed, parse_json, reading
from .checkpoints import LEAST_STEPS

WHAT = "a table of a training"
STEP, CONDITION, AVERAGE, TOTAL, ACCURACY, LENGTH = "step", "condition", "avg_", "total_", "accuracy", "response_length"
MOST_SAMPLES = 64  # of which shares are recognised


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ProblemTable:
    """Shares of right samples of each problem at each evaluation.

    Attributes:
        name: Of the file.
        problems: Their names.
        shares: Problem by evaluation.
        n_samples: Of which the shares are; None: no number up to 64 fits.
        notes: What was left out.
    """

    name: str
    problems: tuple[str, ...]
    shares: Float[np.ndarray, "n_problems n_steps"]
    n_samples: int | None
    notes: tuple[str, ...]

    __repr__ = brief


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class BehaviourTable:
    """Times a response of each behaviour at each step of one run.

    Attributes:
        name: Of the run.
        steps: Ascending.
        rates: Behaviour -> at each step.
        accuracy: At each step; None: not in the table.
        tokens: Length of the responses; None: not in the table.
        n_responses: At each step, as totals and averages have it; NaN: cannot be told.
    """

    name: str
    steps: tuple[float, ...]
    rates: dict[str, Float[np.ndarray, " n_steps"]]
    accuracy: Float[np.ndarray, " n_steps"] | None
    tokens: Float[np.ndarray, " n_steps"] | None
    n_responses: Float[np.ndarray, " n_steps"]

    __repr__ = brief


def read_table(
    path: str | Path, conditions: Sequence[str] = (), evaluations: int | None = None
) -> ProblemTable | tuple[list[BehaviourTable], tuple[str, ...]]:
    """Read a published table.

    Args:
        path: A JSON or CSV file.
        conditions: Runs of a CSV that are read; empty: all.
        evaluations: Of a JSON: how many of each problem, and problems with fewer left out; None: as many as all have.

    Returns:
        The table of problems; or those of the runs, with notes on what was left out.

    Raises:
        InputError: It cannot be read, is of another form, or steps are not ascending or there twice.
    """
    place = expanded(path)
    with reading(place, WHAT):
        text = place.read_text("utf-8-sig")
    if text.lstrip()[:1] == "{":
        if conditions:
            raise InputError(f"{place} is a table of one run: leave --condition out")
        return _problems(parse_json(text, place), place, evaluations)
    if evaluations is not None:
        raise InputError(f"{place} is a table of behaviours, of which all steps are read: leave --evaluations out")
    return _behaviours(text, place, conditions)


def _problems(content: object, path: Path, evaluations: int | None) -> ProblemTable:
    remedy = 'a table of problems is {"problem": [share of right samples at each evaluation, ...], ...}'
    if not isinstance(content, dict) or len(content) < 2:
        raise InputError(f"{path} holds no two problems: {remedy}")
    for name, row in content.items():
        if not isinstance(row, list) or not all(_is_share(value) for value in row):
            raise InputError(
                f"{path}: what stands for the problem {name!r:.60} is no list of shares from 0 to 1: {remedy}"
            )
    lengths = np.array([len(row) for row in content.values()])
    n_steps = int(lengths.min()) if evaluations is None else evaluations
    rows = {name: row[:n_steps] for name, row in content.items() if len(row) >= n_steps}
    if n_steps < LEAST_STEPS or len(rows) < 2:
        raise InputError(
            f"{path}: problems have {lengths.min()} to {lengths.max()} evaluations, so that {len(rows)} of them have "
            f"{n_steps}; two problems of three evaluations are needed: choose another number (--evaluations)"
        )
    notes = []
    if lengths.max() > n_steps:
        n_read = len(rows) * n_steps
        notes.append(
            f"problems have {lengths.min()} to {lengths.max()} evaluations; the first {n_steps} are read of the "
            f"{len(rows)} problems of {len(content)} that have them, {n_read} of {lengths.sum()} shares"
        )
    shares = np.array(list(rows.values()), dtype=np.float64)
    return ProblemTable(
        name=path.stem, problems=tuple(rows), shares=shares, n_samples=_samples(shares), notes=tuple(notes)
    )


def _samples(shares: Float[np.ndarray, "n_problems n_steps"]) -> int | None:
    """Find the least number of samples of which all shares are."""
    parts = [Fraction(float(share)).limit_denominator(MOST_SAMPLES) for share in np.unique(shares)]
    n = lcm(*(part.denominator for part in parts))
    is_near = all(abs(float(part) - share) < 1e-4 for part, share in zip(parts, np.unique(shares), strict=True))
    return n if is_near and n <= MOST_SAMPLES else None


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _behaviours(text: str, path: Path, conditions: Sequence[str]) -> tuple[list[BehaviourTable], tuple[str, ...]]:
    rows = list(csv.DictReader(text.splitlines()))
    names = [name for name in (rows[0] if rows else {}) if name]
    behaviours = [name.removeprefix(AVERAGE) for name in names if name.startswith(AVERAGE)]
    if STEP not in names or not (behaviours or ACCURACY in names):
        raise InputError(
            f"{path} is no table of a training: a CSV has the columns step and avg_NAME (or accuracy), and a JSON the "
            "shares of each problem"
        )
    runs: dict[str, list[tuple[int, Mapping[str, str]]]] = {}
    for number, row in enumerate(rows, start=2):
        runs.setdefault(row.get(CONDITION) or path.stem, []).append((number, row))
    for name in conditions:
        if name not in runs:
            raise InputError(
                f"{path} has no run {name!r} (--condition); there are {listed(runs, 40)}.{did_you_mean(name, runs)}"
            )
    tables, notes = [], []
    for name in conditions or runs:
        _check_steps(name, runs[name], path)
        if len(runs[name]) < LEAST_STEPS:
            notes.append(f"{name} is left out: a run has {LEAST_STEPS} steps or more, and it has {len(runs[name])}")
            continue
        tables.append(_table(name, runs[name], behaviours, names, path))
    if not tables:
        raise InputError(f"{path}: no run has {LEAST_STEPS} steps or more; there are {listed(runs, 40)}")
    return tables, tuple(notes)


def _check_steps(name: str, rows: Sequence[tuple[int, Mapping[str, str]]], path: Path) -> None:
    lines: dict[float, int] = {}
    last = -np.inf
    for number, row in rows:
        step = _number(row, STEP, number, path)
        if step in lines:
            raise InputError(
                f"{path}: {name} has step {step:g} in line {lines[step]} and again in line {number}: take one of them "
                "out, or name other runs (--condition)"
            )
        if step < last:
            raise InputError(
                f"{path}: steps ascend, and line {number} of {name} has {step:g} behind {last:g}: sort them, or name "
                "other runs (--condition)"
            )
        lines[step], last = number, step


def _table(
    name: str,
    rows: Sequence[tuple[int, Mapping[str, str]]],
    behaviours: Sequence[str],
    names: Sequence[str],
    path: Path,
) -> BehaviourTable:
    def column(field: str) -> Float[np.ndarray, " n_steps"]:
        return np.array([_number(row, field, number, path) for number, row in rows])

    rates = {behaviour: column(AVERAGE + behaviour) for behaviour in behaviours}
    n_responses = np.full(len(rows), np.nan)
    for behaviour in behaviours:
        if TOTAL + behaviour in names:
            with np.errstate(divide="ignore", invalid="ignore"):
                n = column(TOTAL + behaviour) / rates[behaviour]
            n_responses = np.where(np.isfinite(n) & np.isnan(n_responses), n, n_responses)
    return BehaviourTable(
        name=name,
        steps=tuple(column(STEP).tolist()),
        rates=rates,
        accuracy=column(ACCURACY) if ACCURACY in names else None,
        tokens=column(LENGTH) if LENGTH in names else None,
        n_responses=n_responses,
    )


def _number(row: Mapping[str, str], field: str, line: int, path: Path) -> float:
    try:
        value = float(row[field])
    except (TypeError, ValueError):
        value = float("nan")
    if not isfinite(value):
        raise InputError(f"{path}: {field} in line {line} is no number: {str(row[field])[:40]!r}; correct it")
    return value
