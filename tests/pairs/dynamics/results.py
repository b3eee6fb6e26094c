"""A result made by hand of every part, with a hostile name in every place that a user could fill."""

from __future__ import annotations

import numpy as np

from reasonlens.pairs.dynamics import Curve, DynamicsResult, DynamicsSettings, Level, RunDynamics
from reasonlens.pairs.dynamics.changes import changes_of_shares
from reasonlens.pairs.dynamics.collapse import collapse_of
from reasonlens.pairs.dynamics.curve import ACCURACY, RATE, TRAINED, Shares
from reasonlens.pairs.dynamics.gain import split_gain
from reasonlens.pairs.dynamics.memorising import late_gain, memorised_at
from reasonlens.pairs.dynamics.run_dynamics import StepExchange
from reasonlens.pairs.dynamics.step_run import StepCounts
from reasonlens.stats import Interval

from ..exchange.results import exchange_result

EVIL = "<script>alert('x')</script>"
STEPS = (0.0, 10.0, 20.0, 30.0)
N = 20  # problems
SAMPLES = 8


def step_counts(rng: np.random.Generator, form: float, right: float, out: float = 0.0, n: int = N) -> StepCounts:
    """Responses of which a share is in form, a share of these right, and a share of the others."""
    of_form = rng.binomial(SAMPLES, form, n).astype(float)
    right_in_form = rng.binomial(of_form.astype(int), right).astype(float)
    of_others = rng.binomial((SAMPLES - of_form).astype(int), out).astype(float)
    return StepCounts(
        n=np.full(n, float(SAMPLES)),
        right=right_in_form + of_others,
        in_form=of_form,
        right_in_form=right_in_form,
        shown={EVIL: rng.poisson(3, n).astype(float)},
        by_question=right_in_form + of_others,
        tokens=np.full(n, 50.0),
        cut=np.zeros(n),
        open=np.zeros(n),
        n_unsure=0,
    )


def dynamics_result() -> DynamicsResult:
    """A training that memorises, jumps and collapses."""
    rng = np.random.default_rng(0)
    counts = [step_counts(rng, 0.5 + 0.1 * step, (0.2, 0.2, 0.6, 0.7)[step], 0.1) for step in range(4)]
    above, below = (np.stack([getattr(one, name) for one in counts], axis=1) for name in ("right", "n"))
    accuracy = Shares(ACCURACY, ACCURACY, above, below)
    rate = Shares(
        RATE, EVIL, np.stack([one.shown[EVIL] * (1 + step) for step, one in enumerate(counts)], axis=1), below
    )
    once = above / below
    often = np.where(np.arange(4) < 2, 0.9, 0.6) * np.ones((N, 1))
    collapse, attempts = collapse_of(once, often, SAMPLES, STEPS, None, n_resamples=100)
    changes = changes_of_shares([accuracy, rate], STEPS, n_resamples=100)
    examples = [rng.binomial(1, share, (1, 16)).astype(float) for share in (0.3, 0.5, 0.97, 1.0)]
    memorised = memorised_at(examples, STEPS, 0.9, n_resamples=100)
    trained = Curve(
        measure=TRAINED, series=TRAINED, values=tuple(Interval(float(one.mean()), n=16) for one in examples)
    )
    pair = next(iter(exchange_result().pairs.values()))
    run = RunDynamics(
        name=EVIL,
        axis="step",
        steps=STEPS,
        models=(EVIL,) * 4,
        n_problems=N,
        curves=(accuracy.curve(), *attempts, rate.curve(), trained),
        levels=(Level(measure=ACCURACY, name=EVIL, value=0.05),),
        gains=tuple(split_gain(STEPS[step], counts[0], counts[step], 100) for step in range(1, 4)),
        changes=changes,
        collapse=collapse,
        memorised=memorised,
        late=late_gain(accuracy, STEPS, memorised, n_resamples=100),
        exchanges=(StepExchange(step=30.0, exchange=pair),),
        notes=(f"{EVIL} was left out",),
    )
    return DynamicsResult(runs={EVIL: run}, settings=DynamicsSettings(), notes=(EVIL,))
