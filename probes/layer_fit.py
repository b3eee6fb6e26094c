"""Fit every probe of the protocol at one layer.

1. Solve all columns together; each combination of behaviour, penalty and outer or inner subset is a column.
2. From the inner subsets compute, for every outer fold, the AUROC of each penalty on the other folds.
3. At the penalty that is best over the folds, fit the controls: shuffled labels, a naive split, phrasings left out,
   control tasks.
4. Fit probes on all rows, for saving; project on the mean difference; compute AUROCs of ridge probes under permuted
   labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..models.device_copies import uploaded
from ..rundir import InputError, listed
from .controls.permutation import ridge_aurocs
from .core import Array, Core
from .metrics import held_out_projections, rank_wins
from .protocol import Protocol
from .solver import Columns, Design

CHUNK = 1 << 24  # logits in memory at once
Numbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerFit:
    """The probes and controls of one layer of a sweep."""

    core: Core
    naive: Float[np.ndarray, "n_behaviours n_examples"]  # out-of-fold scores of the naive split
    shuffled: Float[np.ndarray, "n_behaviours n_shuffles"]  # AUROC
    tasks: Float[np.ndarray, " n_tasks"]  # AUROC
    held_out: Float[np.ndarray, "n_held_out n_examples"]  # out-of-fold scores, the phrasing left out of training
    ridge: Float[np.ndarray, " n_behaviours"]  # AUROC
    permuted: Float[np.ndarray, "n_behaviours n_permutations"]  # AUROC
    projections: Float[np.ndarray, "n_behaviours n_examples"]
    weights: Float[np.ndarray, "n_behaviours d_model"]  # of raw activations
    biases: Float[np.ndarray, " n_behaviours"]


def design_of(activations: Float[Tensor, "n_examples d_model"], protocol: Protocol) -> Design:
    """Standardise the activations of one layer for all subsets of the protocol."""
    return Design.of(activations, protocol.cell, protocol.subsets, device=protocol.device, dtype=protocol.dtype)


def fit_core(design: Design, protocol: Protocol) -> Core:
    """Fit every behaviour and penalty on the outer and inner subsets."""
    n_behaviours, n_examples = protocol.shows.shape
    n_penalties, n_folds = len(protocol.penalties), protocol.n_folds
    column_of = np.indices((n_behaviours, n_penalties, n_folds + len(protocol.pairs))).reshape(3, -1)
    device = design.rows.device
    rows_of = [uploaded(torch.from_numpy(np.flatnonzero(protocol.folds == fold)), device) for fold in range(n_folds)]
    bank = uploaded(torch.from_numpy(protocol.shows), device)
    scores = torch.empty((n_behaviours * n_penalties, n_examples), dtype=torch.float32, device=device)
    counts: list[Tensor] = []  # pairs won, and all pairs, of columns on a test fold; looked at when all are solved
    places: list[tuple[bool, tuple[Numbers | int, ...]]] = []  # whether they are of an inner subset, and whose they are
    penalties = np.array(protocol.penalties)[column_of[1]]

    def count(columns: Numbers, test_scores: Tensor, *folds: int) -> None:
        behaviour, penalty = column_of[0, columns], column_of[1, columns]
        positive = bank[uploaded(torch.from_numpy(behaviour), device)][:, rows_of[folds[-1]]]
        counts.append(torch.stack(rank_wins(test_scores, positive)))
        places.append((len(folds) > 1, (behaviour, penalty, *folds)))

    for batch, batch_scores in _solve_in_batches(design, protocol, bank, column_of[0], column_of[2], penalties):
        subset = column_of[2, batch]
        for fold in range(n_folds):
            outer = np.flatnonzero(subset == fold)
            if len(outer):
                part = batch_scores[uploaded(torch.from_numpy(outer), device)][:, rows_of[fold]]
                columns = batch[outer]
                row = uploaded(torch.from_numpy(column_of[0, columns] * n_penalties + column_of[1, columns]), device)
                scores[row[:, None], rows_of[fold]] = part.float()
                count(columns, part, fold)
            for number, pair in enumerate(protocol.pairs):
                if fold in pair:
                    inner = np.flatnonzero(subset == n_folds + number)
                    if len(inner):
                        part = batch_scores[uploaded(torch.from_numpy(inner), device)][:, rows_of[fold]]
                        other = pair[0] if fold == pair[1] else pair[1]
                        count(batch[inner], part, other, fold)
    wins, pairs = np.zeros((2, n_behaviours, n_penalties, n_folds))
    inner_wins, inner_pairs = np.zeros((2, n_behaviours, n_penalties, n_folds, n_folds))
    host_counts = torch.split(torch.cat(counts, dim=1).cpu(), [one.shape[1] for one in counts], dim=1)
    for (is_inner, place), (n_wins, n_pairs) in zip(places, host_counts, strict=True):
        of_wins, of_pairs = (inner_wins, inner_pairs) if is_inner else (wins, pairs)
        of_wins[place], of_pairs[place] = n_wins.numpy(), n_pairs.numpy()
    return Core(
        scores=scores.cpu().numpy().reshape(n_behaviours, n_penalties, n_examples),
        wins=wins,
        pairs=pairs,
        inner_wins=inner_wins,
        inner_pairs=inner_pairs,
    )


def fit_layer(activations: Float[Tensor, "n_examples d_model"], protocol: Protocol) -> LayerFit:
    """Fit all probes and controls of one layer to its raw activations, float32."""
    design = design_of(activations, protocol)
    core = fit_core(design, protocol)
    penalty = np.array(protocol.penalties)[core.best_penalty]
    median_penalty = float(np.median(penalty))
    n_behaviours, n_examples = protocol.shows.shape
    device = design.rows.device
    behaviour_of = np.array([phrasing.behaviour for phrasing in protocol.held_out], dtype=np.int64)

    n_shuffles = len(protocol.shuffled)
    shuffled = protocol.shuffled.reshape(n_shuffles * n_behaviours, n_examples)
    weights, biases = _fit_all_rows(design, protocol, penalty)
    bank = uploaded(torch.from_numpy(protocol.shows), device)
    order = uploaded(torch.from_numpy(protocol.permuted), device)
    permuted = bank[:, order].flatten(0, 1)  # (n_behaviours * n_permutations, n_examples)
    ridge = ridge_aurocs(design, protocol.folds, protocol.outer, torch.cat([bank, permuted]))
    raw = activations.numpy().astype(np.float64)
    return LayerFit(
        core=core,
        naive=_out_of_fold(design, protocol, protocol.shows, penalty, protocol.naive, protocol.naive_folds),
        shuffled=_aurocs(
            _out_of_fold(
                design, protocol, shuffled, np.tile(penalty, n_shuffles), protocol.outer, protocol.folds, is_rough=True
            ),
            shuffled,
            protocol.folds,
        )
        .reshape(n_shuffles, n_behaviours)
        .T,
        tasks=_aurocs(
            _out_of_fold(
                design,
                protocol,
                protocol.tasks,
                np.full(len(protocol.tasks), median_penalty),
                protocol.outer,
                protocol.folds,
                is_rough=True,
            ),
            protocol.tasks,
            protocol.folds,
        ),
        held_out=_out_of_fold(
            design,
            protocol,
            protocol.shows[behaviour_of],
            penalty[behaviour_of],
            protocol.outer,
            protocol.folds,
            trainable=~np.stack([phrasing.spans for phrasing in protocol.held_out]) if protocol.held_out else None,
        ),
        ridge=ridge[:n_behaviours],
        permuted=ridge[n_behaviours:].reshape(n_behaviours, -1),
        projections=np.stack([held_out_projections(raw, positive, protocol.folds) for positive in protocol.shows]),
        weights=weights,
        biases=biases,
    )


def _solve_in_batches(
    design: Design,
    protocol: Protocol,
    bank: Bool[Tensor, "n_labels n_examples"],
    label: Int[np.ndarray, " n_columns"],
    subset: Int[np.ndarray, " n_columns"],
    penalty: Float[np.ndarray, " n_columns"],
    trainable: Bool[Tensor, "n_labels n_examples"] | None = None,
    is_rough: bool = False,
) -> Iterator[tuple[Int[np.ndarray, " n_here"], Float[Tensor, "n_here n_examples"]]]:
    """Solve columns in batches; yield their numbers and scores. `label` is each one's row in `bank` and `trainable`."""
    solve = (is_rough and protocol.method.solve_roughly) or protocol.method.solve
    n_at_once = max(1, CHUNK // bank.shape[1])
    for first in range(0, len(label), n_at_once):
        batch = np.arange(first, min(first + n_at_once, len(label)))
        labels = uploaded(torch.from_numpy(label[batch]), bank.device)
        columns = Columns(
            bank[labels],
            uploaded(torch.from_numpy(subset[batch]), bank.device),
            uploaded(torch.from_numpy(penalty[batch]).to(protocol.dtype), bank.device),
            None if trainable is None else trainable[labels],
        )
        scores = solve(design, columns).scores(design)
        if not torch.isfinite(scores).all():
            raise InputError(
                f"{protocol.method.about}: the scores of some probes are not finite at {protocol.method.penalty_name} "
                f"{listed(f'{number:g}' for number in np.unique(penalty[batch]))}; give other penalties, or leave out "
                "layers whose activations are extreme"
            )
        yield batch, scores


def _out_of_fold(
    design: Design,
    protocol: Protocol,
    labels: Bool[np.ndarray, "n_labels n_examples"],
    penalty: Float[np.ndarray, " n_labels"],
    subsets: list[int],
    folds: Int[np.ndarray, " n_examples"],
    trainable: Bool[np.ndarray, "n_labels n_examples"] | None = None,
    is_rough: bool = False,
) -> Float[np.ndarray, "n_labels n_examples"]:
    """Score every row by the probe of its fold; `subsets` is what the probe of each fold is trained on."""
    scores = np.empty(labels.shape, dtype=np.float32)
    if not len(labels):
        return scores
    bank = uploaded(torch.from_numpy(labels), design.rows.device)
    rows = None if trainable is None else uploaded(torch.from_numpy(trainable), design.rows.device)
    label, fold = np.indices((len(labels), protocol.n_folds)).reshape(2, -1)
    subset = np.array(subsets)[fold]
    for batch, batch_scores in _solve_in_batches(design, protocol, bank, label, subset, penalty[label], rows, is_rough):
        for column, column_scores in zip(batch, batch_scores.cpu().numpy(), strict=True):
            test = folds == fold[column]
            scores[label[column], test] = column_scores[test]
    return scores


def _fit_all_rows(
    design: Design, protocol: Protocol, penalty: Float[np.ndarray, " n_behaviours"]
) -> tuple[Float[np.ndarray, "n_behaviours d_model"], Float[np.ndarray, " n_behaviours"]]:
    """Fit probes on all rows and return weights and biases for raw activations."""
    device = design.rows.device
    columns = Columns(
        uploaded(torch.from_numpy(protocol.shows), device),
        torch.full((len(protocol.shows),), protocol.all_rows, device=device),
        uploaded(torch.from_numpy(penalty).to(protocol.dtype), device),
    )
    weights, biases = protocol.method.solve(design, columns).raw(design)
    return weights.cpu().numpy(), biases.cpu().numpy()


def _aurocs(
    scores: Float[np.ndarray, "n_labels n_examples"],
    labels: Bool[np.ndarray, "n_labels n_examples"],
    folds: Int[np.ndarray, " n_examples"],
) -> Float[np.ndarray, " n_labels"]:
    """Compute AUROC over pairs inside one fold."""
    wins, pairs = np.zeros((2, len(labels)))
    for fold in np.unique(folds):
        test = folds == fold
        fold_wins, fold_pairs = rank_wins(torch.from_numpy(scores[:, test]), torch.from_numpy(labels[:, test]))
        wins += fold_wins.numpy()
        pairs += fold_pairs.numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        aurocs: Array = wins / pairs
    return aurocs
