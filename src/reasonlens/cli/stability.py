"""`reasonlens stability`: do labelled behaviours return when the model goes on from before them?"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasonlens.cli.console import note, user_errors

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table


def stability(
    out: Annotated[Path, typer.Option(help="Directory for boundaries.jsonl, stable.jsonl and results.json.")],
    model: Annotated[
        str, typer.Option(help="Who goes on: hub id, directory, .gguf file, or built in.")
    ] = "smollm2-135m",
    traces: Annotated[str, typer.Option(help="JSONL file of labelled traces, or `bundled`.")] = "bundled",
    behaviours: Annotated[str | None, typer.Option(help="Whose boundaries, joined by commas; default all.")] = None,
    samples: Annotated[int, typer.Option(help="Continuations of each boundary; published: 10.", min=1)] = 4,
    threshold: Annotated[
        float, typer.Option(help="Share of continuations from which a boundary is stable; published: 0.8.")
    ] = 0.5,
    temperature: Annotated[float, typer.Option(help="Of sampling; 0: greedy.", min=0)] = 0.7,
    top_p: Annotated[float, typer.Option(help="Of sampling.")] = 0.95,
    max_boundaries: Annotated[
        int | None, typer.Option(help="At most so many, spread evenly over the behaviours.", min=1)
    ] = 48,
    every_boundary: Annotated[bool, typer.Option("--all", help="All boundaries, however many.")] = False,
    layers: Annotated[str, typer.Option(help="Blocks for directions and probes before and after.")] = "all",
    read: Annotated[str, typer.Option(help="Tokens of a span that are averaged for them.")] = "mean",
    folds: Annotated[int, typer.Option(help="Cross-validation folds of the probes.")] = 5,
    seed: Annotated[int, typer.Option(help="Of boundaries, sampling and folds.", min=0)] = 0,
    device: Annotated[str | None, typer.Option(help="`cpu`, `cuda`; default CUDA where there is one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json instead of the tables.")] = False,
) -> None:
    """Sample the model again at labelled boundaries, keep those whose behaviour returns, and compare.

    Labels found by keywords are often accidents of one rollout: of 541 published ones 93.3% did not return (arXiv
    2604.02113). Beside every behaviour stands how often it comes at boundaries of others, by chance.

    Labels of continuations come from tell-tale words, for model organisms from the exact labeller. Writes
    stable.jsonl: the traces with stable spans only, for `reasonlens locate --traces`. Resumes boundary by boundary.
    """
    with user_errors():
        import reasonlens
        from reasonlens.analysis._locate import resolve_traces
        from reasonlens.analysis.before_after import compare_before_after
        from reasonlens.analysis.stability import boundary_stability
        from reasonlens.organisms import organism_annotator
        from reasonlens.rundir import write_json
        from reasonlens.traces import keyword_annotator, write_traces

        loaded = reasonlens.load(model, device=device)
        found = boundary_stability(
            loaded,
            resolve_traces(traces),
            behaviours=[name.strip() for name in behaviours.split(",")] if behaviours else None,
            n_samples=samples,
            temperature=temperature,
            top_p=top_p,
            annotator=organism_annotator if model.startswith("organism/") else keyword_annotator,
            max_boundaries=None if every_boundary else max_boundaries,
            seed=seed,
            out=out / "boundaries.jsonl",
        )
        compared = compare_before_after(
            loaded, found, threshold=threshold, layers=layers, read=read, n_folds=folds, seed=seed
        )
        write_traces(found.stable(threshold), out / "stable.jsonl")
        summary, layered = found.summary(threshold), compared.to_frame()
        results: dict[str, Any] = {
            "format": "reasonlens.stability/1",
            "model": found.model,
            "settings": found.settings | {"threshold": threshold},
            "summary": _rows(summary),
            "before_after": _rows(layered),
            "notes": compared.notes,
        }
        write_json(out / "results.json", results)
    if as_json:
        typer.echo(json.dumps(results))
        return
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 124  # a pipe has no width; rich would take 80 and cut names
    console.print(_summary_table(results["summary"], threshold))
    console.print(_compared_table(layered))
    for behaviour, why in compared.notes.items():
        note(f"{behaviour}: {why}")
    note(f"stable spans: {out / 'stable.jsonl'}")


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Plain values; null for NaN."""
    return [
        {str(key): None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
        for row in json.loads(frame.to_json(orient="records"))
    ]


def _summary_table(rows: list[dict[str, Any]], threshold: float) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(f"Does the behaviour return? Stable: in at least {threshold:.0%} of the continuations"),
        caption="95% intervals. By chance: the same at boundaries of other behaviours. Seen: boundaries whose label "
        "the annotator gives to the trace's own words; of the others it cannot see a return.",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("behaviour", overflow="fold")
    for column in ("boundaries", "seen", "stable", "by chance", "returns", "by chance"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        figures = [_figure(row, key) for key in ("share_stable", "base_stable", "return_rate", "base_rate")]
        table.add_row(Text(row["behaviour"]), str(row["n_boundaries"]), str(row["n_seen"]), *map(Text, figures))
    return table


def _compared_table(frame: pd.DataFrame) -> Table:
    """Each behaviour at the layer where its probe of all spans is best."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text("Directions and probes before and after unstable boundaries are left out"),
        caption=Text(
            "At the layer where the probe of all spans is best on stable ones. Cosine: between the mean differences "
            "[that of as many random spans: least, most]. AUROC on stable spans of held-out problems."
        ),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("behaviour", overflow="fold")
    for column in ("layer", "spans", "cosine", "AUROC before", "AUROC after", "gain"):
        table.add_column(column, justify="right", no_wrap=True)
    for behaviour, rows in frame.groupby("behaviour", sort=False):
        best = rows["auroc_before"].fillna(-1).idxmax()
        row = _rows(rows.loc[[best]])[0]
        cosine = f"{_number(row['cosine'])} [{_number(row['cosine_random_low'])}, {_number(row['cosine_random_high'])}]"
        figures = [_figure(row, key) for key in ("auroc_before", "auroc_after", "auroc_gain")]
        spans = f"{row['n_before']} -> {row['n_after']}"
        table.add_row(Text(str(behaviour)), str(row["layer"]), spans, Text(cosine), *map(Text, figures))
    return table


def _figure(row: dict[str, Any], key: str) -> str:
    if row[key] is None:
        return "–"
    return f"{_number(row[key])} [{_number(row[f'{key}_low'])}, {_number(row[f'{key}_high'])}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
