"""Compare directions and probes of all sampled boundaries ("before") with those of the stable ones alone ("after").

Spans of behaviours that were not sampled are in both sets, as negatives. At every layer, for every behaviour:

1. Mean differences to all other spans, before and after: their norms and the cosine between the two.
2. Probes, cross-validated by problem on the same folds, trained on all spans of the training folds or on the stable
   ones only. Each is tested on the stable spans of the test fold, and on all of its spans (`training_subset.py`).
3. The control: as many spans of each behaviour at random in place of the stable ones. With fewer spans any direction
   turns and any probe gets worse; only a change beyond that of the control is due to stability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ..activations import Activations, Read, collect
from ..models._load import ModelLike
from ..rundir import InputError
from ..rundir.progress import with_progress
from ..stats import bootstrap_counts, mean_and_range
from ..traces import Template, digest
from ..vectors import Directions, mean_difference_directions
from .before_after_result import BeforeAfter
from .stability_result import STABLE, Stability, check_threshold
from .training_subset import (
    NO_AUROC,
    Rows,
    as_many,
    held_out_scores,
    subset_aurocs,
    subset_folds,
)


def compare_before_after(
    model: ModelLike,
    stability: Stability,
    *,
    threshold: float = STABLE,
    layers: str | Sequence[int] | None = None,
    read: Read | str = "mean",
    template: Template = "auto",
    truncate: bool = False,
    n_folds: int = 5,
    n_bootstrap: int = 1000,
    n_random: int = 5,
    seed: int = 0,
    progress: bool = True,
) -> BeforeAfter:
    """Measure how directions and probes of a model change when unstable boundaries are left out.

    Args:
        model: The model whose activations are read: usually the one that was sampled, or any that can read the traces.
        stability: Sampled boundaries with their traces.
        threshold: Share of continuations from which a boundary is stable, above 0 and up to 1.
        layers: 0-based blocks whose output is read, or a text such as "4:8"; None means the default of `collect`.
        read: Tokens of a span that are averaged.
        template: Whether prompts go through the chat template.
        truncate: Cut texts longer than the model's context instead of refusing them.
        n_folds: Folds of cross-validation; none divides a problem.
        n_bootstrap: Resamples of the problems for intervals.
        n_random: Draws of the control.
        seed: Seed of folds, draws and resamples.
        progress: Show progress bars.

    Returns:
        A row for each behaviour and layer. A behaviour with too few stable spans has a note instead of AUROCs.

    Raises:
        InputError: A layer does not exist, no span can be read, or the threshold is no share.
    """
    check_threshold(threshold)
    if n_random < 1 or n_bootstrap < 1:
        raise InputError("intervals and controls need at least one resample and one draw")
    sampled = stability.sampled()
    options: dict[str, Any] = {"layers": layers, "read": read, "template": template, "truncate": truncate}
    activations = collect(model, sampled, **options, progress=progress).load()
    stable = _stable_rows(activations, stability, threshold)
    labels, everything = np.array(activations.labels), np.ones_like(stable)
    behaviours = [name for name in activations.behaviours if name in stability.behaviours]
    notes = {name: note for name in behaviours if (note := _note(activations, stable, name, n_folds))}
    probed = [name for name in behaviours if name not in notes]
    folds = subset_folds(activations, stable, probed, n_folds, seed)
    generator = np.random.default_rng(seed)
    random = [as_many(labels, folds, stable, generator) for _ in range(n_random)]

    about = f"boundaries stable at {threshold:g} of {stability.settings['n_samples']} continuations"
    before = _directions(activations, everything, digest(sampled), "all sampled boundaries")
    after = _directions(activations, stable, digest(stability.stable(threshold)), about)
    random_directions = [_directions(activations, rows_of_draw, "", "random boundaries") for rows_of_draw in random]

    _, problems = np.unique(activations.problems, return_inverse=True)
    counts = bootstrap_counts(int(problems.max()) + 1, n_bootstrap, seed)
    shows = np.array([labels == name for name in probed]).reshape(len(probed), len(labels))
    rows: list[dict[str, Any]] = []
    for layer in with_progress(activations.layers, desc="fitting probes", unit="layer", progress=progress):
        values = activations.layer(layer).numpy()
        scores = [held_out_scores(values, shows, folds, training) for training in (everything, stable, *random)]
        for name in behaviours:
            aurocs = NO_AUROC
            if name in probed:
                at = probed.index(name)
                own_scores = [behaviour_scores[at] for behaviour_scores in scores]
                aurocs = subset_aurocs(own_scores, shows[at], stable, problems, folds, counts)
            rows.append(
                {"behaviour": name, "layer": layer}
                | _counts(activations, stable, name)
                | _geometry(name, layer, before, after, random_directions)
                | aurocs
                | {"note": notes.get(name, "")}
            )
    rows.sort(key=lambda row: behaviours.index(row["behaviour"]))
    return BeforeAfter(rows=tuple(rows), notes=notes, directions=(before, after))


def _stable_rows(activations: Activations, stability: Stability, threshold: float) -> Rows:
    """Select the examples that are stable, or of a behaviour that was not sampled."""
    spans = {(trace.id, span.start, span.label) for trace in stability.stable(threshold) for span in trace.spans}
    return np.array([(example.trace, example.start, example.label) in spans for example in activations.examples])


def _note(activations: Activations, stable: Rows, behaviour: str, n_folds: int) -> str:
    """Explain why a behaviour cannot have every figure; empty if it can."""
    shows, problems = activations.shows(behaviour), np.array(activations.problems)
    n_own, n_others = int((stable & shows).sum()), int((stable & ~shows).sum())
    if not n_own:
        return f"none of its {int(shows.sum())} spans is stable: no direction, no probe"
    if not n_others:
        return "no span of another behaviour is stable: no direction, no probe"
    for rows, whose in ((stable & shows, "its"), (stable & ~shows, "the others'")):
        n_problems = len(set(problems[rows]))
        if n_problems < n_folds:
            where = f"{whose} {int(rows.sum())} stable spans lie in {n_problems} problems"
            return f"{where}, too few for {n_folds} folds: no probe"
    return ""


def _directions(activations: Activations, subset_rows: Rows, data_digest: str, about: str) -> Directions:
    """Extract mean differences from a subset of the examples; none if it shows fewer than two behaviours."""
    if len({label for label, is_in_subset in zip(activations.labels, subset_rows, strict=True) if is_in_subset}) < 2:
        subset_rows = np.zeros_like(subset_rows)
    places = np.flatnonzero(subset_rows)
    subset = replace(
        activations,
        values=torch.stack([activations.layer(layer)[subset_rows] for layer in activations.layers], dim=1),
        examples=tuple(activations.examples[place] for place in places),
    )
    directions = mean_difference_directions(subset, data_digest=data_digest)
    return replace(directions, method=f"{directions.method}, {about}")


def _counts(activations: Activations, stable: Rows, behaviour: str) -> dict[str, Any]:
    """Count spans and problems of a behaviour, before and after."""
    shows, problems = activations.shows(behaviour), np.array(activations.problems)
    return {
        "n_before": int(shows.sum()),
        "n_after": int((shows & stable).sum()),
        "n_problems_before": len(set(problems[shows])),
        "n_problems_after": len(set(problems[shows & stable])),
    }


def _geometry(
    behaviour: str, layer: int, before: Directions, after: Directions, random: Sequence[Directions]
) -> dict[str, float]:
    """Compute norms and cosines of one behaviour's mean differences at one layer."""

    def of(directions: Directions) -> Float[Tensor, " d_model"]:
        if behaviour not in directions.behaviours:
            return torch.full((1,), torch.nan, dtype=torch.double)
        return directions.at(behaviour, layer).double()

    first = of(before)
    cosines = [float(cosine_similarity(first, of(directions), dim=0)) for directions in random]
    return {
        "norm_before": float(first.norm()),
        "norm_after": float(of(after).norm()),
        "cosine": float(cosine_similarity(first, of(after), dim=0)),
        **mean_and_range(np.array(cosines)).columns("cosine_random"),
    }
