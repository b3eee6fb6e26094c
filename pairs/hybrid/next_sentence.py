"""Does the base know what the thinking model is about to do? The same probes on the activations of both.

At the token before each sentence of the thinking model's rollouts, linear probes for "a sentence of this behaviour
comes", cross-validated by problem, on the base's activations and on the thinking model's own, each after its own
prompt. Where both do equally well, what sets the models apart is not whether the behaviour is represented.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ...activations import Activations, collect
from ...probes import sweep
from ...probes.folds import common_labels
from ...traces import Trace
from ..pair import Pair
from .behaviour_probe import as_far_up

N_FOLDS = 5
N_TRACES = 150  # more cost minutes and say no more
REASONING = ("backtracking", "uncertainty-estimation", "verification", "subgoal-setting")


def next_sentence(
    pair: Pair, traces: Sequence[Trace], layer: int, behaviours: Sequence[str], *, seed: int = 0
) -> pd.DataFrame:
    """One row for each behaviour and model: auroc with its 95% interval over problems, layer, n of sentences, n_shows.

    layer: of the base; of a deeper or shallower thinking model the block as far up. Behaviours: those of REASONING
    among the behaviours, else all, where enough problems
    of the first 150 traces show them at a token that both models can read (templates are not read); without any, no
    rows.
    """
    activations_of: dict[str, Activations] = {}
    for who, model, template in (
        ("base", pair.base, pair.base_template),
        ("thinking", pair.thinking, pair.thinking_template),
    ):
        at = as_far_up(layer, pair.base.n_layers, model.n_layers)
        activations_of[who] = collect(
            model, traces[:N_TRACES], read="before:1", layers=[at], template=template, truncate=True, progress=False
        ).load()
    often = [
        set(common_labels(activations.labels, activations.problems, N_FOLDS)) for activations in activations_of.values()
    ]
    known = [name for name in behaviours if all(name in some for some in often)]
    reasoning = [name for name in REASONING if name in known] or known
    if not reasoning:
        return pd.DataFrame()
    rows: list[dict[str, Any]] = []
    for who, activations in activations_of.items():
        sweep_result = sweep(
            activations,
            behaviours=reasoning,
            penalties=[1.0],
            n_folds=N_FOLDS,
            n_bootstrap=500,
            n_shuffles=1,
            n_permutations=1,  # of no use here, and the fewest
            seed=seed,
            progress=False,
        )
        for name in reasoning:
            auroc = sweep_result.behaviours[name].auroc[0]
            rows.append(
                {
                    "behaviour": name,
                    "model": who,
                    "layer": activations.layers[0],
                    "auroc": auroc.value,
                    "auroc_low": auroc.low,
                    "auroc_high": auroc.high,
                    "n": len(activations.labels),
                    "n_shows": int(activations.shows(name).sum()),
                }
            )
    return pd.DataFrame(rows)
