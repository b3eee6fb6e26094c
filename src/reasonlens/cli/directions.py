"""Find directions of behaviours by any method, with how stable each is: `reasonlens directions`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasonlens.cli.console import UNKNOWN, interval_of, note, number, print_json, print_table
from reasonlens.cli.excess import print_injection
from reasonlens.cli.next_steer import next_steer_write
from reasonlens.cli.options import (
    Behaviours,
    BootstrapOrNone,
    Device,
    Injection,
    Json,
    Layers,
    ModelOrNone,
    OutFile,
    Quiet,
    ReadOrNone,
    Seed,
    Settings,
    SiteOrNone,
    TracesOrNone,
    assignments,
    name_or_path,
    path_of,
)

if TYPE_CHECKING:
    from reasonlens import Directions

WHY = {
    "auroc": "highest cross-validated AUROC",
    "stopping_loss": "least loss on the problems that decided when to stop",
    "half_cosine": "most alike halves",
    "norm": "longest vector in that unit",
}


def directions(
    out: OutFile,
    activations: Annotated[
        Path | None,
        typer.Argument(
            metavar="[ACTIVATIONS]",
            help="What `reasonlens collect` wrote: a directory or file of activations or moments. Not for `optimised`.",
            parser=path_of,
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="`mean-difference`, `pca` (of paired differences), `lda`, `logistic`, `ridge`, or `optimised`: by "
            "gradient descent through `--model` on `--traces`."
        ),
    ] = "mean-difference",
    model: ModelOrNone = None,
    traces: TracesOrNone = None,
    pairs: Annotated[
        str | None,
        typer.Option(
            "--pairs",
            metavar="FILE",
            help="Contrast pairs without labels: rows of `positive` and `negative` texts (JSONL, CSV, ...), which "
            "`--model` reads at their last token. `--behaviours` names what the positive ones show.",
            parser=name_or_path,
        ),
    ] = None,
    layers: Layers = "all",
    read: ReadOrNone = None,
    site: SiteOrNone = None,
    behaviours: Behaviours = None,
    settings: Settings = None,
    bootstrap: BootstrapOrNone = None,
    remove_content: Annotated[
        float, typer.Option(help="Project out the K leading directions between problems (4), or a share (0.5).", min=0)
    ] = 0,
    injection: Injection = True,
    seed: Seed = 0,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find a direction for every behaviour at every layer, and say how far the problems determine it.

    Example: `reasonlens directions acts --method lda --out vectors.safetensors`

    Without ACTIVATIONS, `--model` reads `--traces` first (`--read`), and `--method optimised` always searches through
    the model. With ACTIVATIONS, `--model` and `--traces` are those that they were collected from: they are needed to
    test whether tell-tale words alone make a direction fire. Collect with `--read before:1` for directions that mean
    *about to start*, which is what steering needs; no word of a sentence is in them.

    `--pairs` takes what repeng and steering-vectors are trained on; `--method pca --set centred=true` is repeng's
    default, `mean-difference` that of steering-vectors.

    Options of the methods (`--set`): `against=overall`, `rescale=true` (mean-difference), `centred=true` (pca),
    `shrinkage=0.5` (lda), `C=0.1`, `alpha=100`, and for `optimised` `bias=true`, `where=sentence`, `max_strength=2`,
    `max_steps=100` and the like. `--bootstrap` is 200 by default; none for moments, which keep no problems, and for
    `optimised`, where each is one more vector to find.
    """
    import reasonlens
    from reasonlens.probes.controls.injection_rate import loudest
    from reasonlens.vectors.extraction import best_layers

    directions = reasonlens.directions(
        activations,
        method=method,
        model=model,
        traces=traces,
        pairs=pairs,
        layers=layers,
        read=read,
        site=site,
        behaviours=behaviours,
        n_resamples=bootstrap,
        remove_content=remove_content,
        injection=injection,
        seed=seed,
        device=device,
        **assignments(settings),
    )
    directions.save(out)
    rows = best_layers(directions)
    if as_json:
        about = {"method": directions.method, "model": directions.model, "read": directions.read, "out": str(out)}
        print_json(
            about
            | {
                "layers": list(directions.layers),
                "behaviours": rows,
                "scores": directions.scores,
                "injection": [rate.to_dict() for rate in directions.injection],
                "injection_loudest": loudest(directions.injection),
            }
        )
    else:
        _print_directions(directions, rows)
        print_injection(loudest(directions.injection))
    note(f"directions: {out}")
    behaviour, row = next(iter(rows.items()))
    next_steer_write(out, directions, behaviour, row["layer"])


def _print_directions(directions: Directions, rows: dict[str, dict[str, Any]]) -> None:
    """Print a behaviour a row, with the columns for which there are figures."""
    was_searched = any("stopping_loss" in row for row in rows.values())
    was_resampled = any("bootstrap_cosine" in row for row in rows.values())
    has_halves = any("half_cosine" in row for row in rows.values())
    has_removed = any("content_removed" in row for row in rows.values())
    columns = ["layer", "norm"]
    captions = [
        "norm: length in units of the mean residual norm; n: spans that show the behaviour / problems with one.",
        *(f"Layer: {WHY[score]}." for score in dict.fromkeys(row["chosen_by"] for row in rows.values())),
    ]
    if was_searched:
        columns += ["loss", "first token", "stopping"]
        captions.append(
            "Loss (nats a token) and probability of the sentence's first token, on problems that neither trained nor "
            f"stopped the vector: unsteered -> steered (random direction of the same length); {UNKNOWN}: fewer than 3 "
            "such problems. Stopping: the loss on those that stopped it, which flatters."
        )
    if was_resampled:
        columns += ["bootstrap", *(["chance", "halves"] if has_halves else [])]
        captions.append("Bootstrap: cosine of resampled problems' directions with all problems' [95%].")
    if has_halves:
        captions.append("Chance: the same with labels shuffled. Halves: cosine of two halves' directions.")
    if has_removed:
        columns.append("removed")
        captions.append("Removed: share of the square that was content.")
    table = []
    for behaviour, row in rows.items():
        cells = [behaviour, str(row["layer"]), number(row["norm"])]
        if was_searched:
            cells += [
                _change(row, "held_out_loss"),
                _change(row, "first_token_probability"),
                _change(row, "stopping_loss"),
            ]
        if was_resampled:
            cells.append(interval_of(row, "bootstrap_cosine"))
        if has_halves:
            cells += [number(row.get("chance_cosine")), number(row.get("half_cosine"))]
        if has_removed:
            cells.append(number(row.get("content_removed")))
        n_problems = UNKNOWN if row["n_problems"] is None else row["n_problems"]
        table.append([*cells, f"{row['n_spans']} / {n_problems}"])
    print_table(
        ("behaviour", *columns, "n"),
        table,
        title=f"{directions.model.get('name', '')}: {directions.method.split('; length')[0]}; read {directions.read}",
        caption=" ".join(captions),
    )


def _change(row: dict[str, Any], score: str) -> str:
    before, after, random = (row.get(f"{score}{arm}") for arm in ("_unsteered", "", "_random"))
    return f"{number(before)} -> {number(after)} ({number(random)})"
