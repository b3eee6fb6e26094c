"""Say in sentences what steering did, by rules: a direction moves its behaviour only if random ones do not as much.

1. An effect is sure if its interval excludes 0 and its p among random directions of the same length, corrected over
   everything that was tried, is at most 0.05. The control is these random directions, and the sentence counts them.
2. Where p cannot be that small with so few random directions, nothing can be concluded, and the sentence says so.
3. Of a search the effect at the choice is that on the very problems it was chosen on: it is no evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ...stats import Interval
from ...vectors import Choice

SURE = 0.05
N_NAMED = 3


def of_effects(table: pd.DataFrame, *, model: str, n_random: int, corrected: str = "all that was tried") -> str:
    """Say which behaviours a model shows more of when it is steered.

    Args:
        table: Rows of `StrengthCurves.by_layer` or `SteeringMatrix.effects`, with the behaviour in `behaviour`.
        model: Name of the model.
        n_random: Random directions at each layer and strength.
        corrected: What p is corrected over.

    Returns:
        A sentence or two.
    """
    names = list(dict.fromkeys(table["behaviour"]))
    if 1 / (1 + n_random) > SURE:
        return (
            f"Nothing can be concluded about {model}: with {n_random} random directions no p is below "
            f"{1 / (1 + n_random):.2f}, and 19 are needed for {SURE}."
        )
    is_sure = (table["effect_low"] > 0) & (table["p_corrected"] <= SURE)
    best = table[is_sure].sort_values("effect", ascending=False).drop_duplicates("behaviour")
    control = f"control: {n_random} random directions of the same length at every layer and strength"
    if best.empty:
        top = table.iloc[int(table["effect"].to_numpy().argmax())]
        return (
            f"No direction is shown to move its behaviour in {model} ({control}); the largest effect is that of "
            f"{top['behaviour']}, {_moved(top, corrected)}."
        )
    named = "; ".join(f"{row['behaviour']} {_moved(row, corrected)}" for _, row in best.head(N_NAMED).iterrows())
    more = f"; and {len(best) - N_NAMED} more" if len(best) > N_NAMED else ""
    return (
        f"Steering raises the rate of {len(best)} of {len(names)} behaviours in {model} by more than random directions "
        f"do: {named}{more} ({control}). Try the best cell on other problems before claiming its size."
    )


def of_search(choices: Mapping[str, Choice], effects: Mapping[str, Interval], *, kl_limit: float) -> str:
    """Say which layer and strength a search chose.

    Args:
        choices: Behaviour -> what was chosen.
        effects: Behaviour -> change of its rate, on the problems that it was chosen on.
        kl_limit: Nats a token that were allowed.

    Returns:
        The sentences.
    """
    named = "; ".join(
        f"{name} at layer {choice.layer}, strength {choice.strength:g}: {effects[name].value:+.3f} "
        f"[{effects[name].low:.3f}, {effects[name].high:.3f}] of its rate"
        for name, choice in list(choices.items())[:N_NAMED]
    )
    return (
        f"Chosen within {kl_limit:g} nats a token: {named}. These are the problems that it was chosen on and no random "
        "direction ran: nothing can be claimed before `reasonlens steer sweep` on others."
    )


def _moved(row: pd.Series[Any], corrected: str) -> str:
    return (
        f"{row['effect']:+.3f} [{row['effect_low']:.3f}, {row['effect_high']:.3f}] at layer {row['layer']:.0f}, "
        f"strength {row['strength']:g} (p {row['p_corrected']:.3f}, corrected over {corrected})"
    )
