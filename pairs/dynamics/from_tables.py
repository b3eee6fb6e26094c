"""Follow a training by what was published of it."""

from __future__ import annotations

import numpy as np

from ...stats import Interval, pass_curves
from .changes import changes_of_series, changes_of_shares
from .collapse import collapse_of
from .curve import ACCURACY, RATE, TOKENS, Curve, shares
from .memorising import late_gain
from .published import BehaviourTable, ProblemTable
from .run_dynamics import RunDynamics
from .settings import DynamicsSettings

EVALUATION, STEP = "evaluation", "step"
NEVER, ALWAYS = "problems never solved", "problems always solved"


def run_of_problems(table: ProblemTable, settings: DynamicsSettings) -> RunDynamics:
    """Follow the accuracy of problems, and pass@k as far as their samples tell it.

    Args:
        table: The problems.
        settings: What is estimated.

    Returns:
        The dynamics.
    """
    n, n_steps = table.shares.shape
    steps = tuple(float(step) for step in range(n_steps))
    ones = np.ones_like(table.shares)
    accuracy = shares(ACCURACY, ACCURACY, list(table.shares.T), list(ones.T))
    followed = [accuracy]
    for name, is_so in ((NEVER, table.shares == 0), (ALWAYS, table.shares == 1)):
        followed.append(shares(name, name, list(is_so.astype(np.float64).T), list(ones.T)))
    changes = changes_of_shares(followed, steps, settings.seed, settings.n_resamples)
    curves = [curve.curve() for curve in followed]
    collapse, notes = None, list(table.notes)
    k = min(settings.attempts, table.n_samples or 1)
    if k > 1 and table.n_samples is not None:
        right = np.rint(table.shares * table.n_samples).astype(int)
        often = pass_curves(right.ravel(), table.n_samples, [k]).reshape(n, n_steps)
        collapse, attempts = collapse_of(table.shares, often, k, steps, None, settings.seed, settings.n_resamples)
        curves += attempts
        notes.append(f"shares are multiples of 1/{table.n_samples}: so many samples are assumed of each problem")
    return RunDynamics(
        name=table.name,
        axis=EVALUATION,
        steps=steps,
        n_problems=n,
        curves=tuple(curves),
        changes=changes,
        collapse=collapse,
        late=late_gain(accuracy, steps, None, settings.seed, settings.n_resamples),
        notes=tuple(notes),
    )


def run_of_behaviours(table: BehaviourTable, settings: DynamicsSettings) -> RunDynamics:
    """Follow accuracy, behaviours and length of one run of which totals are known.

    Args:
        table: The run.
        settings: What is estimated.

    Returns:
        The dynamics.
    """
    series = [] if table.accuracy is None else [(ACCURACY, ACCURACY, table.accuracy)]
    series += [(RATE, name, values) for name, values in table.rates.items()]
    series += [] if table.tokens is None else [(TOKENS, TOKENS, table.tokens)]
    known = table.n_responses[np.isfinite(table.n_responses)]
    n = "an unknown number of responses"
    if len(known):
        least, most = round(float(known.min())), round(float(known.max()))
        n = f"{least} responses a step" if least == most else f"{least} to {most} responses a step"
    return RunDynamics(
        name=table.name,
        axis=STEP,
        steps=table.steps,
        curves=tuple(
            Curve(measure=measure, series=name, values=tuple(Interval(float(value)) for value in values))
            for measure, name, values in series
        ),
        changes=changes_of_series(series, table.steps, settings.seed, settings.n_resamples),
        notes=(f"behaviours are counted in {n}; of problems nothing is known, so no step has an interval",),
    )
