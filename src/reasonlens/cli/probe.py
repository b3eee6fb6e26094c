"""Probe collected activations, and from one source to another: `reasonlens probe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from reasonlens.cli.console import interval_of, next_command, note, number, print_json, print_table, read_json
from reasonlens.cli.excess import print_excess, print_injection
from reasonlens.cli.next_steer import text_to_score
from reasonlens.cli.options import (
    Behaviours,
    Bootstrap,
    Device,
    Folds,
    Injection,
    Json,
    Layers,
    Model,
    Numbers,
    OutDirectory,
    Quiet,
    Reads,
    Seed,
    SiteOrNone,
    Traces,
    path_of,
)


def probe(
    out: OutDirectory,
    activations: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[ACTIVATIONS]...",
            help="What `reasonlens collect` wrote: a directory or file. Several: also train on each and test on each "
            "(other traces; the base and the thinking model). None: read `--traces` with `--model` first.",
            parser=path_of,
        ),
    ] = None,
    model: Model = "smollm2-135m",
    traces: Traces = "bundled",
    layers: Layers = "all",
    read: Reads = None,
    site: SiteOrNone = None,
    behaviours: Behaviours = None,
    estimator: Annotated[
        str, typer.Option(help="`logistic`, `ridge`, `lda` (whitened mean difference) or `mean-difference`.")
    ] = "logistic",
    penalties: Annotated[
        Numbers | None,
        typer.Option(
            metavar="NUMBERS",
            help="To choose among on inner folds, by commas, strongest first: C, alpha or shrinkage.",
            parser=Numbers.parse,
        ),
    ] = None,
    folds: Folds = 5,
    bootstrap: Bootstrap = 1000,
    shuffles: Annotated[int, typer.Option(help="Repetitions of the shuffled-label control.", min=1)] = 5,
    permutations: Annotated[int, typer.Option(help="Permutations of the labels, for p-values.", min=1)] = 200,
    injection: Injection = True,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit linear probes for every behaviour and layer, and say what they are worth.

    Sentences of one problem never stand on both sides of a split. The number to report has its layer and penalty chosen
    on inner folds. Beside it: permutation p-values, shuffled labels, control tasks, phrasings left out of training, and
    what words, position and token embeddings tell without the model.

    `--model`, `--traces` and `--layers` are for what is read where no ACTIVATIONS are given. `--read` and `--site` are,
    too, and choose among those of ACTIVATIONS that hold several; of several reads, each is a source of its own.

    Score new text with what it writes: `reasonlens score OUT/probes.safetensors`.
    """
    import reasonlens

    settings = reasonlens.ProbeSettings(
        behaviours=behaviours,
        estimator=estimator,
        penalties=penalties,
        n_folds=folds,
        n_bootstrap=bootstrap,
        n_shuffles=shuffles,
        n_permutations=permutations,
        injection=injection,
        seed=seed,
    )
    reasonlens.probe(
        activations or None,
        model=model,
        traces=traces,
        layers=layers,
        read=read,
        site=site,
        settings=settings,
        out=out,
        device=device,
    )
    results = read_json(out / "results.json")
    if as_json:
        print_json(results)
    else:
        print_excess(
            results["behaviours"],
            title=f"{results['model']['name']}: {results['n_spans']} spans of {results['n_problems']} problems, "
            f"read {results['read']}",
        )
        _print_figures(results)
        _print_explanations(results)
        print_injection(results["injection_loudest"])
        if results["transfer"]:
            _print_transfer(results["transfer"])
    note(f"report: {out / 'report.html'}")
    next_command("score", out / "probes.safetensors", *text_to_score(results["model"]["name"]))


def _print_figures(results: dict[str, Any]) -> None:
    """Print the numbers to report."""
    rows = []
    for name, behaviour in results["behaviours"].items():
        best = behaviour["layers"][str(behaviour["best_layer"])]
        rows.append(
            (
                name,
                ",".join(map(str, sorted(set(behaviour["nested_layers"])))),
                interval_of(behaviour, "auroc_nested"),
                *(
                    number(behaviour[f"nested_{figure}"], 2)
                    for figure in ("average_precision", "recall_at_1_percent", "brier")
                ),
                number(best["p_value"]),
                f"{behaviour['n_positive']} / {behaviour['n_problems']}",
            )
        )
    print_table(
        ("behaviour", "layers", "AUROC", "AP", "R@1%", "Brier", "p", "n"),
        rows,
        title=f"{results['model']['name']}: {results['n_spans']} spans of {results['n_problems']} problems, "
        f"read {results['read']}",
        caption="AUROC [95% interval over problems]: layer and penalty of every fold chosen on the others; layers: "
        "those chosen. AP: average precision; R@1%: recall at 1% false positives; p: by permutation, corrected over "
        "layers, at the best layer; n: spans / problems.",
    )


def _print_explanations(results: dict[str, Any]) -> None:
    """Print what else could explain them."""
    rows = []
    for name, behaviour in results["behaviours"].items():
        best = behaviour["layers"][str(behaviour["best_layer"])]
        rows.append(
            (
                name,
                f"{number(best['auroc'])} at {behaviour['best_layer']}",
                *(number(best[f"auroc_{key}"]) for key in ("unmarked", "new_phrasing")),
                number(behaviour["auroc_keyword"]),
                *(number(best[f"auroc_{key}"]) for key in ("shuffled", "naive_split")),
            )
        )
    print_table(
        ("behaviour", "best layer", "unmarked", "new wording", "tell-tale", "shuffled", "naive"),
        rows,
        title="AUROC of what else could explain it",
        caption="At the best layer: all spans; those without tell-tale words; those of a wording left out of training; "
        "labels shuffled; a naive split through problems. Tell-tale: whether the span holds a tell-tale word.",
    )


def _print_transfer(rows: list[dict[str, Any]]) -> None:
    pairs = list(dict.fromkeys((row["trained_on"], row["tested_on"]) for row in rows))
    cells = {(row["behaviour"], row["trained_on"], row["tested_on"]): row for row in rows}
    print_table(
        ("behaviour", *(f"{trained} -> {tested}" for trained, tested in pairs)),
        [
            (name, *(interval_of(cells[name, *pair], "auroc") for pair in pairs))
            for name in dict.fromkeys(row["behaviour"] for row in rows)
        ],
        title="Trained on -> tested on: AUROC [95% interval over problems]",
    )
