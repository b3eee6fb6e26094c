"""Carry probes from one model to the other, both ways, layer by layer, on problems that they were not trained on.

`probes.transfer` trains on one model's activations and tests on the other's; `probes.sweep` gives what stands beside
it: the probe of the tested model's own, the same with labels shuffled over all spans, and the strongest of what could
be known without a model.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...probes import sweep, transfer
from ...rundir import brief
from ...stats import Interval
from .settings import GeometrySettings
from .texts import PairActivations

WAYS = (("base", "thinking"), ("thinking", "base"))  # trained on, tested on


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTransfer:
    """A behaviour's probe of one layer, trained on one model and tested on the other.

    Attributes:
        behaviour: The behaviour.
        trained_on: `base` or `thinking`.
        tested_on: The other one.
        layer: The block, of both models.
        auroc: Of the carried probe; 95% for fresh problems.
        own: Of the tested model's own probe.
        shuffled: Of its probes of shuffled labels: mean, least and greatest.
        baseline: Of the strongest baseline, which needs no model.
        baseline_name: Which it is.
    """

    behaviour: str
    trained_on: str
    tested_on: str
    layer: int
    auroc: Interval
    own: Interval
    shuffled: Interval
    baseline: Interval
    baseline_name: str

    __repr__ = brief

    @property
    def is_above(self) -> bool:
        """Whether its interval lies above the strongest baseline's and above the shuffled control."""
        return self.auroc.low > max(self.baseline.high, self.shuffled.high)


def probe_transfers(
    activations: PairActivations, settings: GeometrySettings, *, progress: bool = False
) -> list[ProbeTransfer]:
    """Train and test probes both ways.

    Args:
        activations: Of both models, at the same layers.
        settings: Kind of probe, folds and resamples.
        progress: Whether progress is shown.

    Returns:
        A row for each way, behaviour and layer.

    Raises:
        InputError: A behaviour is too rare to be probed.
    """
    models = {"base": activations.base, "thinking": activations.thinking}
    shared = {
        "behaviours": activations.behaviours,
        "estimator": settings.estimator,
        "n_folds": settings.n_folds,
        "n_bootstrap": settings.n_resamples,
        "seed": settings.seed,
        "progress": progress,
    }
    carried = transfer(models, **shared)  # type: ignore[arg-type]
    swept = {
        name: sweep(of_model, n_shuffles=min(5, settings.n_shuffles), n_permutations=1, **shared)  # type: ignore[arg-type]
        for name, of_model in models.items()
    }
    return [
        ProbeTransfer(
            behaviour=behaviour,
            trained_on=trained_on,
            tested_on=tested_on,
            layer=layer,
            auroc=carried.cells[trained_on, tested_on, behaviour].by_layer[place],
            own=carried.cells[tested_on, tested_on, behaviour].by_layer[place],
            shuffled=swept[tested_on][behaviour].auroc_shuffled[place],
            baseline=swept[tested_on][behaviour].comparison.strongest,
            baseline_name=swept[tested_on][behaviour].comparison.name,
        )
        for trained_on, tested_on in WAYS
        for behaviour in activations.behaviours
        for place, layer in enumerate(carried.layers)
    ]
