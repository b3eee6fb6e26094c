"""Probes of all folds and behaviours at once against scikit-learn: `python -m benchmarks.probes`.

1. Synthetic activations, layer by layer: correlated features of unlike scale, six behaviours and a rest, problems of
   ten spans. Five folds that cut no problem.
2. `fit`: at each layer the logistic probes of six behaviours in every fold, standardised on its training rows, their
   out-of-fold scores, and six probes of all rows: 36 fits. `choose`: the same with the penalty chosen among four by
   cross-validation, scikit-learn's by LogisticRegressionCV.
3. Both in this process, on one thread each, in interleaved rounds; scikit-learn's is lbfgs in float32 at its own
   tolerance, its fastest setting here. What is reported is the median over rounds of the ratio of CPU seconds.
4. AUROCs of both, per behaviour over all folds, against scikit-learn in float64 with tol 1e-8.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch and scikit-learn: they would wait for each other's threads

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from reasonlens.probes.metrics import auroc, concordance
from reasonlens.probes.solver import Columns, Design, solve_logistic

N_BEHAVIOURS, N_FOLDS, C = 6, 5, 0.01
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
Scores = np.ndarray[Any, np.dtype[np.float64]]


def main() -> None:
    options = _arguments()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if options.memory_of:
        sys.stdout.write(f"{_peak_mb(options)}\n")
        return
    with threadpool_limits(1):
        cases = [
            _case(shape, n, options) for shape in options.shapes.split(",") for n in map(int, options.n.split(","))
        ]
    first = cases[0]
    results = {
        "speedup": first["fit"]["speedup"],
        "speedup_with_choice_of_penalty": first["choose"]["speedup"],
        "max_abs_auroc_difference": first["max_abs_auroc_difference"],
        "device": _device(options.device),
        "rounds": options.rounds,
        "cases": cases,
    }
    if options.out:
        Path(options.out).mkdir(parents=True, exist_ok=True)
        (Path(options.out) / "probes.json").write_text(json.dumps(results, indent=1))
        (Path(options.out) / "probes.md").write_text(_table(results))
    sys.stdout.write(json.dumps(results) + "\n" if options.json else _table(results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m benchmarks.probes")
    parser.add_argument("--shapes", default="30x576", help="layers x d_model, by commas: 30x576,32x4096")
    parser.add_argument("--n", default="2000", help="spans, by commas: 2000,20000")
    parser.add_argument("--layers", type=int, help="measure only so many layers of each shape")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="of ours")
    parser.add_argument("--no-choice", action="store_true", help="leave the choice of a penalty out")
    parser.add_argument("--no-agreement", action="store_true", help="leave scikit-learn in float64 out, which is slow")
    parser.add_argument("--memory-of", choices=("ours", "scikit_learn"), help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--out", help="directory for the JSON and the table")
    return parser.parse_args()


def layer(n: int, d_model: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Activations, labels (behaviour, span) and folds of one layer."""
    generator = np.random.default_rng(seed)
    rank = min(d_model, 512)
    loadings = generator.normal(size=(rank, d_model)) * np.arange(1, rank + 1)[:, None] ** -0.5
    activations = (generator.normal(size=(n, rank)) @ loadings + 0.3 * generator.normal(size=(n, d_model))).astype(
        np.float32
    )
    activations /= activations.std(axis=0)
    towards = generator.normal(size=(d_model, N_BEHAVIOURS + 1)) / d_model**0.5
    behaviours = (activations @ towards + 0.7 * generator.normal(size=(n, N_BEHAVIOURS + 1))).argmax(axis=1)
    activations = activations * np.exp(generator.normal(size=d_model)).astype(np.float32) + generator.normal(
        size=d_model
    )
    folds = np.arange(n) // 10 % N_FOLDS
    return activations.astype(np.float32), behaviours == np.arange(N_BEHAVIOURS)[:, None], folds


