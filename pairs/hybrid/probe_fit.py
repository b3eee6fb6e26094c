"""Fit the hybrid's probes on the base model's own activations: which behaviour comes, and where the models differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...activations import Activations
from ...probes import LogisticProbe, MultinomialProbe
from ...rundir import InputError
from ...traces import Trace
from .components import SHARES, Probes
from .experiment import Experiment
from .token_table import token_table

N_FOLDS = 5


def fit_probes(
    experiment: Experiment, traces: Sequence[Trace], before: Activations, behaviours: Sequence[str]
) -> Probes:
    """Fit both kinds of probes at every layer that is tried.

    Args:
        experiment: Pair, layers and settings.
        traces: Labelled rollouts of the thinking model.
        before: The base's activations at the token before each sentence of them, at those layers.
        behaviours: Among which is chosen.

    Raises:
        InputError: Fewer than two behaviours have a token before them that the base can read.
    """
    activations, differs, problem = token_table(
        experiment.pair, traces, experiment.layers, progress=experiment.progress
    )
    when = {layer: fit_when(activations[:, place], differs, problem) for place, layer in enumerate(experiment.layers)}
    return Probes(
        which={layer: fit_which(before.layer(layer), before.labels, behaviours) for layer in experiment.layers},
        when={layer: probe for layer, (probe, _) in when.items()},
        quantiles={
            layer: quantiles_of(activations[:, place], when[layer][0]) for place, layer in enumerate(experiment.layers)
        },
        auroc_when={layer: auroc for layer, (_, auroc) in when.items()},
        n_disagreements=int(differs.sum()),
        n_tokens=len(differs),
    )


def fit_which(
    activations: Float[Tensor, "n d_model"], labels: Sequence[str], behaviours: Sequence[str]
) -> tuple[Float[Tensor, "n_behaviours d_model"], Float[Tensor, " n_behaviours"]]:
    """Fit a linear probe for the behaviour of the sentence that comes.

    Args:
        activations: Of the base at the token before each sentence.
        labels: Of the sentences; those of other labels are left out.
        behaviours: The classes, in the order of the result.

    Returns:
        Weights and offsets; a behaviour without a sentence has the offset -inf, so it is never chosen.

    Raises:
        InputError: Fewer than two behaviours have a sentence.
    """
    known = np.array([label in behaviours for label in labels])
    numbers = np.array([behaviours.index(label) for label in np.array(labels)[known]])
    if len(set(numbers.tolist())) < 2:
        raise InputError(
            "fewer than two behaviours have a token before them that the base can read (templates are not read); give "
            "more --train problems"
        )
    probe = MultinomialProbe().fit(activations[torch.from_numpy(known)].numpy(), numbers)
    weight = torch.zeros(len(behaviours), activations.shape[1])
    offset = torch.full((len(behaviours),), -torch.inf)
    rows, offsets = probe.coef_, probe.intercept_
    if len(probe.classes_) == 2 and len(rows) == 1:
        rows, offsets = np.concatenate([-rows, rows]) / 2, np.concatenate([-offsets, offsets]) / 2
    for row, number in enumerate(probe.classes_):
        weight[number] = torch.from_numpy(np.asarray(rows[row])).float()
        offset[number] = float(offsets[row])
    return weight, offset


def quantiles_of(
    activations: Float[Tensor, "n d_model"], probe: tuple[Float[Tensor, " d_model"], float]
) -> Float[Tensor, " n_shares"]:
    """Compute the quantiles of a probe's log odds.

    Args:
        activations: At tokens of the rollouts.
        probe: Weight and offset.

    Returns:
        At `SHARES`, float64; zeros where the offset is infinite.
    """
    weight, offset = probe
    if not np.isfinite(offset):
        return torch.zeros(len(SHARES), dtype=torch.float64)
    return torch.from_numpy(np.quantile((activations.float() @ weight).double().numpy() + offset, SHARES))


def fit_when(
    activations: Float[Tensor, "n d_model"], differs: Bool[np.ndarray, " n"], problem: Int[np.ndarray, " n"]
) -> tuple[tuple[Float[Tensor, " d_model"], float], float]:
    """Fit a linear probe for whether the thinking model's likeliest token differs from the base's.

    Args:
        activations: Of the base at tokens of the rollouts.
        differs: Whether the models differ in the token after each.
        problem: Number of the problem of each.

    Returns:
        The probe on all tokens (weight, offset), and its AUROC where a fifth of the problems was left out; NaN where
        that fifth, or the rest, holds tokens of one kind only.
    """
    from sklearn.metrics import roc_auc_score

    if differs.all() or not differs.any():
        return (torch.zeros(activations.shape[1]), -torch.inf if not differs.any() else torch.inf), float("nan")
    x = activations.numpy()
    held_out = problem % N_FOLDS == 0
    auroc = float("nan")
    if 0 < differs[held_out].sum() < held_out.sum() and 0 < differs[~held_out].sum() < (~held_out).sum():
        part = LogisticProbe().fit(x[~held_out], differs[~held_out])
        auroc = float(roc_auc_score(differs[held_out], part.decision_function(x[held_out])))
    probe = LogisticProbe().fit(x, differs)
    return (torch.from_numpy(probe.coef_[0]).float(), float(probe.intercept_[0])), auroc
