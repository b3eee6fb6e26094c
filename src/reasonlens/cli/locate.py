"""Find where in a model the directions of reasoning behaviours lie: `reasonlens locate`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from reasonlens.cli.console import interval_of, note, number, print_json, print_table, read_json
from reasonlens.cli.excess import print_excess, print_injection
from reasonlens.cli.next_steer import next_steer_write
from reasonlens.cli.options import (
    Behaviours,
    Device,
    Dtype,
    Folds,
    Injection,
    Json,
    Layers,
    Model,
    OutDirectoryOrNone,
    Quiet,
    Read,
    Seed,
    Template,
    Traces,
    Truncate,
)


def locate(
    model: Model = "smollm2-135m",
    traces: Traces = "bundled",
    layers: Layers = "all",
    read: Read = "mean",
    out: OutDirectoryOrNone = None,
    device: Device = None,
    dtype: Dtype = None,
    behaviours: Behaviours = None,
    template: Template = "auto",
    truncate: Truncate = False,
    against: Annotated[
        Literal["others", "overall"],
        typer.Option(help="Mean differences against all other spans, or against the overall mean."),
    ] = "others",
    rescale: Annotated[
        bool, typer.Option("--rescale", help="Give directions the norm of the overall mean activation.")
    ] = False,
    folds: Folds = 5,
    next_behaviour: Annotated[
        bool,
        typer.Option(
            "--next/--no-next", help="Also probe the last token before each span: does the model know what comes?"
        ),
    ] = True,
    injection: Injection = True,
    sites_of: Annotated[
        str | None,
        typer.Option("--sites-of", help="A behaviour to probe also before, between and after attention and MLP."),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find where in a model the directions of reasoning behaviours lie.

    Reads the residual stream at every layer for every labelled span, takes each behaviour's mean-difference direction,
    and fits a probe for each behaviour and layer with its controls. Without options: SmolLM2-135M on the bundled
    traces, some minutes on a laptop.

    Writes vectors.safetensors, probes.safetensors, results.json, report.html and run.json (and the activations) into
    `--out`, by default a directory of its own under runs/. The same command again resumes an interrupted run, or says
    that it is done.
    """
    import reasonlens
    from reasonlens.analysis.settings import default_out

    settings = reasonlens.LocateSettings(
        layers=layers,
        read=read,
        dtype=dtype,
        template=template,
        truncate=truncate,
        behaviours=behaviours,
        against=against,
        rescale=rescale,
        n_folds=folds,
        next_behaviour=next_behaviour,
        injection=injection,
        sites_of=sites_of,
        seed=seed,
    )
    out = out or default_out(model, traces, settings)
    location = reasonlens.locate(model, traces, settings=settings, out=out, device=device)
    timings = read_json(out / "run.json")["timings_seconds"]
    results = read_json(out / "results.json")
    if as_json:
        print_json(results)
    else:
        _print_behaviours(results)
    note("seconds: " + ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in timings.items()))
    note(f"report: {out / 'report.html'}")
    best = max(results["behaviours"], key=lambda name: results["behaviours"][name]["auroc_nested"] or 0.0)
    layer = results["behaviours"][best]["best_layer"]
    next_steer_write(out / "vectors.safetensors", location.directions, best, layer)


def _print_behaviours(results: dict[str, Any]) -> None:
    coming = results["next_behaviours"] or {}
    print_excess(
        results["behaviours"],
        title=f"{results['model']['name']}: {results['traces']['n_spans']} spans of "
        f"{results['traces']['n_problems']} problems, read {results['settings']['read']}",
    )
    if coming:
        print_excess(coming, title="At the last token before the span: what comes next")
    rows = []
    for name, behaviour in results["behaviours"].items():
        best = behaviour["layers"][str(behaviour["best_layer"])]
        rows.append(
            (
                name,
                str(behaviour["best_layer"]),
                interval_of(best, "auroc"),
                *(number(best[f"auroc_{control}"]) for control in ("unmarked", "shuffled")),
                number(best["p_value"]),
            )
        )
    print_table(
        ("behaviour", "best layer", "AUROC there", "unmarked", "shuffled", "p"),
        rows,
        caption="Best layer: that of the highest cross-validated AUROC. Unmarked: spans without tell-tale words; "
        "shuffled: labels shuffled (chance is 0.5); p: against chance, by permutation, corrected over layers.",
    )
    print_injection(results["injection_loudest"])
