"""Say what a sweep of probes shows: the verdict in a sentence, the layer to use with its reason, what its page links.

1. A behaviour is read if its probe is above every baseline, corrected for all behaviours (`comparison.py`), and if no
   shuffle of its labels, at its best layer, does as well as the lower end of the probe's own interval.
2. If no behaviour is, the sentence says that nothing follows about the model; with fewer than 10 problems there is no
   interval, and nothing can be concluded.
3. The layer to use is the one with the highest cross-validated AUROC; layers whose AUROC lies within that interval are
   named, since nothing speaks against them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..figures.shades import stops
from ..stats import Interval
from .behaviour_sweep import BehaviourSweep
from .comparison import SPOKEN

N_NAMED = 3
N_LABELS = 15  # layers that are numbered above the heatmap, at most


def verdict(sweep: Mapping[str, BehaviourSweep], layers: Sequence[int], *, model: str, n_problems: int) -> str:
    """Say in one sentence or two what the probes found, with the interval and the controls.

    Args:
        sweep: Behaviour -> its figures.
        layers: The layers of the sweep.
        model: Name of the model.
        n_problems: Problems that the spans are of.

    Returns:
        Sentences, of which each follows from the figures by the rules above.
    """
    n = len(sweep)
    if all(math.isnan(one.comparison.excess.low) for one in sweep.values()):
        return (
            f"Nothing can be concluded about {model}: {n_problems} problems are too few for intervals "
            "(10 are needed with spans of a behaviour)."
        )
    by_excess = sorted(
        (name for name in sweep if not math.isnan(sweep[name].comparison.excess.low)),
        key=lambda name: -sweep[name].comparison.excess.value,
    )
    above = [name for name in by_excess if sweep[name].comparison.corrected_low > 0]
    failing = [name for name in above if not holds_against_shuffles(sweep[name])]
    read = [name for name in above if name not in failing]
    greatest = max(sweep[name].auroc_shuffled[sweep[name].best].high for name in read or by_excess)
    control = f" Control: with shuffled labels the AUROC at the best layer is {greatest:.3f} at most."
    failed = (
        f" Nothing can be concluded about {_listed(failing)}: shuffled labels do as well as the true ones."
        if failing
        else ""
    )
    if not read:
        if not by_excess or len(failing) == len(above) > 0:
            return failed.strip()
        nearest = by_excess[0]
        return (
            f"None of {n} behaviours is shown to be read from {model} better than from the text alone, corrected "
            f"for all {n}, so nothing is said about the model; nearest is {nearest}, {_excess(sweep[nearest])}."
            f"{control}{failed}"
        )
    named = "; ".join(f"{name} {_excess(sweep[name])} (layer {layers[sweep[name].best]})" for name in read[:N_NAMED])
    more = f"; and {len(read) - N_NAMED} more" if len(read) > N_NAMED else ""
    return (
        f"{len(read)} of {n} {'behaviour' if n == 1 else 'behaviours'} can be read from {model} better than from the "
        f"text alone, corrected for all {n}: {named}{more}.{control}{failed}"
    )


def holds_against_shuffles(behaviour: BehaviourSweep) -> bool:
    """Tell whether no shuffle of the labels reaches the lower end of the probe's interval.

    Args:
        behaviour: The figures of the behaviour.
    """
    greatest, low = behaviour.auroc_shuffled[behaviour.best].high, behaviour.nested.auroc.low
    return math.isnan(greatest) or greatest < low


def reason(behaviour: BehaviourSweep, layers: Sequence[int]) -> str:
    """Say why the best layer of a behaviour is the one to use, and which layers are as good within its interval.

    Args:
        behaviour: The figures of the behaviour.
        layers: The layers of the sweep.

    Returns:
        The reason, without a full stop.
    """
    best = behaviour.auroc[behaviour.best]
    if math.isnan(best.value):
        return "no AUROC is known"
    highest = f"highest AUROC, {best.value:.3f}"
    if math.isnan(best.low):
        return f"{highest}; too few problems to tell it from others"
    alike = [
        layer
        for layer, auroc in zip(layers, behaviour.auroc, strict=True)
        if auroc.value >= best.low and layer != layers[behaviour.best]
    ]
    return (
        f"{highest}; within its interval also {_runs(alike, layers)}"
        if alike
        else f"{highest}; no other is within its interval"
    )


def explorer(
    sweep: Mapping[str, BehaviourSweep],
    layers: Sequence[int],
    *,
    estimator: str,
    sentences: Mapping[str, Any] | None,
    files: Sequence[str],
    shell: str,
    python: str,
) -> dict[str, Any]:
    """Collect what the page of a sweep links: values by behaviour and layer, sentences, and commands.

    Args:
        sweep: Behaviour -> its figures.
        layers: The layers of the sweep.
        estimator: Kind of the probes, for the unit of their scores.
        sentences: Telling sentences of every behaviour and layer; None without.
        files: Names of the files beside the page that hold directions or probes.
        shell: Commands for the chosen cell, with the words BEHAVIOUR and LAYER to be filled in.
        python: The same in Python.

    Returns:
        Plain values for `figures/pages/explorer.html.jinja` and `explore.js`.
    """
    rows = {name: _row(one, layers) for name, one in sweep.items()}
    colours = [tuple(int(part) for part in stop[4:-1].split(",")) for stop in stops()]
    return {
        "behaviours": list(sweep),
        "layers": list(layers),
        "every": math.ceil(len(layers) / N_LABELS),
        "first": _first(sweep),
        "rows": rows,
        "measures": [
            {"name": "AUROC", "key": "auroc", "low": _floor(rows), "high": 1.0},
            *(
                _measure(name, key, rows)
                for name, key in (("excess over the strongest baseline", "excess"), ("Cohen's d", "effect"))
            ),
        ],
        "stops": colours,
        "ramp": ", ".join(stops()),
        "sentences": sentences,
        "unit": ", in log odds" if estimator == "logistic" else "",
        "files": list(files),
        "commands": {"shell": shell, "python": python},
    }


def _row(one: BehaviourSweep, layers: Sequence[int]) -> dict[str, Any]:
    return {
        "best_layer": layers[one.best],
        "why": reason(one, layers),
        "auroc": _ends(one.auroc),
        "band": _ends(one.auroc_band),
        "excess": _ends(one.comparison.excess_by_layer),
        "effect": _ends(one.effect_size),
        "unmarked": _ends(one.auroc_unmarked),
        "shuffled": _ends(one.auroc_shuffled),
        "p_value": [_rounded(value) for value in one.p_value],
        "chosen": _ends([one.nested.auroc])[0],
        "baselines": {name: _ends([auroc])[0] for name, auroc in one.comparison.aurocs.items()},
        "strongest": one.comparison.name,
        "n_positive": one.n_positive,
        "n_problems": one.n_problems,
    }


def _ends(estimates: Sequence[Interval]) -> list[list[float | None]]:
    return [[_rounded(one.value), _rounded(one.low), _rounded(one.high)] for one in estimates]


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 4)


def _values(rows: Mapping[str, Any], key: str) -> list[float]:
    return [cell[0] for row in rows.values() for cell in row[key] if cell[0] is not None]


def _floor(rows: Mapping[str, Any]) -> float:
    return max(0.5, min(0.9, math.floor(min(_values(rows, "auroc"), default=0.5) * 20) / 20))


def _measure(name: str, key: str, rows: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "key": key, "low": 0.0, "high": max([*_values(rows, key), 0.05])}


def _first(sweep: Mapping[str, BehaviourSweep]) -> int:
    """Choose the behaviour that is shown at first: the one with the largest excess."""
    excess = [one.comparison.excess.value for one in sweep.values()]
    return max(range(len(excess)), key=lambda place: -math.inf if math.isnan(excess[place]) else excess[place])


def _excess(one: BehaviourSweep) -> str:
    comparison = one.comparison
    excess = comparison.excess
    return (
        f"{excess.value:+.3f} [{excess.low:.3f}, {excess.high:.3f}] over {SPOKEN.get(comparison.name, comparison.name)}"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return ", ".join(names[:N_NAMED]) + more


def _runs(chosen: Sequence[int], layers: Sequence[int]) -> str:
    """Write layers that follow each other in the sweep as `8 to 12`."""
    runs: list[list[int]] = []
    for layer in chosen:
        place = layers.index(layer)
        if runs and layers.index(runs[-1][-1]) == place - 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
