"""Test whether labelled behaviours return when the model goes on from before them: `reasonlens stability`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from reasonlens.cli.console import interval_of, next_command, note, number, print_json, print_table, read_json
from reasonlens.cli.options import (
    Behaviours,
    Device,
    Folds,
    Json,
    Layers,
    Model,
    OutDirectory,
    Quiet,
    Read,
    Samples,
    Seed,
    Temperature,
    TopP,
    Traces,
)


def stability(
    out: OutDirectory,
    model: Model = "smollm2-135m",
    traces: Traces = "bundled",
    behaviours: Behaviours = None,
    samples: Samples = 4,
    threshold: Annotated[
        float, typer.Option(help="Share of continuations from which a boundary is stable; published: 0.8.")
    ] = 0.5,
    temperature: Temperature = 0.7,
    top_p: TopP = 0.95,
    max_boundaries: Annotated[
        int | None, typer.Option(help="At most so many, spread evenly over the behaviours.", min=1)
    ] = 48,
    every_boundary: Annotated[bool, typer.Option("--all", help="All boundaries, however many.")] = False,
    layers: Layers = "all",
    read: Read = "mean",
    folds: Folds = 5,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Sample the model again at labelled boundaries, keep those whose behaviour returns, and compare.

    Labels found by keywords are often accidents of one rollout: of 541 published ones 93.3% did not return (arXiv
    2604.02113). Beside every behaviour stands how often it comes at boundaries of others, by chance. `--samples`
    continuations of each boundary are sampled (published: 10). `--layers`, `--read` and `--folds` are of the directions
    and probes before and after.

    Labels of continuations come from tell-tale words, for model organisms from the exact labeller. Writes
    stable.jsonl: the traces with stable spans only, for `reasonlens locate --traces`. Resumes boundary by boundary.
    """
    import reasonlens

    settings = reasonlens.StabilitySettings(
        behaviours=behaviours,
        n_samples=samples,
        threshold=threshold,
        temperature=temperature,
        top_p=top_p,
        max_boundaries=None if every_boundary else max_boundaries,
        layers=layers,
        read=read,
        n_folds=folds,
        seed=seed,
    )
    reasonlens.stability(model, traces, settings=settings, out=out, device=device)
    results = read_json(out / "results.json")
    compared = results["before_after"]
    if as_json:
        print_json(results)
    else:
        _print_summary(results["summary"], threshold)
        _print_compared(compared["rows"])
    for behaviour, why in compared["notes"].items():
        note(f"{behaviour}: {why}")
    note(f"stable spans: {out / 'stable.jsonl'}")
    next_command("locate", "--model", model, "--traces", out / "stable.jsonl")


def _print_summary(rows: list[dict[str, Any]], threshold: float) -> None:
    shares = ("share_stable", "base_stable", "return_rate", "base_rate")
    print_table(
        ("behaviour", "boundaries", "seen", "stable", "by chance", "returns", "by chance"),
        [
            (
                row["behaviour"],
                str(row["n_boundaries"]),
                str(row["n_seen"]),
                *(interval_of(row, share, 2) for share in shares),
            )
            for row in rows
        ],
        title=f"Does the behaviour return? Stable: in at least {threshold:.0%} of the continuations",
        caption="95% intervals. By chance: the same at boundaries of other behaviours. Seen: boundaries whose label "
        "the annotator gives to the trace's own words; of the others it cannot see a return.",
    )


def _print_compared(layered: list[dict[str, Any]]) -> None:
    """Print each behaviour at the layer where its probe of all spans is best."""
    rows = []
    for behaviour in dict.fromkeys(row["behaviour"] for row in layered):
        own = [row for row in layered if row["behaviour"] == behaviour]
        row = max(own, key=lambda row: -1 if row["auroc_before"] is None else row["auroc_before"])
        rows.append(
            (
                behaviour,
                str(row["layer"]),
                f"{row['n_before']} -> {row['n_after']}",
                f"{number(row['cosine'], 2)} "
                f"[{number(row['cosine_random_low'], 2)}, {number(row['cosine_random_high'], 2)}]",
                *(interval_of(row, key, 2) for key in ("auroc_before", "auroc_after", "auroc_gain")),
            )
        )
    print_table(
        ("behaviour", "layer", "spans", "cosine", "AUROC before", "AUROC after", "gain"),
        rows,
        title="Directions and probes before and after unstable boundaries are left out",
        caption="At the layer where the probe of all spans is best on stable ones. Cosine: between the mean "
        "differences [that of as many random spans: least, most]. AUROC on stable spans of held-out problems.",
    )
