"""Coverage of the intervals of probes by simulation: `python -m benchmarks.coverage`.

1. A cell is a size (problems x spans of each), a share of positives and a signal. Its data sets have problems that
   differ in their features and in how often they show the behaviour, a layer with the signal and one with a weaker
   one, and a baseline of few features that shares a part of it.
2. Each data set goes through the whole cross-validation of a sweep: penalty and layer chosen on inner folds.
3. What an interval is for is the mean over all data sets of the cell of what their probes reach on fresh problems
   (240 of them for each data set's probes, in sets as large as a test fold, the penalty and layer of each fold as
   chosen). The interval of the difference is for the same mean of the probe's AUROC minus the baseline's.
4. Reported: the share of intervals that hold it, with a 95% interval of its own (Wilson); of the percentile bootstrap
   of fitted probes beside it. Data sets with too few problems of either kind for an interval are drawn again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int

from reasonlens.probes.core import Core, changes_over
from reasonlens.probes.layer_fit import design_of, fit_core
from reasonlens.probes.metrics import FEWEST_PROBLEMS, ONE_LAYER, CrossValidated, rank_wins
from reasonlens.probes.nested import choose
from reasonlens.probes.protocol import Protocol
from reasonlens.probes.solver import Columns, method_named
from reasonlens.stats import bootstrap_counts, maximum_quantile, percentile_ends, wilson_proportion

N_FOLDS, N_BOOTSTRAP, N_FRESH, D_MODEL, D_BASELINE = 5, 400, 240, 24, 4
SIZES = ((20, 12), (60, 12), (30, 1), (150, 1))  # problems, spans of each
SHARES = (0.5, 0.1)
SIGNALS = {"none": 0.0, "weak": 0.8, "strong": 2.5}
FIGURES = ("auroc", "nested", "band", "excess", "percentile")
Matrix = np.ndarray[Any, np.dtype[np.float64]]
Drawn = tuple[list[Matrix], np.ndarray[Any, np.dtype[np.bool_]], np.ndarray[Any, np.dtype[np.int64]]]


def main() -> None:
    options = _arguments()
    torch.set_num_threads(1)
    rows = []
    for size, share, signal in product(SIZES, SHARES, SIGNALS):
        if size[0] * size[1] * share < FEWEST_PROBLEMS:
            continue  # no data set has an interval
        if options.only and f"{size[0]}x{size[1]}" not in options.only.split(","):
            continue
        rows.append(cell(size, share, signal, options.datasets, options.estimator, options.seed))
        sys.stdout.write(pd.DataFrame(rows[-1:]).to_csv(index=False, header=len(rows) == 1, float_format="%.3f"))
        sys.stdout.flush()
        if options.out:
            pd.DataFrame(rows).to_csv(options.out, index=False)


def cell(
    size: tuple[int, int], share: float, signal: str, n_datasets: int, estimator: str, seed: int
) -> dict[str, float | str]:
    """Simulate one cell: how often each interval holds what it is for."""
    simulations = list(_datasets(size, share, SIGNALS[signal], n_datasets, estimator, seed))
    truths = {name: np.mean([truth[name] for truth, _ in simulations], axis=0) for name in simulations[0][0]}
    truths["percentile"] = truths["auroc"]
    row: dict[str, float | str] = {"problems": size[0], "spans": size[1], "share": share, "signal": signal}
    row |= {"estimator": estimator, "datasets": len(simulations), "target": float(truths["nested"])}
    for name in FIGURES:
        covers = [
            bool(np.all((ends[name][0] <= truths[name]) & (truths[name] <= ends[name][1]))) for _, ends in simulations
        ]
        rate = wilson_proportion(covers)
        row |= {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high}
    row["width"] = float(np.mean([ends["nested"][1] - ends["nested"][0] for _, ends in simulations]))
    return row


def _datasets(
    size: tuple[int, int], share: float, signal: float, n_datasets: int, estimator: str, seed: int
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield of each data set what its probes reach on fresh problems, and the ends of each interval."""
    n_problems, n_spans = size
    generator = np.random.default_rng(seed)
    counts = bootstrap_counts(n_problems, N_BOOTSTRAP, seed)
    fold_problems = n_problems // N_FOLDS
    n_done = 0
    while n_done < n_datasets:
        layers, positive, problems = _draw(generator, n_problems, n_spans, share, signal)
        folds = _folds(generator, positive, problems)
        if folds is None:
            continue
        fresh = _draw(generator, N_FRESH // fold_problems * fold_problems, n_spans, share, signal)
        result = _analysed(layers, positive, problems, folds, counts, estimator, fresh, fold_problems * n_spans)
        n_done += 1
        yield result


def _draw(generator: np.random.Generator, n_problems: int, n_spans: int, share: float, signal: float) -> Drawn:
    """Draw the activations of two layers and the features of a baseline, labels and problems."""
    problems = np.repeat(np.arange(n_problems), n_spans)
    log_odds = np.log(share / (1 - share)) + (0.7 * generator.normal(size=n_problems)[problems] if n_spans > 1 else 0)
    positive = generator.random(len(problems)) < 1 / (1 + np.exp(-log_odds))
    common = generator.normal(size=len(problems))
    layers = []
    for width, strength in ((D_MODEL, signal), (D_MODEL, 0.7 * signal), (D_BASELINE, 0.8 * signal)):
        features = (
            generator.normal(size=(len(problems), width)) + 0.7 * generator.normal(size=(n_problems, width))[problems]
        )
        features[:, 0] += strength * positive + 0.5 * common
        layers.append(features)
    return layers, positive, problems


def _folds(
    generator: np.random.Generator, positive: Bool[np.ndarray, " n"], problems: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " n"] | None:
    """Assign problems to folds, alike in their number of positives; None where there are too few for an interval."""
    n_positive = np.bincount(problems, positive)
    n_negative = np.bincount(problems, ~positive)
    if min((n_positive > 0).sum(), (n_negative > 0).sum()) < FEWEST_PROBLEMS:
        return None
    order = np.lexsort((generator.random(len(n_positive)), n_positive))
    fold = np.empty(len(order), dtype=np.int64)
    for start in range(0, len(order), N_FOLDS):
        part = order[start : start + N_FOLDS]
        fold[part] = generator.permutation(N_FOLDS)[: len(part)]
    folds: np.ndarray[Any, np.dtype[np.int64]] = fold[problems]
    return folds


def _analysed(
    layers: list[Matrix],
    positive: Bool[np.ndarray, " n"],
    problems: Int[np.ndarray, " n"],
    folds: Int[np.ndarray, " n"],
    counts: Matrix,
    estimator: str,
    fresh: Drawn,
    set_size: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    method = method_named(estimator)
    none = np.zeros((0, 1, len(folds)), dtype=bool)
    protocol = Protocol(
        shows=positive[None],
        folds=folds,
        naive_folds=np.zeros_like(folds),
        n_folds=N_FOLDS,
        method=method,
        penalties=method.penalties,
        shuffled=none,
        tasks=none[:, 0],
        held_out=(),
        permuted=np.zeros((0, len(folds)), dtype=np.int64),
        device=torch.device("cpu"),
    )
    cores: list[Core] = []
    reached = np.empty((len(layers), len(method.penalties), N_FOLDS))  # on fresh problems
    penalty, fold = np.indices((len(method.penalties), N_FOLDS)).reshape(2, -1)
    fresh_layers, fresh_positive, _ = fresh
    in_sets = torch.from_numpy(fresh_positive).reshape(1, -1, set_size).expand(len(fold), -1, -1).flatten(0, 1)
    for number, (features, fresh_features) in enumerate(zip(layers, fresh_layers, strict=True)):
        design = design_of(torch.from_numpy(features).float(), protocol)
        cores.append(fit_core(design, protocol))
        columns = Columns(
            torch.from_numpy(np.repeat(positive[None], len(fold), axis=0)),
            torch.from_numpy(fold),
            torch.from_numpy(np.array(method.penalties)[penalty]).to(protocol.dtype),
        )
        weights, biases = method.solve(design, columns).raw(design)
        scores = torch.from_numpy(fresh_features).to(weights.dtype) @ weights.T + biases
        wins, pairs = (
            part.reshape(len(fold), -1).sum(dim=1) for part in rank_wins(scores.T.reshape(-1, set_size), in_sets)
        )
        reached[number] = (wins / pairs).numpy().reshape(len(method.penalties), N_FOLDS)

    def cross_validated(scores: Float[np.ndarray, " n"], changes: Float[np.ndarray, " n_folds"]) -> CrossValidated:
        return CrossValidated.of(scores, positive, problems, folds, counts, changes)

    alone = [cross_validated(core.reported(folds)[0], core.changes(0)) for core in cores]
    expected = [reached[number, core.inner_penalty[0], np.arange(N_FOLDS)].mean() for number, core in enumerate(cores)]
    scores, choices = choose(cores[:2], 0, folds)
    nested = cross_validated(scores, changes_over(cores[:2], 0))
    expected_nested = np.mean([reached[layer, chosen, fold] for fold, (layer, chosen) in enumerate(choices)])
    quantile = maximum_quantile(
        np.array([layer.value for layer in alone[:2]]), np.stack([layer.draws for layer in alone[:2]])
    )
    band = [layer.band(quantile / ONE_LAYER) for layer in alone[:2]]
    first, chosen_interval, excess = alone[0].interval(), nested.interval(), nested.minus(alone[2])
    truth = {
        "auroc": expected[0],
        "nested": expected_nested,
        "band": np.array(expected[:2]),
        "excess": expected_nested - expected[2],
    }
    return truth, {
        "auroc": (first.low, first.high),
        "nested": (chosen_interval.low, chosen_interval.high),
        "band": (np.array([layer.low for layer in band]), np.array([layer.high for layer in band])),
        "excess": (excess.low, excess.high),
        "percentile": percentile_ends(alone[0].draws),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=int, default=1000, help="of each cell")
    parser.add_argument("--estimator", default="ridge", help="kind of probe")
    parser.add_argument("--only", help="sizes, as 30x12,100x1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="CSV file for the table")
    return parser.parse_args()


if __name__ == "__main__":
    main()