def ours(
    activations: np.ndarray, labels: np.ndarray, folds: np.ndarray, penalties: tuple[float, ...], device: str
) -> Scores:
    """Out-of-fold scores of every penalty (penalty, behaviour, span), after all fits."""
    subsets = np.concatenate([~np.eye(N_FOLDS, dtype=bool), np.ones((1, N_FOLDS), dtype=bool)])
    design = Design.of(torch.from_numpy(activations), folds, subsets, device=device)
    penalty, behaviour, fold = (indices.ravel() for indices in np.indices((len(penalties), N_BEHAVIOURS, N_FOLDS)))
    bank = torch.from_numpy(labels).to(device)

    def solve(behaviour: np.ndarray, subset: np.ndarray, strength: np.ndarray) -> np.ndarray:
        columns = Columns(
            bank[torch.from_numpy(behaviour).to(device)],
            torch.from_numpy(subset).to(device),
            torch.from_numpy(strength).to(device, torch.float32),
        )
        return solve_logistic(design, columns).scores(design).cpu().numpy()

    if len(penalties) == 1:  # the probes of all rows together with those of the folds
        every = np.arange(N_BEHAVIOURS)
        behaviour, fold = np.concatenate([behaviour, every]), np.concatenate([fold, np.full_like(every, N_FOLDS)])
        scores = solve(behaviour, fold, np.full(len(fold), penalties[0]))[: N_BEHAVIOURS * N_FOLDS]
    else:
        scores = solve(behaviour, fold, np.array(penalties)[penalty])
        solve(np.arange(N_BEHAVIOURS), np.full(N_BEHAVIOURS, N_FOLDS), np.full(N_BEHAVIOURS, C))
    scores = scores.reshape(len(penalties), N_BEHAVIOURS, N_FOLDS, -1)
    return scores[:, :, folds, np.arange(len(folds))]


def scikit_learn(activations: np.ndarray, labels: np.ndarray, folds: np.ndarray, **options: Any) -> Scores:
    """The same with one penalty: (1, behaviour, span)."""
    scores = np.empty(labels.shape)
    for fold in [*range(N_FOLDS), None]:
        train = np.ones(len(folds), dtype=bool) if fold is None else folds != fold
        scaler = StandardScaler().fit(activations[train])
        training = scaler.transform(activations[train])
        unseen = None if fold is None else scaler.transform(activations[~train])
        for behaviour, positive in enumerate(labels):
            probe = LogisticRegression(C=C, max_iter=10_000, **options).fit(training, positive[train])
            if unseen is not None:
                scores[behaviour, ~train] = probe.decision_function(unseen)
    return scores[None]


