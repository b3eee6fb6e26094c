"""A search made by hand, with a hostile name in every place that a model or a user could fill."""

from __future__ import annotations

from reasonlens.analysis.effect import FindSettings, SteeringSearch
from reasonlens.analysis.effect.steering_search import Tried
from reasonlens.rundir import plain
from reasonlens.stats import Interval
from reasonlens.vectors import Choice

EVIL = "<script>alert('x')</script>"


def steering_search() -> SteeringSearch:
    """Two cells on two rungs, one of them dropped."""
    trials = tuple(
        Tried(
            rung=rung,
            layer=layer,
            strength=1.0,
            n=4 * (rung + 1),
            rate=0.5 + layer / 10,
            unsteered_rate=0.3,
            kl_nats=0.1,
            share_steered=0.2,
            dropped=EVIL if layer and not rung else "",
        )
        for rung, layers in enumerate([(0, 1), (0,)])
        for layer in layers
    )
    return SteeringSearch(
        trials={EVIL: trials},
        effects={EVIL: Interval(0.2, 0.1, 0.3, 8)},
        n_decoded={EVIL: 12},
        n_grid=16,
        directions=None,
        choices={EVIL: Choice(layer=0, strength=1.0, kl_nats=0.1, when="sentences", about=EVIL)},
        about={"model": {"name": EVIL}, "settings": plain(FindSettings())},
    )
