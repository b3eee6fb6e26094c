"""Read the same texts at every step: how long each behaviour's direction is, how far it turned, what probes transfer.

    direction     mean activation of the behaviour's sentences - mean of all others, at one block
    length        of it, in units of the mean norm of the residual stream there
    angle         between the direction of a step and that of the base, or of the last step
    transfer      AUROC of a probe that was fitted on the base, on a step's activations of problems it did not see

Intervals resample problems, for both ends of an angle together. Controls: directions of labels that are shuffled within
responses (how long noise is), and the angle between the base's directions from either half of the problems (how far
apart two readings of one model are); two random directions are at 90 degrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ...activations import Activations, collect
from ...probes import transfer
from ...rundir import InputError, RunDirectory, brief
from ...rundir.progress import with_progress
from ...stats import Interval, bootstrap_counts, percentile_ends
from ...traces import Trace
from ..pair import Pair
from .curve import ANGLE, ANGLE_LAST, NORM, TRANSFER, Curve, Level
from .settings import DynamicsSettings

FOLDS = 5
N_DRAWS = 300  # resamples of directions, which are wide
SHUFFLED, HALVES, CHANCE = "shuffled labels", "the base, halves of the problems", "chance"


@dataclass(frozen=True, eq=False, slots=True)
class StepReading:
    """What one step's model makes of the texts: for directions, and for probes."""

    directed: Activations
    probed: Activations

    __repr__ = brief


@dataclass(frozen=True, eq=False, slots=True)
class _Sums:
    """Activations summed by problem and behaviour, and the mean norm of the residual stream."""

    sums: Float[np.ndarray, "n_problems n_behaviours d_model"]
    counts: Float[np.ndarray, "n_problems n_behaviours"]
    norm: float

    def directions(self, weights: Float[np.ndarray, "n_draws n_problems"]) -> Float[np.ndarray, "n_draws n_b d_model"]:
        """Compute the directions of each behaviour under weightings of the problems, in units of the norm."""
        sums = np.einsum("dp,pbm->dbm", weights, self.sums)
        counts = (weights @ self.counts)[..., None]
        total, n = sums.sum(axis=1, keepdims=True), counts.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            directions: Float[np.ndarray, "n_draws n_b d_model"] = sums / counts - (total - sums) / (n - counts)
        return directions / self.norm


def read_step(pair: Pair, traces: Sequence[Trace], settings: DynamicsSettings, run: RunDirectory) -> StepReading:
    """Read texts by the model of a step.

    Args:
        pair: Of the step: its base is the model.
        traces: Labelled responses.
        settings: Block and reads.
        run: The folder of the step, which keeps the activations.

    Returns:
        The activations.
    """
    reads = list(dict.fromkeys((settings.direction_read, settings.probe_read)))
    both = collect(
        pair.base,
        traces,
        read=reads,
        layers=[layer_of(pair, settings)],
        template=pair.base_template,
        truncate=True,
        out=run.file(f"activations-{settings.texts}"),
        progress=False,
    )
    return StepReading(both.at(settings.direction_read).load(), both.at(settings.probe_read).load())


def layer_of(pair: Pair, settings: DynamicsSettings) -> int:
    """Number the block that is read: the one that is set, or the middle one."""
    return pair.base.n_layers // 2 if settings.layer is None else pair.base.layer_index(settings.layer)


def reading_curves(
    readings: Mapping[int, StepReading], behaviours: Sequence[str], shown: Sequence[str], seed: int, progress: bool
) -> tuple[tuple[Curve, ...], tuple[Level, ...]]:
    """Follow directions and probes along the steps.

    Args:
        readings: Step -> its activations, the base first.
        behaviours: Which are followed.
        shown: Those that the figure draws.
        seed: Of resamples, folds and shuffles.
        progress: Whether bars are shown.

    Returns:
        The curves, and the levels of their controls.
    """
    steps = list(readings)
    problems = sorted({problem for reading in readings.values() for problem in reading.directed.problems})
    followed = [
        name for name in behaviours if all(_n_problems(one.directed, name) >= FOLDS for one in readings.values())
    ]
    if not followed or len(problems) < 2:
        return (), ()
    weights = np.concatenate([np.ones((1, len(problems))), bootstrap_counts(len(problems), N_DRAWS, seed)])
    sums = {step: _sums(reading.directed, problems, followed) for step, reading in readings.items()}
    directions = {step: some.directions(weights) for step, some in sums.items()}
    base, last = directions[steps[0]], directions[steps[-1]]
    n, curves = len(problems), []
    for place, name in enumerate(followed):
        is_shown = name in shown
        for measure, values in (
            (NORM, [np.linalg.norm(directions[step][:, place], axis=-1) for step in steps]),
            (ANGLE, [angles(directions[step][:, place], base[:, place]) for step in steps]),
            (ANGLE_LAST, [angles(directions[step][:, place], last[:, place]) for step in steps]),
        ):
            line = tuple(_interval(draws, n) for draws in values)
            curves.append(Curve(measure=measure, series=name, values=line, is_shown=is_shown))
    curves += _transfers(readings, followed, shown, seed, progress)
    return tuple(curves), _levels(readings[steps[0]], problems, followed, shown, sums[steps[0]], seed)