def scikit_learn_choosing(activations: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> None:
    """The penalty of each behaviour by cross-validation, and its probe of all rows (standardised once: leaking)."""
    splits = [(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in range(N_FOLDS)]
    training = StandardScaler().fit_transform(activations)
    for positive in labels:
        options = {"scoring": "roc_auc", "max_iter": 10_000, "l1_ratios": (0,), "use_legacy_attributes": False}
        LogisticRegressionCV(Cs=list(PENALTIES), cv=splits, **options).fit(training, positive)


def _case(shape: str, n: int, options: argparse.Namespace) -> dict[str, Any]:
    n_layers, d_model = map(int, shape.split("x"))
    measured = min(options.layers or n_layers, n_layers)

    def data() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        return (layer(n, d_model, seed) for seed in range(measured))

    ours(*layer(200, d_model, 0), (C,), options.device)  # warm
    case: dict[str, Any] = {"shape": shape, "n": n, "layers_measured": measured}
    case["fit"] = _rounds(
        data,
        lambda *inputs: ours(*inputs, (C,), options.device),
        lambda *inputs: scikit_learn(*inputs),
        options,
    )
    case["choose"] = (
        {"speedup": None}
        if options.no_choice
        else _rounds(data, lambda *inputs: ours(*inputs, PENALTIES, options.device), scikit_learn_choosing, options)
    )
    case["max_abs_auroc_difference"] = case["max_abs_auroc_difference_of_scikit_learn"] = None
    if not options.no_agreement:
        case |= _agreement(data(), options.device)
    case["extra_memory_mb"] = {name: _memory(name, shape, n, options.device) for name in ("ours", "scikit_learn")}
    return case


def _rounds(
    data: Callable[[], Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]],
    run: Callable[..., Any],
    peer: Callable[..., Any],
    options: argparse.Namespace,
) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {"ours": [], "scikit_learn": []}
    for number in range(options.rounds):
        total = dict.fromkeys(seconds, 0.0)
        for layer_data in data():
            order = [("ours", run), ("scikit_learn", peer)]
            for name, fit in order if number % 2 == 0 else order[::-1]:
                total[name] += _seconds(lambda fit=fit, layer_data=layer_data: fit(*layer_data), options.device, name)
        for name, duration in total.items():
            seconds[name].append(duration)
    ratios = np.array(seconds["scikit_learn"]) / np.array(seconds["ours"])
    return {
        "speedup": round(float(np.median(ratios)), 2),
        "speedup_range": [round(float(ratio), 2) for ratio in (ratios.min(), ratios.max())],
        "seconds": {name: round(float(np.median(times)), 3) for name, times in seconds.items()},
    }


def _seconds(run: Callable[[], Any], device: str, name: str) -> float:
    """CPU seconds; seconds on the wall for ours on a GPU."""
    clock = time.perf_counter if name == "ours" and device.startswith("cuda") else time.process_time
    start = clock()
    run()
    return clock() - start


def _agreement(data: Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]], device: str) -> dict[str, float]:
    worst: dict[str, float] = {"ours": 0.0, "scikit_learn": 0.0}
    for activations, labels, folds in data:
        exact = scikit_learn(activations.astype(np.float64), labels, folds, tol=1e-8)
        scores_of = {
            "ours": ours(activations, labels, folds, (C,), device),
            "scikit_learn": scikit_learn(activations, labels, folds),
        }
        problems = np.arange(len(folds)) // 10
        for name, scores in scores_of.items():
            for behaviour, positive in enumerate(labels):
                one, other = (
                    auroc(concordance(fitted[0, behaviour], positive, problems, folds)) for fitted in (scores, exact)
                )
                worst[name] = max(worst[name], abs(one - other))
    return {
        "max_abs_auroc_difference": worst["ours"],
        "max_abs_auroc_difference_of_scikit_learn": worst["scikit_learn"],
    }


def _memory(name: str, shape: str, n: int, device: str) -> float:
    """Peak of resident memory over what stood before the fits of one layer, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.probes", "--memory-of", name, "--shapes", shape, "--n", str(n)]
    done = subprocess.run([*command, "--device", device], capture_output=True, text=True, check=True)
    return float(done.stdout)


def _peak_mb(options: argparse.Namespace) -> float:
    d_model, n = int(options.shapes.split("x")[1]), int(options.n)
    run = {"ours": lambda *inputs: ours(*inputs, (C,), options.device), "scikit_learn": scikit_learn}[options.memory_of]
    run(*layer(200, 16, 0))  # what is loaded once
    inputs = layer(n, d_model, 0)
    ctypes.CDLL(None).malloc_trim(0)  # give back what making the data left behind
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    run(*inputs)
    return round((_status("VmHWM") - before) / 1024, 1)


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(field))


def _device(device: str) -> str:
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), "CPU")


def _table(results: dict[str, Any]) -> str:
    lines = [
        f"{results['device']}, one thread each, {results['rounds']} rounds",
        "",
        "| layers x d_model | spans | layers measured | fit: ours, s | scikit-learn, s | speed-up | choose: speed-up | "
        "AUROC difference | scikit-learn's own | extra memory, MB: ours, scikit-learn |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case in results["cases"]:
        fit, memory = case["fit"], case["extra_memory_mb"]
        own, theirs = case["max_abs_auroc_difference"], case["max_abs_auroc_difference_of_scikit_learn"]
        lines.append(
            f"| {case['shape']} | {case['n']} | {case['layers_measured']} | {fit['seconds']['ours']:.2f} | "
            f"{fit['seconds']['scikit_learn']:.2f} | {fit['speedup']} ({fit['speedup_range'][0]} to "
            f"{fit['speedup_range'][1]}) | {case['choose']['speedup'] or '–'} | "
            f"{'–' if own is None else f'{own:.1e}'} | {'–' if theirs is None else f'{theirs:.1e}'} | "
            f"{memory['ours']:.0f}, {memory['scikit_learn']:.0f} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
