"""Read the when-share of pairs whose truth is known, and compare.

The pairs are those of a family of organisms with figures. A reading uses the two models, their texts and the behaviours
of sentences, never the marks of decision and content that the truth is defined by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

from ...models import Organism, load, organism_names
from ...models.device import single_thread
from ...models.organism import FIGURES, PREFIX
from ...rundir import InputError, RunDirectory, check_kinds, expanded, from_row, read_json, settings_of
from ...rundir.result_files import REPORT, RESULTS, TABLE
from ...rundir.workers import check_jobs, side_by_side
from ...stats import Interval
from ..pair import organism_pair
from ._exchange import exchange
from .calibrated_pair import CalibratedPair
from .calibration import HOW_MARGIN, WHEN_MARGIN, WHEN_SHARE, Calibration
from .pair_exchange import PairExchange
from .settings import ExchangeSettings

# Readings that the figures of a family hold, for comparison: of the planted machine, which no real pair shows.
TABLES = "rates in the planted machine"
FIGURED = {"words": "boost of words at decisions", "vectors-by-state": "vectors at decisions, by state"}


def calibrate(
    family: str | Path | None = None,
    names: Sequence[str] | None = None,
    *,
    settings: ExchangeSettings | None = None,
    out: str | Path | None = None,
    jobs: int = 2,
    progress: bool = True,
) -> Calibration:
    """Measure how well the when-share reads pairs of which the truth is known.

    Args:
        family: Directory of a family with figures (`organisms evaluate`); None: the built-in one.
        names: Trained members, such as `rl-timing`; None: all that the family's figures know the truth of.
        settings: Of the exchange; default `ExchangeSettings()`. Its controls are left out: they are no readings.
        out: Directory for results.json, table.csv, report.html and all responses; the same call goes on there where it
            was cut off. None keeps nothing.
        jobs: Pairs that are measured side by side, each on one thread; results do not depend on it.
        progress: Whether progress is shown.

    Returns:
        Truth and readings of every pair, and the error of each reading.

    Raises:
        InputError: The family has no figures or no such member, settings cannot be used, or `out` holds another run.
    """
    settings = replace(settings_of(settings, ExchangeSettings), has_controls=False)
    check_jobs(jobs)
    members = _members(family, names)
    place = None if out is None else expanded(out)
    options = {"family": str(family or "built-in"), "names": list(members), "jobs": jobs}
    with RunDirectory(place, "calibrate", settings={}, options=options) as run:
        run.record()
        exchanged = _exchange_all(list(members.values()), settings, place, jobs, progress)
        pairs = {name: _calibrated(model, one) for (name, model), one in zip(members.items(), exchanged, strict=True)}
        result = Calibration(pairs=pairs, settings=settings)
        if place is not None:
            result.write(place)
        run.finish((RESULTS, TABLE, REPORT))
    return result


def _members(family: str | Path | None, names: Sequence[str] | None) -> dict[str, str]:
    """Name of each pair -> what `load` takes for its trained model."""
    if family is None:
        known = [name.removeprefix(PREFIX) for name in organism_names() if "@" not in name]
        model_of = {name: PREFIX + name for name in known if _truth(PREFIX + name) is not None}
    else:
        directory = expanded(family)
        path = directory / FIGURES
        figures = check_kinds(read_json(path, "the figures of a family"), {"pairs": dict}, path)
        model_of = {name: str(directory / name) for name in figures["pairs"] if (directory / name).is_dir()}
    chosen = list(model_of) if names is None else list(dict.fromkeys(names))
    unknown = [name for name in chosen if name not in model_of]
    if unknown or not chosen:
        subject = ", ".join(map(repr, unknown)) or "any pair"
        raise InputError(f"the truth of {subject} is not known; it is of {', '.join(model_of) or 'none'}")
    return {name: model_of[name] for name in chosen}


def _exchange_all(
    models: Sequence[str], settings: ExchangeSettings, out: Path | None, jobs: int, progress: bool
) -> list[PairExchange]:
    tasks = [(model, settings, None if out is None else out / "pairs" / Path(model).name, progress) for model in models]
    return side_by_side(_exchange_one, tasks, jobs)


def _exchange_one(model: str, settings: ExchangeSettings, out: Path | None, progress: bool) -> PairExchange:
    with single_thread():
        pair = organism_pair(model, n_train=1, n_validation=1, n_test=settings.n_test, seed=settings.seed)
        (one,) = exchange(pairs=[pair], settings=settings, out=out, progress=progress).pairs.values()
        return one


def _truth(model: str) -> dict[str, Any] | None:
    organism = load(model, device="cpu")
    assert isinstance(organism, Organism)
    known = organism.truth()
    return None if known["pair"] is None else known


def _calibrated(model: str, exchanged: PairExchange) -> CalibratedPair:
    known = _truth(model)
    assert known is not None, "pairs without a truth were left out"
    gap = exchanged.gap.value or nan
    readings = {
        WHEN_SHARE: exchanged.when_share,
        WHEN_MARGIN: Interval(exchanged.when_alone.value / gap, n=exchanged.gap.n),
        HOW_MARGIN: Interval(1 - exchanged.how_alone.value / gap, n=exchanged.gap.n),
        TABLES: from_row(Interval, known["pair"]["table_timing_share"]),
    }
    recovered: Mapping[str, Any] = known["recovered"] or {}
    readings |= {title: from_row(Interval, recovered[arm]) for arm, title in FIGURED.items() if arm in recovered}
    both = [exchanged.cells[cell].led_tokens for cell in ("when", "how")]
    return CalibratedPair(
        base=known["pair"]["base"],
        gap=exchanged.gap,
        truth=from_row(Interval, known["pair"]["timing_share"]),
        readings=readings,
        led_tokens=sum(both) / len(both),
    )