def _n_problems(activations: Activations, behaviour: str) -> int:
    """Count the problems with a sentence of a behaviour: in few, what resampling cannot vary looks sure."""
    return len({one.problem for one in activations.examples if one.label == behaviour})


def angles(
    one: Float[np.ndarray, "n_draws d_model"], other: Float[np.ndarray, "n_draws d_model"]
) -> Float[np.ndarray, " n_draws"]:
    """Compute the angle between two vectors, row by row.

    Args:
        one: Vectors.
        other: As many.

    Returns:
        Degrees, exactly 0 for equal vectors.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = one / np.linalg.norm(one, axis=-1, keepdims=True)
        other_unit = other / np.linalg.norm(other, axis=-1, keepdims=True)
    apart = np.linalg.norm(unit - other_unit, axis=-1), np.linalg.norm(unit + other_unit, axis=-1)
    degrees: Float[np.ndarray, " n_draws"] = np.degrees(2 * np.arctan2(*apart))
    return degrees


def _sums(
    activations: Activations, problems: Sequence[str], behaviours: Sequence[str], order: np.ndarray | None = None
) -> _Sums:
    values = activations.layer(activations.layers[0]).double().numpy()
    rows = np.searchsorted(problems, activations.problems)
    names = [*behaviours, ""]  # the last: of none that is followed
    column_of = {name: number for number, name in enumerate(behaviours)}
    columns = np.array([column_of.get(label, len(behaviours)) for label in activations.labels])
    columns = columns if order is None else columns[order]
    sums, counts = np.zeros((len(problems), len(names), values.shape[1])), np.zeros((len(problems), len(names)))
    np.add.at(sums, (rows, columns), values)
    np.add.at(counts, (rows, columns), 1)
    return _Sums(sums, counts, float(activations.residual_norm[0]))


def _transfers(
    readings: Mapping[int, StepReading], behaviours: Sequence[str], shown: Sequence[str], seed: int, progress: bool
) -> list[Curve]:
    steps = list(readings)
    values: dict[str, list[Interval]] = {name: [] for name in behaviours}
    for step in with_progress(steps, desc="probes", unit="step", progress=progress):
        sources = {"base": readings[steps[0]].probed, "step": readings[step].probed}
        try:
            matrix = transfer(sources, n_folds=FOLDS, n_bootstrap=N_DRAWS, seed=seed, progress=False)
        except InputError:  # no behaviour is in as many problems as there are folds
            return []
        cells = {name: matrix.cells["base", "step", name].auroc for name in matrix.behaviours}
        for name in behaviours:
            values[name].append(cells.get(name, Interval(float("nan"))))
    return [
        Curve(measure=TRANSFER, series=name, values=tuple(line), is_shown=name in shown)
        for name, line in values.items()
        if any(np.isfinite(one.value) for one in line)
    ]


def _levels(
    base: StepReading,
    problems: Sequence[str],
    behaviours: Sequence[str],
    shown: Sequence[str],
    sums: _Sums,
    seed: int,
) -> tuple[Level, ...]:
    """Compute what controls give: means over the behaviours that are drawn."""
    places = [place for place, name in enumerate(behaviours) if name in shown] or list(range(len(behaviours)))
    everyone = np.ones((1, len(problems)))
    shuffled = _sums(base.directed, problems, behaviours, _shuffled(base.directed, seed)).directions(everyone)
    is_first = np.random.default_rng(seed).permutation(len(problems)) % 2 == 0
    one, other = (sums.directions(half[None].astype(np.float64)) for half in (is_first, ~is_first))
    apart = [float(angles(one[:, place], other[:, place])[0]) for place in places]
    lengths = np.linalg.norm(shuffled[0, places], axis=-1)
    return (
        Level(measure=NORM, name=SHUFFLED, value=float(np.nanmean(lengths))),
        Level(measure=ANGLE, name=HALVES, value=float(np.nanmean(apart))),
        Level(measure=TRANSFER, name=CHANCE, value=0.5),
    )


def _shuffled(activations: Activations, seed: int) -> np.ndarray:
    """Order the labels anew within each response."""
    traces = np.unique([example.trace for example in activations.examples], return_inverse=True)[1]
    generator = np.random.default_rng(seed)
    order = np.arange(len(traces))
    for trace in range(int(traces.max()) + 1):
        rows = np.flatnonzero(traces == trace)
        order[rows] = generator.permutation(rows)
    return order


def _interval(draws: Float[np.ndarray, " n_draws"], n: int) -> Interval:
    return Interval(float(draws[0]), *percentile_ends(draws[1:]), n)
