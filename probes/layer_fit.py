"""One layer: every probe of the protocol fitted, and what is needed of each kept.

1. Each behaviour, penalty, outer and inner subset is a column; all columns are solved together.
2. Inner subsets give, for every outer fold, the AUROC of each penalty on the other folds.
3. At the penalty that is best over the folds: the labels shuffled, a naive split, phrasings left out, control tasks.
4. Probes of all rows, for saving; projections on the mean difference; AUROCs of ridge probes under permuted labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .controls.permutation import ridge_aurocs
from .metrics import held_out_projections, rank_wins
from .protocol import Protocol
from .solver import Columns, Design

CHUNK = 1 << 24  # logits held at once
Array = np.ndarray[Any, np.dtype[np.float64]]
Numbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Core:
    """What decides penalty and layer, and the scores to report once they are decided."""

    scores: Float[np.ndarray, "n_behaviours n_penalties n_examples"]  # out of fold, float32
    inner: Float[np.ndarray, "n_behaviours n_penalties n_folds"]  # AUROC on the other folds, without this one
    overall: Float[np.ndarray, "n_behaviours n_penalties"]  # AUROC on all folds

    @property
    def best_penalty(self) -> Int[np.ndarray, " n_behaviours"]:
        """By all folds: for probes that are saved, and for controls."""
        return best(self.overall)

    @property
    def inner_penalty(self) -> Int[np.ndarray, "n_behaviours n_folds"]:
        """For every fold, by the other folds."""
        return best(self.inner.transpose(0, 2, 1))

    def reported(self, folds: Int[np.ndarray, " n_examples"]) -> Float[np.ndarray, "n_behaviours n_examples"]:
        """Out-of-fold scores, the penalty of each fold chosen without it."""
        chosen = self.inner_penalty[:, folds]  # (behaviour, example)
        found: Array = np.take_along_axis(self.scores, chosen[:, None], axis=1)[:, 0]
        return found


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerFit:
    """One layer of a sweep."""

    core: Core
    naive: Float[np.ndarray, "n_behaviours n_examples"]  # out-of-fold scores of the naive split
    shuffled: Float[np.ndarray, "n_behaviours n_shuffles"]  # AUROC
    tasks: Float[np.ndarray, " n_tasks"]  # AUROC
    held: Float[np.ndarray, "n_held n_examples"]  # out-of-fold scores, the phrasing left out of training
    ridge: Float[np.ndarray, " n_behaviours"]  # AUROC
    permuted: Float[np.ndarray, "n_behaviours n_permutations"]  # AUROC
    projections: Float[np.ndarray, "n_behaviours n_examples"]
    weights: Float[np.ndarray, "n_behaviours d_model"]  # of raw activations
    biases: Float[np.ndarray, " n_behaviours"]


def best(aurocs: Float[np.ndarray, "... n"]) -> Int[np.ndarray, " ..."]:
    """The first of the highest along the last axis; the first of all where there is none."""
    found: np.ndarray[Any, np.dtype[np.int64]] = np.nan_to_num(aurocs, nan=-1.0).argmax(axis=-1)
    return found


def design_of(acts: Float[Tensor, "n_examples d_model"], protocol: Protocol) -> Design:
    return Design.of(acts, protocol.cell, protocol.subsets, device=protocol.device, dtype=protocol.dtype)


def fit_core(design: Design, protocol: Protocol) -> Core:
    """Every behaviour and penalty on the outer and inner subsets."""
    n_behaviours, n_examples = protocol.shows.shape
    n_penalties, n_folds = len(protocol.penalties), protocol.n_folds
    at = np.indices((n_behaviours, n_penalties, n_folds + len(protocol.pairs))).reshape(3, -1)
    rows_of = [torch.from_numpy(np.flatnonzero(protocol.folds == f)).to(protocol.device) for f in range(n_folds)]
    bank = torch.from_numpy(protocol.shows).to(protocol.device)
    scores = np.empty((n_behaviours, n_penalties, n_examples), dtype=np.float32)
    wins, pairs = np.zeros((2, n_behaviours, n_penalties, n_folds))
    inner_wins, inner_pairs = np.zeros((2, n_behaviours, n_penalties, n_folds))

    def count(columns: Numbers, fold: int, found: Tensor, wins: Array, pairs: Array, to: Numbers) -> None:
        behaviour, penalty = at[0, columns], at[1, columns]
        positive = bank[torch.from_numpy(behaviour).to(bank.device)][:, rows_of[fold]]
        right, of = rank_wins(found, positive)
        np.add.at(wins, (behaviour, penalty, to), right.cpu().numpy())
        np.add.at(pairs, (behaviour, penalty, to), of.cpu().numpy())

    for here, found in _solved(design, protocol, bank, at[0], at[2], np.array(protocol.penalties)[at[1]]):
        subset = at[2, here]
        for fold in range(n_folds):
            outer = np.flatnonzero(subset == fold)
            if len(outer):
                part = found[torch.from_numpy(outer).to(found.device)][:, rows_of[fold]]
                columns = here[outer]
                scores[at[0, columns], at[1, columns]] = _placed(
                    scores[at[0, columns], at[1, columns]], part, protocol.folds == fold
                )
                count(columns, fold, part, wins, pairs, np.full(len(columns), fold))
            for number, pair in enumerate(protocol.pairs):
                if fold in pair:
                    inner = np.flatnonzero(subset == n_folds + number)
                    if len(inner):
                        part = found[torch.from_numpy(inner).to(found.device)][:, rows_of[fold]]
                        other = pair[0] if fold == pair[1] else pair[1]
                        count(here[inner], fold, part, inner_wins, inner_pairs, np.full(len(inner), other))
    with np.errstate(invalid="ignore", divide="ignore"):
        return Core(
            scores=scores,
            inner=inner_wins / inner_pairs,
            overall=wins.sum(axis=2) / pairs.sum(axis=2),
        )


def fit_layer(acts: Float[Tensor, "n_examples d_model"], protocol: Protocol) -> LayerFit:
    """All of it. acts: raw, float32."""
    design = design_of(acts, protocol)
    core = fit_core(design, protocol)
    penalty = np.array(protocol.penalties)[core.best_penalty]
    usual = float(np.median(penalty))
    n_behaviours, n_examples = protocol.shows.shape
    folds, device = torch.from_numpy(protocol.folds).to(protocol.device), protocol.device
    every = np.arange(n_behaviours)
    held_of = np.array([held.behaviour for held in protocol.held], dtype=np.int64)

    n_shuffles = len(protocol.shuffled)
    shuffled = protocol.shuffled.reshape(n_shuffles * n_behaviours, n_examples)
    weights, biases = _everything(design, protocol, penalty)
    bank = torch.from_numpy(protocol.shows).to(device)
    order = torch.from_numpy(protocol.permuted).to(device)
    permuted = bank[:, order].flatten(0, 1)  # (behaviour, permutation)
    ridge = ridge_aurocs(design, folds, protocol.outer, torch.cat([bank, permuted]))
    raw = acts.numpy().astype(np.float64)
    return LayerFit(
        core=core,
        naive=_out_of_fold(design, protocol, protocol.shows, penalty, protocol.naive, protocol.naive_folds),
        shuffled=_aurocs(
            _out_of_fold(design, protocol, shuffled, np.tile(penalty, n_shuffles), protocol.outer, protocol.folds),
            shuffled,
            protocol.folds,
        )
        .reshape(n_shuffles, n_behaviours)
        .T,
        tasks=_aurocs(
            _out_of_fold(
                design, protocol, protocol.tasks, np.full(len(protocol.tasks), usual), protocol.outer, protocol.folds
            ),
            protocol.tasks,
            protocol.folds,
        ),
        held=_out_of_fold(
            design,
            protocol,
            protocol.shows[held_of],
            penalty[held_of],
            protocol.outer,
            protocol.folds,
            kept=~np.stack([held.spans for held in protocol.held]) if protocol.held else None,
        ),
        ridge=ridge[:n_behaviours],
        permuted=ridge[n_behaviours:].reshape(n_behaviours, -1),
        projections=np.stack([held_out_projections(raw, protocol.shows[each], protocol.folds) for each in every]),
        weights=weights,
        biases=biases,
    )


def _solved(
    design: Design,
    protocol: Protocol,
    bank: Bool[Tensor, "n_labels n_examples"],
    label: Int[np.ndarray, " n_columns"],
    subset: Int[np.ndarray, " n_columns"],
    penalty: Float[np.ndarray, " n_columns"],
    kept: Bool[Tensor, "n_labels n_examples"] | None = None,
) -> Iterator[tuple[Int[np.ndarray, " n_here"], Float[Tensor, "n_here n_examples"]]]:
    """Columns and their scores of all rows, some at a time. label: which row of `bank` (and of `kept`) each has."""
    n_at_once = max(1, CHUNK // bank.shape[1])
    for first in range(0, len(label), n_at_once):
        here = np.arange(first, min(first + n_at_once, len(label)))
        labels = torch.from_numpy(label[here]).to(bank.device)
        columns = Columns(
            bank[labels],
            torch.from_numpy(subset[here]).to(bank.device),
            torch.from_numpy(penalty[here]).to(bank.device, protocol.dtype),
            None if kept is None else kept[labels],
        )
        yield here, protocol.method.solve(design, columns).scores(design)


def _out_of_fold(
    design: Design,
    protocol: Protocol,
    labels: Bool[np.ndarray, "n_labels n_examples"],
    penalty: Float[np.ndarray, " n_labels"],
    subsets: list[int],
    folds: Int[np.ndarray, " n_examples"],
    kept: Bool[np.ndarray, "n_labels n_examples"] | None = None,
) -> Float[np.ndarray, "n_labels n_examples"]:
    """Scores of every row by the probe of its fold. subsets: what is trained on for each fold."""
    scores = np.empty(labels.shape, dtype=np.float32)
    if not len(labels):
        return scores
    bank = torch.from_numpy(labels).to(protocol.device)
    rows = None if kept is None else torch.from_numpy(kept).to(protocol.device)
    label, fold = (each.ravel() for each in np.indices((len(labels), protocol.n_folds)))
    for here, found in _solved(design, protocol, bank, label, np.array(subsets)[fold], penalty[label], rows):
        found_here = found.cpu().numpy()
        for each, row in zip(here, found_here, strict=True):
            test = folds == fold[each]
            scores[label[each], test] = row[test]
    return scores


def _everything(
    design: Design, protocol: Protocol, penalty: Float[np.ndarray, " n_behaviours"]
) -> tuple[Float[np.ndarray, "n_behaviours d_model"], Float[np.ndarray, " n_behaviours"]]:
    """Weights and biases, for raw activations, of probes of all rows."""
    columns = Columns(
        torch.from_numpy(protocol.shows).to(protocol.device),
        torch.full((len(protocol.shows),), protocol.everything, device=protocol.device),
        torch.from_numpy(penalty).to(protocol.device, protocol.dtype),
    )
    weights, biases = protocol.method.solve(design, columns).raw(design)
    return weights.cpu().numpy(), biases.cpu().numpy()


def _aurocs(
    scores: Float[np.ndarray, "n_labels n_examples"],
    labels: Bool[np.ndarray, "n_labels n_examples"],
    folds: Int[np.ndarray, " n_examples"],
) -> Float[np.ndarray, " n_labels"]:
    """AUROC over pairs inside one fold."""
    wins, pairs = np.zeros((2, len(labels)))
    for fold in np.unique(folds):
        test = folds == fold
        right, of = rank_wins(torch.from_numpy(scores[:, test]), torch.from_numpy(labels[:, test]))
        wins += right.numpy()
        pairs += of.numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = wins / pairs
    return found


def _placed(into: Array, part: Tensor, test: Bool[np.ndarray, " n_examples"]) -> Array:
    into[:, test] = part.cpu().numpy()
    return into
