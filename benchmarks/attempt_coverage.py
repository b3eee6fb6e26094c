"""Coverage of the bands of pass@k and of the set of crossovers by simulation: `python -m benchmarks.attempt_coverage`.

1. A cell is a number of problems and a kind of rates: how often base and thinking model solve each problem.
2. The truth is that of the rates of a million problems, without sampling: D(k), the mean of (1 - base)^k - (1 -
   thinking)^k, and the least k at which it is 0 or less.
3. Each experiment draws problems and samples of them, and estimates curves as `reasonlens passk` does.
4. Reported, with Wilson intervals: how often the band of D holds D at all k at once, the band of the base its curve,
   the set of crossovers the true one; how often some k is called a gain or a loss; how many k are in the set.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from itertools import product
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from jaxtyping import Float

from reasonlens.pairs.passk import AttemptCurves
from reasonlens.stats import wilson_proportion

SIZES = (100, 30, 300)
N_TRUTH = 1_000_000
TINY = 1e-9  # differences of the truth that are rounding
Rates = Float[np.ndarray, " n_problems"]


def crossing(generator: np.random.Generator, n: int) -> tuple[Rates, Rates]:
    """Draw rates of a thinking model that is better at three of four problems, and gave the others up."""
    base = generator.beta(0.8, 3, size=n)
    return base, np.where(generator.random(n) < 0.75, 1 - (1 - base) ** 6, 0.02 * base)


def same(generator: np.random.Generator, n: int) -> tuple[Rates, Rates]:
    """Draw rates that both models share, problem by problem."""
    rates = generator.beta(0.5, 1.5, size=n)
    return rates, rates


def alike(generator: np.random.Generator, n: int) -> tuple[Rates, Rates]:
    """Draw rates of both models from one distribution, each for itself."""
    return generator.beta(0.5, 1.5, size=n), generator.beta(0.5, 1.5, size=n)


def easy(generator: np.random.Generator, n: int) -> tuple[Rates, Rates]:
    """Draw rates so high that both models solve all problems with some samples."""
    base = generator.beta(4, 1, size=n)
    return base, 1 - (1 - base) ** 2


def hard(generator: np.random.Generator, n: int) -> tuple[Rates, Rates]:
    """Draw rates of which most are next to 0."""
    base = generator.beta(0.08, 1.5, size=n)
    return base, 1 - (1 - base) ** 3


KINDS: dict[str, Callable[[np.random.Generator, int], tuple[Rates, Rates]]] = {
    "crossing": crossing,
    "alike": alike,
    "same": same,
    "easy": easy,
    "hard": hard,
}


def main() -> None:
    """Print one line of CSV for each cell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--resamples", type=int, default=600)
    parser.add_argument("--only", help="one kind of rates")
    options = parser.parse_args()
    for place, (size, kind) in enumerate(product(SIZES, [options.only] if options.only else KINDS)):
        row = cell(size, kind, options.experiments, options.samples, options.resamples)
        sys.stdout.write(pd.DataFrame([row]).to_csv(index=False, header=place == 0, float_format="%.3f"))
        sys.stdout.flush()


def cell(n_problems: int, kind: str, n_experiments: int, n_samples: int, n_resamples: int) -> dict[str, Any]:
    """Simulate one cell."""
    ks = [k for k in range(1, n_samples + 1) if k <= 16 or k % max(1, n_samples // 32) == 0]
    base, thinking = KINDS[kind](np.random.default_rng(0), N_TRUTH)
    curve = np.array([1 - ((1 - base) ** k).mean() for k in ks])
    difference = np.array([((1 - base) ** k - (1 - thinking) ** k).mean() for k in ks])
    crossover = next((k for k, value in zip(ks, difference, strict=True) if value <= TINY), None)
    outcomes = [
        experiment(seed, n_problems, kind, ks, n_samples, n_resamples, curve, difference, crossover)
        for seed in range(n_experiments)
    ]
    row: dict[str, Any] = {"problems": n_problems, "rates": kind, "crossover": crossover}
    for name in ("band", "base_band", "crossovers", "gain", "loss"):
        share = wilson_proportion(np.array([outcome[name] for outcome in outcomes], dtype=bool))
        row |= share.columns(name)
    return row | {"size_of_set": np.mean([outcome["size"] for outcome in outcomes]), "n_ks": len(ks)}


def experiment(
    seed: int,
    n_problems: int,
    kind: str,
    ks: list[int],
    n_samples: int,
    n_resamples: int,
    curve: np.ndarray,
    difference: np.ndarray,
    crossover: int | None,
) -> dict[str, Any]:
    """Draw one experiment, and say what its estimates hold."""
    generator = np.random.default_rng([seed, 1])
    rates = KINDS[kind](generator, n_problems)
    samples = np.full(n_problems, n_samples)
    base, thinking = ((generator.binomial(n_samples, rate), samples) for rate in rates)
    curves = AttemptCurves.of(base, thinking, ks, seed=seed, n_resamples=n_resamples)
    holds = [
        all(point.low <= value <= point.high for point, value in zip(band, truth, strict=True))
        for band, truth in ((curves.difference_band, difference), (curves.base_band, curve))
    ]
    is_in_set = curves.crossover_may_be_beyond if crossover is None else crossover in curves.crossover_set
    return {
        "band": holds[0],
        "base_band": holds[1],
        "crossovers": is_in_set,
        "gain": bool(curves.gain_k),
        "loss": bool(curves.loss_k),
        "size": len(curves.crossover_set) + curves.crossover_may_be_beyond,
    }


if __name__ == "__main__":
    main()
